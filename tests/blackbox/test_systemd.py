# SPDX-License-Identifier: MIT
"""What systemd says to gcorn (sockets, a watchdog) and gcorn to systemd,
over a real notify socket."""

import fcntl
import os
import re
import select
import shutil
import signal
import socket
import subprocess

import pytest

import client
from client import wait_until
from load import Load
from masters import ended, wait_pid
from server import COMMAND, ROOT

pytestmark = pytest.mark.gcorn

SLOW = """
import os, time
while not os.path.exists(os.environ["GO"]):
    time.sleep(0.01)
from probe import app
"""


class Notify:
    """The socket that NOTIFY_SOCKET names."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0.05)
        self.heard = []

    def listen(self):
        try:
            while True:
                self.heard.append(self.socket.recv(4096).decode())
        except (TimeoutError, BlockingIOError):
            return self.heard

    def __contains__(self, text):
        return any(text in message.splitlines() for message in self.listen())

    def wait(self, text, seconds=20):
        wait_until(lambda: text in self, seconds, what=text)

    def lines(self, key):
        return [line for message in self.listen()
                for line in message.splitlines() if line.startswith(key)]


@pytest.fixture
def notify(tmp_path):
    it = Notify(tmp_path / "notify")
    yield it
    it.socket.close()


@pytest.fixture
def told(start, notify, tmp_path):
    """A server that talks to it."""
    def serve(*args, app="probe:app", **env):
        path = notify.socket.getsockname()
        return start(app, "-w", "1", *args,
                     env={"NOTIFY_SOCKET": path, "GO": str(tmp_path / "go"),
                          **env}, ready=None)
    return serve


def test_ready_only_when_requests_can_be_served(told, notify, tmp_path):
    (tmp_path / "slow_.py").write_text(SLOW)
    server = told("--pythonpath", tmp_path, app="slow_:app")
    server.wait_log("Booting worker")
    notify.wait("EXTEND_TIMEOUT_USEC=15000000")
    assert "READY=1" not in notify
    (tmp_path / "go").touch()
    notify.wait("READY=1")
    assert "MAINPID=%d" % server.pid in notify
    # It is not a matter of trying again: the first request is answered.
    assert server.get("/").status == 200
    # The application has nothing to do with it.
    assert "NOTIFY_SOCKET" not in server.get("/env").json


def test_an_abstract_socket(start):
    name = "\0gcorn-test-%d" % os.getpid()
    it = Notify(name)
    start("probe:app", "-w", "1", env={"NOTIFY_SOCKET": "@" + name[1:]})
    it.wait("READY=1")
    it.socket.close()


def test_reload_is_told(told, notify, tmp_path):
    (tmp_path / "site_.py").write_text("from probe import app\n")
    server = told("--pythonpath", tmp_path, app="site_:app")
    notify.wait("READY=1")
    notify.heard.clear()
    server.signal(signal.SIGHUP)
    notify.wait("RELOADING=1")
    assert int(notify.lines("MONOTONIC_USEC=")[0].split("=")[1]) > 0
    notify.wait("READY=1")
    notify.heard.clear()
    (tmp_path / "site_.py").write_text("syntax error\n")
    server.signal(signal.SIGHUP)
    notify.wait("RELOADING=1")
    notify.wait("READY=1")  # the old code serves
    assert "reload failed" in notify.lines("STATUS=")[-1]
    assert server.get("/").status == 200


def test_stopping_is_told_and_takes_its_time(told, notify, go):
    server = told("--timeout", "100", "--graceful-timeout", "60")
    notify.wait("READY=1")
    connection = server.connect()
    connection.send(client.request_bytes("/hold?t=last&file=%s" % go))
    server.traced("hold last")
    notify.heard.clear()
    server.signal(signal.SIGTERM)
    notify.wait("STOPPING=1")
    notify.wait("EXTEND_TIMEOUT_USEC=15000000")
    go.touch()
    assert connection.response().status == 200
    assert server.wait() == 0


def test_the_watchdog_is_fed_while_all_is_well(told, notify):
    server = told(WATCHDOG_USEC="400000")
    notify.wait("WATCHDOG=1")
    notify.heard.clear()
    notify.wait("WATCHDOG=1")
    # A worker that hangs: its heart is looked at, not only the master's.
    os.kill(server.workers()[0].pid, signal.SIGSTOP)
    try:
        wait_until(lambda: stands_still(notify), 40, "a silent watchdog")
    finally:
        os.kill(server.workers()[0].pid, signal.SIGCONT)
    notify.heard.clear()
    notify.wait("WATCHDOG=1")


def stands_still(notify):
    notify.listen()
    return not select.select([notify.socket], [], [], 1)[0]


def test_a_watchdog_of_another_process_is_not_ours(told, notify):
    told(WATCHDOG_USEC="100000", WATCHDOG_PID="1")
    notify.wait("READY=1")
    client.wait_until(lambda: len(notify.lines("READY=1")) == 1)
    assert "WATCHDOG=1" not in notify


def test_upgrade_tells_who_is_the_main_process(told, notify, tmp_path):
    pidfile = tmp_path / "pid"
    server = told("-p", pidfile)
    notify.wait("READY=1")
    server.signal(signal.SIGUSR2)
    with ended(pidfile) as spared:
        spared.append(server.pid)
        new = wait_pid(str(pidfile) + ".2")
        wait_until(lambda: len(notify.lines("READY=1")) == 2)
        notify.heard.clear()
        server.signal(signal.SIGTERM)
        notify.wait("MAINPID=%d" % new)
        assert server.wait() == 0
        # The service goes on: nobody may say that it stops.
        assert "STOPPING=1" not in notify
        assert server.get("/").status == 200
        os.kill(new, signal.SIGTERM)
        server.nothing_left()


def activated(start, listening, *args, program=None, cwd=None, **env):
    """As systemd does it: descriptors from 3 on, and LISTEN_PID. program: the
    words of ExecStart; without, gcorn serves probe:app."""
    fds = [sock.fileno() for sock in listening]
    script = "export LISTEN_PID=$$ LISTEN_FDS=%d; exec \"$@\"" % len(fds)
    moves = " ".join("%d<&%d" % (3 + i, fd) for i, fd in enumerate(fds))
    kind = dict(bind="none", env=env, pass_fds=fds, ready=None, cwd=cwd,
                command=["bash", "-c", "exec %s; %s" % (moves, script), "x"]
                + (program or COMMAND))
    if program:
        return start(None, *args, chdir=None, **kind)
    return start("probe:app", "-w", "2", *args, **kind)


def listening_at(family, address):
    sock = socket.socket(family)
    sock.bind(address)
    sock.listen(128)
    # Clear of 3 and 4, where they are to go.
    high = fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD, 50)
    sock.close()
    return socket.socket(fileno=high)


def test_socket_activation(start, tmp_path):
    path = str(tmp_path / "sock")
    tcp = listening_at(socket.AF_INET, ("127.0.0.1", 0))
    local = listening_at(socket.AF_UNIX, path)
    server = activated(start, [tcp, local], "-b", "127.0.0.1:1")
    server.address = tcp.getsockname()
    wait_until(server.answers)
    assert client.get(path, "/").status == 200
    env = server.get("/env").json
    assert not [key for key in env if key.startswith("LISTEN_")]
    assert server.get("/environ").json["SERVER_PORT"] == str(
        server.address[1])
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    # The sockets are systemd's: the next start finds what came meanwhile.
    assert os.path.exists(path)
    with socket.create_connection(server.address):
        pass
    tcp.close()
    local.close()


def test_upgrade_of_an_activated_one(start, tmp_path):
    pidfile = tmp_path / "pid"
    tcp = listening_at(socket.AF_INET, ("127.0.0.1", 0))
    server = activated(start, [tcp], "-p", pidfile)
    server.address = tcp.getsockname()
    wait_until(server.answers)
    with ended(pidfile) as spared:
        spared.append(server.pid)
        with Load(server) as load:
            server.signal(signal.SIGUSR2)
            new = wait_pid(str(pidfile) + ".2")
            load.more(100)
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
            server.wait_log("Master has been promoted")
            load.more(50)
        load.all_good()
        os.kill(new, signal.SIGTERM)
        server.nothing_left()
    tcp.close()


@pytest.mark.skipif(not shutil.which("systemd-analyze"),
                    reason="no systemd-analyze")
def test_units_are_valid(tmp_path):
    units = []
    for unit in (ROOT / "tools" / "deploy").glob("gcorn.s*"):
        # The program need not be installed where this is tested.
        text = re.sub("(?m)^ExecStart=.*", "ExecStart=/bin/true",
                      unit.read_text())
        units.append(tmp_path / unit.name)
        units[-1].write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units],
                          capture_output=True, text=True)
    assert units and done.returncode == 0, done.stderr
