# SPDX-License-Identifier: MIT
"""What signals to the master do."""

import os
import signal

import pytest

from client import request_bytes, wait_until
from load import Load


def hold(server, name, file):
    client = server.connect(timeout=60)
    client.send(request_bytes("/hold?t=%s&file=%s" % (name, file)))
    server.traced("hold " + name)
    return client


def refuses(server):
    try:
        server.connect().close()
        return False
    except OSError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT,
                                    signal.SIGQUIT])
def test_stop(start, number):
    server = start("probe:app", "-w", "2")
    server.signal(number)
    assert server.wait() == 0
    server.nothing_left()
    assert refuses(server)


def test_term_lets_requests_finish(start, go):
    server = start("probe:app", "-w", "2", "--threads", "2")
    held = hold(server, "graceful", go)
    server.signal(signal.SIGTERM)
    server.wait_log("Handling signal: term")
    go.touch()
    response = held.response()
    assert response.body == b"released"
    held.ends()
    assert server.wait() == 0
    server.nothing_left()


def test_term_does_not_wait_longer_than_graceful_timeout(start):
    server = start("probe:app", "-w", "1", "--graceful-timeout", "1")
    hold(server, "too-long", "/nonexistent/file")
    server.signal(signal.SIGTERM)
    assert server.wait(20) == 0
    server.nothing_left()


@pytest.mark.gcorn
def test_term_does_not_wait_for_idle_connections(start):
    server = start("probe:app", "-w", "2", "--graceful-timeout", "100",
                   "--keep-alive", "100")
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.request("/")
    server.signal(signal.SIGTERM)
    assert server.wait(30) == 0
    for client in clients:
        client.ends()


@pytest.mark.gcorn
def test_term_loses_no_request_under_load(start):
    """Whoever got a connection gets answers on it until one says close."""
    server = start("probe:app", "-w", "2", "--graceful-timeout", "20")
    with Load(server, "/sleep?s=0.01") as load:
        load.more(100)
        server.signal(signal.SIGTERM)
        load.stopping.set()
        assert server.wait() == 0
    refused = [error for error in load.broken
               if "ConnectionRefused" not in error]
    assert not refused, refused[:5]
    assert set(load.statuses) == {200}


def test_quit_does_not_wait_for_requests(start):
    server = start("probe:app", "-w", "1", "--graceful-timeout", "60",
                   "--timeout", "120")
    hold(server, "impatient", "/nonexistent/file")
    server.signal(signal.SIGQUIT)
    assert server.wait(25) == 0
    server.nothing_left()


def test_quit_after_term_hurries(start):
    server = start("probe:app", "-w", "1", "--graceful-timeout", "100",
                   "--timeout", "120")
    hold(server, "hurry", "/nonexistent/file")
    server.signal(signal.SIGTERM)
    server.wait_log("Handling signal: term")
    server.signal(signal.SIGQUIT)
    assert server.wait(30) == 0
    server.nothing_left()


def test_ttin_and_ttou(start):
    server = start("probe:app", "-w", "1")
    assert len(server.pids()) == 1
    server.signal(signal.SIGTTIN)
    wait_until(lambda: len(server.pids()) == 2)
    server.signal(signal.SIGTTIN)
    wait_until(lambda: len(server.pids()) == 3)
    server.signal(signal.SIGTTOU)
    wait_until(lambda: len(server.pids()) == 2)
    server.signal(signal.SIGTTOU)
    wait_until(lambda: len(server.pids()) == 1)
    server.signal(signal.SIGTTOU)  # never less than one
    for _ in range(20):
        assert server.get("/").status == 200


@pytest.mark.gcorn
def test_ttou_loses_no_request(start):
    server = start("probe:app", "-w", "3")
    with Load(server) as load:
        load.more(200)
        server.signal(signal.SIGTTOU)
        load.more(300)
        server.signal(signal.SIGTTOU)
        load.more(300)
    # A connection of a worker that leaves ends with a response that says so.
    load.all_good()


@pytest.mark.parametrize("number", [signal.SIGPIPE, signal.SIGCHLD,
                                    signal.SIGWINCH])
def test_signals_that_mean_nothing(start, number):
    server = start("probe:app", "-w", "1")
    for process in server.processes():
        if number != signal.SIGPIPE or process.pid == server.pid:
            os.kill(process.pid, number)
    assert server.get("/").status == 200


@pytest.mark.gcorn
def test_a_terminals_interrupt_reaches_everyone(start):
    """Ctrl-C goes to the whole process group: still a clean end."""
    server = start("probe:app", "-w", "2")
    os.killpg(server.pid, signal.SIGINT)
    assert server.wait() == 0
    server.nothing_left()
    assert "Traceback" not in server.log()


@pytest.mark.gcorn
def test_term_to_one_interpreter_replaces_it(start):
    server = start("probe:app", "-w", "2")
    victim = server.get("/process").json["pid"]
    os.kill(victim, signal.SIGTERM)
    wait_until(lambda: not os.path.exists("/proc/%d" % victim))
    wait_until(lambda: len(server.pids()) == 2)


def test_term_while_starting(start):
    server = start("slow_import:app", "-w", "2", ready=None)
    server.wait_log("(?i)listening|starting")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    server.nothing_left()
