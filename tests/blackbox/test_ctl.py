# SPDX-License-Identifier: MIT
"""gcorn ctl, gcorn reload, and Gunicorn's own gunicornc on the same socket."""

import json
import os
import pathlib
import pty
import shutil
import signal
import socket
import struct
import subprocess
import sys

import pytest

from client import request_bytes, wait_until

pytestmark = pytest.mark.gcorn
GUNICORNC = pathlib.Path(sys.executable).parent / "gunicornc"
APP = "def app(environ, start):\n    start('200 OK', [])\n    return [%r]\n"


class Controlled:
    def __init__(self, server, path):
        self.server = server
        self.path = path

    def run(self, *words, command="ctl"):
        return subprocess.run(
            [*self.server.command, command, "-s", str(self.path), *words],
            env=self.server.env, capture_output=True, text=True, timeout=60)

    def ask(self, *words):
        done = self.run("--json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def gunicornc(self, command):
        if not GUNICORNC.exists():
            pytest.skip("no gunicornc")
        return subprocess.run([GUNICORNC, "-s", self.path, "-c", command],
                              capture_output=True, text=True, timeout=60)

    def raw(self, data):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(self.path))
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            try:
                return sock.recv(65536)
            except ConnectionResetError:
                return b""


@pytest.fixture
def short():
    """A directory whose paths fit into a socket's name."""
    directory = pathlib.Path("/tmp/gcorn-test-%d" % os.getpid())
    directory.mkdir()
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def ctl(start, short):
    def starter(*args, **kind):
        path = short / "ctl"
        server = start(*(args or ("probe:app", "-w", "2")),
                       "--control-socket", path, **kind)
        return Controlled(server, path)
    return starter


def test_shows_what_there_is(ctl):
    it = ctl()
    it.server.get("/")
    workers = it.ask("show", "workers")
    assert {w["pid"] for w in workers["workers"]} == {
        p.pid for p in it.server.interpreters()}
    assert it.ask("show", "stats")["counters"]["requests"] >= 1
    assert it.ask("show", "config")["workers"] == 2
    assert it.ask("show", "listeners")["listeners"][0]["address"] == (
        "http://%s:%d" % it.server.address)
    text = it.run("show", "workers").stdout
    assert "PID" in text and str(workers["workers"][0]["pid"]) in text


def test_lists_connections(ctl, go):
    it = ctl()
    idle, busy, slow = (it.server.connect() for _ in range(3))
    for _ in range(3):
        idle.request("/")
    busy.send(request_bytes("/hold?t=busy&file=%s" % go))
    it.server.traced("hold busy")
    slow.send(b"GET / HT")
    peers = {name: "127.0.0.1:%d" % connection.sock.getsockname()[1]
             for name, connection in (("idle", idle), ("waiting", busy),
                                      ("receiving", slow))}

    def listed():
        shown = it.ask("show", "connections")
        found = {c["peer"]: c for c in shown["connections"]}
        return {name: found[peer] for name, peer in peers.items()
                if peer in found and found[peer]["state"] == name}

    wait_until(lambda: len(listed()) == 3, what="three connections")
    seen = listed()
    assert seen["idle"]["requests"] == 3
    assert seen["waiting"]["requests"] == 1
    assert seen["waiting"]["target"].startswith("/hold?t=busy")
    assert all(c["age"] >= c["since"] >= 0 for c in seen.values())
    shown = it.ask("show", "connections")
    assert {w["worker_pid"] for w in shown["workers"]} == {
        p.pid for p in it.server.workers()}
    text = it.run("show", "connections").stdout
    assert "PEER" in text and peers["waiting"] in text
    go.touch()
    assert busy.response().status == 200
    for connection in (idle, busy, slow):
        connection.close()
    wait_until(lambda: not any(
        c["peer"] in peers.values()
        for c in it.ask("show", "connections")["connections"]))


def test_answers_while_every_interpreter_is_busy(ctl, go):
    """And while a worker hangs, whose connections are then left out."""
    it = ctl()
    holders = [it.server.connect() for _ in range(4)]
    for i, holder in enumerate(holders):
        holder.send(request_bytes("/hold?t=%d&file=%s" % (i, go)))
    wait_until(lambda: sum(
        c["state"] == "waiting" for c in
        it.ask("show", "connections")["connections"]) == 4)
    wait_until(lambda: [w["running"] for w in
                        it.ask("show", "workers")["workers"]] == [1, 1])
    hung = it.server.workers()[0].pid
    os.kill(hung, signal.SIGSTOP)
    try:
        shown = it.ask("show", "connections")
        assert len(shown["workers"]) == 2
        assert it.ask("show", "stats")["pid"] == it.server.pid
    finally:
        os.kill(hung, signal.SIGCONT)
        go.touch()
    assert all(holder.response().status == 200 for holder in holders)


def test_help_lists_the_commands_and_unknown_ones_fail(ctl):
    it = ctl()
    assert "worker kill <PID>" in it.run("help").stdout
    for words in (["nonsense"], ["show", "nothing"], ["worker", "add", "x"]):
        done = it.run(*words)
        assert done.returncode == 1 and "Error: " in done.stderr


def test_adds_removes_and_replaces_workers(ctl):
    it = ctl()
    first = it.ask("show", "workers")["workers"]
    assert it.ask("worker", "add", "1")["total"] == 3
    wait_until(lambda: len(it.server.interpreters()) == 3, what="three")
    assert it.ask("worker", "remove")["total"] == 2
    wait_until(lambda: len(it.server.interpreters()) == 2, what="two")
    gone = first[0]["pid"]
    assert it.ask("worker", "kill", str(gone))["killed"] == gone
    wait_until(lambda: gone not in {
        w["pid"] for w in it.ask("show", "workers")["workers"]} and
        len(it.server.interpreters()) == 2, what="another in its place")
    assert it.run("worker", "kill", "1").returncode == 1


def test_reload_says_whether_it_worked(ctl, tmp_path):
    code = tmp_path / "reloaded.py"
    code.write_text(APP % b"one")
    it = ctl("reloaded:app", "-w", "1", chdir=tmp_path)
    code.write_text(APP % b"two")
    assert it.run(command="reload").returncode == 0
    assert it.server.get("/").body == b"two"
    code.write_text("not python(")
    failed = it.run(command="reload")
    assert failed.returncode == 1
    assert "failed" in failed.stdout
    assert it.server.get("/").body == b"two"
    assert it.run("reload").returncode == 1


def test_reopen_and_shutdown(ctl):
    it = ctl()
    assert it.ask("reopen") == {"status": "reopening"}
    it.server.wait_log("Handling signal: usr1")
    assert it.ask("shutdown")["status"] == "shutting_down"
    assert it.server.wait() == 0
    assert not it.path.exists()
    assert it.run("show", "stats").returncode == 1


def test_gunicornc(ctl):
    it = ctl()
    pids = [str(p.pid) for p in it.server.interpreters()]
    shown = it.gunicornc("show workers")
    assert shown.returncode == 0, shown.stderr
    assert all(pid in shown.stdout for pid in pids)
    assert "Total: 2 workers" in shown.stdout
    assert str(it.server.pid) in it.gunicornc("show all").stdout
    assert "Workers target:   2" in it.gunicornc("show stats").stdout
    assert "not running" in it.gunicornc("show dirty").stdout
    assert "tcp" in it.gunicornc("show listeners").stdout
    assert "worker_class: sync" in it.gunicornc("show config").stdout
    assert "show workers" in it.gunicornc("help").stdout
    assert json.loads(it.gunicornc("worker add 2").stdout)["added"] == 2
    assert json.loads(it.gunicornc("reload").stdout) == {
        "status": "reloading"}
    assert it.gunicornc("nonsense").returncode == 1


@pytest.mark.parametrize("garbage", [
    b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\2[]", b"\0\0\0\4null",
    struct.pack(">I", 20000) + b"[" * 20000, b"\xff\xff\xff\xff",
    struct.pack(">I", 60000) + b'{"command": "show', b"\0\0",
    b'\0\0\0\x1f{"command": 5, "args": "what"}x',
])
def test_garbage(ctl, garbage):
    it = ctl()
    it.raw(garbage)
    assert it.ask("show", "stats")["pid"] == it.server.pid


def test_only_the_user_may_use_it(ctl):
    assert ctl().path.stat().st_mode & 0o777 == 0o600


def test_two_servers_never_take_each_others_socket(ctl, start):
    first = ctl()
    other = start("probe:app", "--control-socket", first.path)
    assert first.ask("show", "stats")["pid"] == first.server.pid
    second = Controlled(other, first.path.with_name("ctl-%d" % other.pid))
    assert second.ask("show", "stats")["pid"] == other.pid
    first.server.stop()
    # The name is free now.
    wait_until(first.path.exists, what="the socket's own name")
    second.path = first.path
    assert second.ask("show", "stats")["pid"] == other.pid
    other.stop()
    assert not first.path.exists()


def test_a_stale_file_is_no_server(ctl, short):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(short / "ctl"))
    it = ctl()
    assert it.ask("show", "stats")["pid"] == it.server.pid


def test_none_if_not_wanted(start, short):
    start("probe:app", "--control-socket", short / "ctl",
          "--no-control-socket")
    assert not (short / "ctl").exists()


def test_interactive_with_history(ctl, tmp_path):
    it = ctl()
    env = dict(it.server.env, HOME=str(tmp_path), TERM="dumb")
    master, slave = pty.openpty()
    with subprocess.Popen([*it.server.command, "ctl", "-s", str(it.path)],
                          env=env, stdin=slave, stdout=slave, stderr=slave,
                          close_fds=True) as process:
        os.close(slave)
        os.write(master, b"show listeners\nnonsense\nshow stats\nquit\n")
        seen = b""
        try:
            while True:
                seen += os.read(master, 65536)
        except OSError: # EIO: it has left
            pass
        assert process.wait(20) == 0
    os.close(master)
    assert b"ADDRESS" in seen and b"workers_target" in seen
    assert b"Unknown command: nonsense" in seen
    history = (tmp_path / ".gcorn_history").read_text()
    assert "listeners" in history and "nonsense" in history


def test_commands_from_a_pipe(ctl):
    it = ctl()
    done = subprocess.run(
        [*it.server.command, "ctl", "-s", str(it.path), "-j"],
        input="show stats\nnonsense\nshow stats\n", capture_output=True,
        text=True, timeout=60, env=it.server.env)
    assert done.returncode == 1
    assert done.stdout.count('"uptime"') == 1


def test_keepalive_advice(ctl):
    it = ctl()
    with it.server.connect() as client:
        for _ in range(150):
            client.request("/")
    wait_until(lambda: it.ask("show", "keepalive")["closed_by_peer"] > 0,
               what="the end of the connection")
    advice = it.ask("show", "keepalive")
    assert advice["came_back"] == 149
    assert advice["keep_alive"] == 2
    assert advice["recommended"] == 1
    assert advice["choices"][0]["kept_percent"] == 100
    assert "KEEP ALIVE" in it.run("show", "keepalive").stdout


def test_autotune_log(ctl, tmp_path):
    log = tmp_path / "nginx.log"
    log.write_text("".join(
        '10.0.0.%d - - [24/Nov/2026:20:00:%02d +0000] "GET /" 200\n'
        % (i % 3, i) for i in range(60)))
    command = ctl().server.command
    done = subprocess.run([*command, "--autotune-log", log], timeout=60,
                          capture_output=True, text=True)
    assert done.returncode == 0
    assert "Recommended: --keep-alive 5" in done.stdout
    missing = subprocess.run([*command, "--autotune-log", "/nothing"],
                             timeout=60, capture_output=True, text=True)
    assert missing.returncode == 1 and "can't read" in missing.stderr
