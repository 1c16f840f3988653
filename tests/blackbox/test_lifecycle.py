# SPDX-License-Identifier: MIT
"""Everything that operators do to a busy server, in a row: clients with
keep-alive connections are to notice none of it."""

import os
import random
import signal

import pytest

from client import wait_until
from load import Load
from masters import ended, pid_in, wait_gone, wait_pid, workers_of

pytestmark = pytest.mark.gcorn

CODE = """
VERSION = %d
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", "1")])
    return [b"%%d" %% VERSION]
"""


@pytest.mark.parametrize("args", [(), ("--preload",), ("--threads", "4")],
                         ids=["sync", "preload", "gthread"])
def test_ten_reloads_while_interpreters_are_recycled(start, tmp_path, args):
    (tmp_path / "site_.py").write_text(CODE % 0)
    server = start("site_:app", "-w", "2", "--max-requests", "200",
                   "--max-requests-jitter", "50", *args, chdir=tmp_path)
    workers = sorted(p.pid for p in server.workers())
    with Load(server) as load:
        for n in range(1, 11):
            fresh = tmp_path / "fresh"
            fresh.write_text(CODE % (n % 10))
            fresh.replace(tmp_path / "site_.py")
            server.signal(signal.SIGHUP)
            wait_until(lambda: server.log().count("Reload: done") == n,
                       what="reload %d" % n)
            assert server.get("/").text == str(n % 10)
        wait_until(lambda: "Autorestarting worker" in server.log())
        load.more(200)
    load.all_good()
    assert sorted(p.pid for p in server.workers()) == workers


def test_twenty_kills_of_interpreters(start):
    """A request that is safe is done again by another interpreter."""
    server = start("probe:app", "-w", "2", "--threads", "2")
    killed = []
    with Load(server) as load:
        for _ in range(20):
            wait_until(lambda: len(living(server, killed)) >= 2)
            pid = random.choice(living(server, killed))
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            load.more(20)
    load.all_good()
    assert len(set(killed)) == 20


def living(server, killed):
    return [p.pid for p in server.interpreters() if p.pid not in killed]


def test_unsafe_requests_in_flight_at_a_kill_get_502(start, go):
    """They may have been done in part: nobody may do them twice. All that
    were not in flight are served."""
    server = start("probe:app", "-w", "1")
    with server.connect() as client:
        client.send(b"POST /hold?t=unsafe&file=%s HTTP/1.1\r\nHost: x\r\n"
                    b"Content-Length: 0\r\n\r\n" % str(go).encode())
        server.traced("hold unsafe")
        os.kill(server.interpreters()[0].pid, signal.SIGKILL)
        response = client.response("POST")
        assert response.status == 502
        assert not response.closes
        # The connection is as good as before.
        assert client.request("/").status == 200
    assert len(server.trace_lines("hold unsafe")) == 1


class Operator:
    """Whoever has a shell on the machine; knows which master is in charge."""

    def __init__(self, server, pidfile, load):
        self.server = server
        self.pidfile = pidfile
        self.load = load
        self.master = server.pid
        self.reloads = 0
        self.killed = []

    def reload(self):
        self.reloads += 1
        os.kill(self.master, signal.SIGHUP)
        wait_until(lambda: self.server.log().count("Reload: done") ==
                   self.reloads, what="reload %d" % self.reloads)

    def kill_interpreter(self):
        pids = wait_until(lambda: living(self.server, self.killed))
        self.killed.append(random.choice(pids))
        try:
            os.kill(self.killed[-1], signal.SIGKILL)
        except ProcessLookupError:  # recycled just now
            self.killed.pop()
        self.load.more(20)

    def upgrade(self, at_once):
        """The new master serves, then the old one goes: with TERM, or as
        Gunicorn's manual has it, with WINCH and QUIT."""
        old = self.master
        booted = self.server.log().count("Booting worker")
        os.kill(old, signal.SIGUSR2)
        new = wait_pid(str(self.pidfile) + ".2")
        wait_until(lambda: self.server.log().count("Booting worker") > booted)
        if not at_once:
            self.kill_interpreter()
            os.kill(old, signal.SIGWINCH)
            wait_until(lambda: not workers_of(old), what="no old workers")
        os.kill(old, signal.SIGTERM if at_once else signal.SIGQUIT)
        if old == self.server.pid:
            assert self.server.wait() == 0
        wait_gone(old)
        wait_until(lambda: pid_in(self.pidfile) == new, what="the promotion")
        self.master = new


def test_all_of_it_together(start, tmp_path):
    """Reload, scale, reopen, upgrade, kill, while interpreters are recycled:
    not one request fails, not one connection is reset."""
    pidfile = tmp_path / "pid"
    server = start("probe:app", "-w", "2", "-p", pidfile, "--max-requests",
                   "150", "--warmup-url", "/", "--graceful-timeout", "60")
    with ended(pidfile) as spared:
        spared.append(server.pid)
        with Load(server) as load:
            operator = Operator(server, pidfile, load)
            for n in range(10):
                operator.kill_interpreter()
                operator.reload()
                os.kill(operator.master, (signal.SIGTTIN, signal.SIGUSR1)[n % 2])
                operator.kill_interpreter()
                operator.upgrade(at_once=n % 2)
                load.more(20)
            while len(operator.killed) < 20:
                operator.kill_interpreter()
        load.all_good()
        assert server.log().count("Master has been promoted") == 10
        assert "Autorestarting worker" in server.log()
        os.kill(operator.master, signal.SIGTERM)
        wait_gone(operator.master)
    server.nothing_left()
