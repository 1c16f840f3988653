# SPDX-License-Identifier: MIT
"""USR2: another master takes over, and no client is to notice."""

import os
import select
import signal
import socket

import pytest

from client import get, wait_until
from load import FreshLoad, Load
from masters import (alive, ended, pid_in, wait_gone, wait_pid,
                     workers_of)
from server import free_port

pytestmark = pytest.mark.gcorn


@pytest.fixture
def upgradable(start, tmp_path):
    """upgradable(*args) -> a server with a pid file at server.pidfile."""
    path = tmp_path / "gcorn.pid"

    def serve(*args, app="probe:app", **kind):
        server = start(app, "-p", path, *args, **kind)
        server.pidfile = path
        spared.append(server.pid)
        return server

    with ended(path) as spared:
        yield serve


def new_master(server, old):
    """USR2 to the old one; the new one's pid once it serves."""
    os.kill(old, signal.SIGUSR2)
    new = wait_pid(str(server.pidfile) + ".2")
    wait_until(lambda: workers_of(new), what="workers of the new master")
    return new


def complete(server, old, new, number=signal.SIGTERM):
    os.kill(old, number)
    if old == server.pid:
        assert server.wait() == 0
    wait_gone(old)
    wait_until(lambda: pid_in(server.pidfile) == new, what="the promotion")
    assert not os.path.exists(str(server.pidfile) + ".2")


def stop(server, pid):
    """The end of a master that is not our child."""
    os.kill(pid, signal.SIGTERM)
    wait_gone(pid)
    server.nothing_left()
    assert not server.pidfile.exists()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_ten_upgrades_lose_nothing(upgradable, tmp_path, kind):
    bind = "unix:%s" % (tmp_path / "sock") if kind == "unix" else None
    server = upgradable("-w", "2", bind=bind)
    master = server.pid
    with Load(server) as load:
        for _ in range(10 if kind == "tcp" else 3):
            new = new_master(server, master)
            load.more(20)
            complete(server, master, new)
            load.more(20)
            master = new
    load.all_good()
    assert server.log().count("Master has been promoted") >= 3
    stop(server, master)
    if kind == "unix":
        assert not (tmp_path / "sock").exists()


def test_each_request_on_a_connection_of_its_own(upgradable):
    server = upgradable("-w", "2")
    master = server.pid
    with FreshLoad(server, connections=4) as load:
        for _ in range(3):
            new = new_master(server, master)
            load.more(20)
            complete(server, master, new)
            load.more(20)
            master = new
    load.all_good()
    stop(server, master)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU")
def test_the_successor_has_the_cores(upgradable, start, tmp_path):
    """Those that were claimed become its own; nobody comes in between."""
    env = {"GCORN_RUNTIME_DIR": str(tmp_path / "run")}
    cpus = os.sched_getaffinity(0)
    server = upgradable("--pin", "core", env=env)
    new = new_master(server, server.pid)
    complete(server, server.pid, new)
    assert all(os.sched_getaffinity(pid) != cpus for pid in workers_of(new))
    other = start("hello:app", "--pin", "core", env=env)
    other.wait_log("other gcorn masters have left no core")
    other.stop()
    stop(server, new)


@pytest.mark.parametrize("workers", ["1", "4"])
def test_another_number_of_workers(upgradable, workers):
    """More sockets than before, or some that nobody would look at."""
    server = upgradable("-w", "2")
    with Load(server, connections=16) as load:
        for _ in range(abs(int(workers) - 2)):
            server.signal(signal.SIGTTIN if workers == "4"
                          else signal.SIGTTOU)
        load.more(50)
        new = new_master(server, server.pid)
        load.more(50)
        complete(server, server.pid, new)
        load.more(100)
        # The new one comes back to its own number.
        wait_until(lambda: len(workers_of(new)) == 2)
        load.more(50)
    load.all_good()
    stop(server, new)


def test_taking_it_back(upgradable):
    server = upgradable("-w", "2")
    with Load(server) as load:
        new = new_master(server, server.pid)
        load.more(20)
        os.kill(new, signal.SIGTERM)
        server.wait_log(r"The new master \(pid:%d\) exited with code 0" % new)
        load.more(50)
        assert pid_in(server.pidfile) == server.pid
        assert not os.path.exists(str(server.pidfile) + ".2")
        # And again, for good.
        new = new_master(server, server.pid)
        complete(server, server.pid, new)
        load.more(20)
    load.all_good()
    stop(server, new)


def test_winch_tries_the_new_one_and_hup_goes_back(upgradable):
    server = upgradable("-w", "2")
    with Load(server) as load:
        new = new_master(server, server.pid)
        server.signal(signal.SIGWINCH)
        wait_until(lambda: not workers_of(server.pid))
        load.more(50)
        server.signal(signal.SIGHUP)
        wait_until(lambda: workers_of(server.pid))
        os.kill(new, signal.SIGTERM)
        wait_gone(new)
        load.more(50)
    load.all_good()
    assert alive(server.pid)


def test_a_new_master_that_cannot_serve_changes_nothing(upgradable, tmp_path):
    site = tmp_path / "site_.py"
    site.write_text("from probe import app\n")
    path = tmp_path / "gcorn.pid"
    server = upgradable("-w", "2", "--pythonpath", tmp_path, app="site_:app")
    assert pid_in(path) == server.pid
    with Load(server) as load:
        site.write_text("import nothing_of_the_name\n")
        server.signal(signal.SIGUSR2)
        server.wait_log(r"The new master \(pid:\d+\) exited with code 3")
        load.more(50)
    load.all_good()
    assert pid_in(path) == server.pid


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_whoever_watches_is_answered_all_the_time(upgradable, tmp_path, kind):
    admin = (("127.0.0.1", free_port()) if kind == "tcp"
             else str(tmp_path / "admin"))
    server = upgradable("-w", "1", "--admin-bind", "%s:%d" % admin
                        if kind == "tcp" else "unix:" + admin)
    old = server.pid
    for _ in range(2):
        new = new_master(server, old)
        assert get(admin, "/livez").status == 200
        complete(server, old, new)
        assert get(admin, "/livez").status == 200
        old = new
    # Taking it back leaves the file where it is.
    third = new_master(server, old)
    os.kill(third, signal.SIGTERM)
    wait_gone(third)
    assert get(admin, "/livez").status == 200
    stop(server, old)
    if kind == "unix":
        assert not os.path.exists(admin)


def test_only_one_at_a_time(upgradable):
    server = upgradable("-w", "1")
    new = new_master(server, server.pid)
    server.signal(signal.SIGUSR2)
    server.wait_log(r"USR2: the new master \(pid:%d\) is there already" % new)
    os.kill(new, signal.SIGUSR2)
    server.wait_log(r"USR2: the old master \(pid:%d\) is still there"
                    % server.pid)
    complete(server, server.pid, new, signal.SIGQUIT)
    assert server.get("/").status == 200
    stop(server, new)


def test_killed_it_is_replaced_too(upgradable):
    """kill -9 of the old master: its connections end, the rest goes on."""
    server = upgradable("-w", "2")
    new = new_master(server, server.pid)
    server.signal(signal.SIGKILL)
    server.process.wait(10)
    wait_until(lambda: pid_in(server.pidfile) == new, what="the promotion")
    for _ in range(20):
        assert server.get("/").status == 200
    stop(server, new)


def test_a_connection_that_only_the_dead_heard_of(upgradable):
    """Of two workers on one socket one is woken for a connection. When that
    dies with its master, the other one has to look."""
    server = upgradable("-w", "1")
    old = server.workers()
    new = new_master(server, server.pid)
    for worker in old:
        os.kill(worker.pid, signal.SIGSTOP)
    for _ in range(4):
        client = server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        if not select.select([client.sock], [], [], 1)[0]:
            break
        assert client.response().status == 200
    server.signal(signal.SIGKILL)
    server.process.wait(10)
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.response().status == 200
    stop(server, new)


def test_a_stale_environment_is_not_believed(start):
    """GUNICORN_FD of a shell that a master once started."""
    with socket.socket() as stranger:
        server = start("probe:app", "-w", "1",
                       env={"GUNICORN_PID": "1", "GUNICORN_FD": "0,1,999"})
        assert stranger.fileno() >= 0
    assert "GUNICORN_FD" not in server.get("/env").json
    assert "promoted" not in server.log()
