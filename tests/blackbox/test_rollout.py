# SPDX-License-Identifier: MIT
"""HUP with settings that a worker process has from its start to its end:
addresses, backend, connections. The processes are replaced one after the
other, and no client notices."""

import errno
import os
import signal
import socket
import subprocess

import pytest

import seccomp
from client import Client, get, wait_until
from load import FreshLoad, Load
from masters import ended, pid_in, wait_pid
from server import COMMAND, free_port
from test_seccomp import URING

pytestmark = pytest.mark.gcorn


class Site:
    """A server whose addresses are in its configuration file."""

    def __init__(self, start, path, *args, **kind):
        self.path = path
        self.address = ("127.0.0.1", free_port())
        self.configure()
        self.server = start("probe:app", "-c", path, *args, bind="none",
                            ready=None, **kind)
        self.server.address = self.address
        wait_until(self.server.answers, what="the start")

    def configure(self, text="", *binds, own=True):
        binds = (["127.0.0.1:%d" % self.address[1]] if own else []) + list(
            binds)
        fresh = self.path.with_suffix(".fresh")
        fresh.write_text("workers = 2\nbind = %r\n%s\n" % (binds, text))
        fresh.replace(self.path)

    def reload(self, how="done"):
        word = "Reload: done" if how == "done" else "Reload failed"
        count = self.server.log().count(word)
        self.server.signal(signal.SIGHUP)
        wait_until(lambda: self.server.log().count(word) > count, what=word)

    def workers(self):
        return {p.pid for p in self.server.workers()}


@pytest.fixture
def site(start, tmp_path):
    def make(*args, **kind):
        return Site(start, tmp_path / "site.conf.py", *args, **kind)
    return make


def refuses(address):
    try:
        Client(address, timeout=5).close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("load_kind", [Load, FreshLoad])
def test_addresses_come_and_go(site, tmp_path, go, load_kind):
    it = site("--keep-alive", "60")
    port, path = free_port(), tmp_path / "sock"
    before, interpreters = it.workers(), len(it.server.interpreters())
    with load_kind(it.server) as load:
        it.configure("", "127.0.0.1:%d" % port, "unix:%s" % path)
        it.reload()
        for _ in range(20):
            response = get(("127.0.0.1", port), "/environ")
            assert response.json["SERVER_PORT"] == str(port)
            assert get(str(path), "/").status == 200
        # Other processes, in the places of the old ones.
        assert not it.workers() & before
        wait_until(lambda: len(it.workers()) == 2, what="the stand-in's end")
        load.more(50)
        with Client(("127.0.0.1", port)) as kept:
            assert kept.request("/").status == 200
            kept.send(b"GET /hold?t=kept&file=%s HTTP/1.1\r\nHost: x\r\n\r\n"
                      % str(go).encode())
            it.server.traced("hold kept")
            it.configure()
            it.server.signal(signal.SIGHUP)
            it.server.wait_log("Not listening any more at: http://127")
            # Who is there already gets what he asked for.
            go.write_text("")
            assert kept.response().status == 200
            it.server.wait_log("(Reload: done.*){2}")
        assert refuses(("127.0.0.1", port)) and refuses(str(path))
        assert not path.exists()
        load.more(50)
        # And again: places on the board are used again.
        it.configure("", "unix:%s" % path)
        it.reload()
        assert get(str(path), "/").status == 200
        load.more(50)
    load.all_good()
    assert len(it.server.interpreters()) == interpreters
    assert "Not listening any more at: http://127.0.0.1:%d" % port in (
        it.server.log())


def test_all_addresses_of_the_machine_in_place_of_one(site):
    """Sockets of both are open for a while, on the same port."""
    it = site()
    own = "127.0.0.1:%d" % it.address[1]
    with FreshLoad(it.server) as load:
        it.configure("", "0.0.0.0:%d" % it.address[1], own=False)
        it.reload()
        assert get(("127.0.0.2", it.address[1]), "/").status == 200
        load.more(50)
        it.configure()
        it.reload()
        load.more(50)
        assert refuses(("127.0.0.2", it.address[1]))
    load.all_good()
    assert own in it.server.log()


def test_a_port_in_use_changes_nothing(site, tmp_path):
    it = site("--control-socket", tmp_path / "ctl")
    before, other = it.workers(), free_port()
    with socket.socket() as taken, Load(it.server) as load:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        it.configure("keepalive = 0", "127.0.0.1:%d" % other,
                     "127.0.0.1:%d" % taken.getsockname()[1])
        found = subprocess.run([COMMAND[0], "reload", "-s", tmp_path / "ctl"],
                               capture_output=True, text=True, timeout=60)
        assert found.returncode == 1
        assert "Address already in use" in found.stdout + found.stderr
        assert refuses(("127.0.0.1", other))
        load.more(50)
        assert not load.server.get("/").closes
    load.all_good()
    assert it.workers() == before


@pytest.mark.parametrize("text, says", [
    ("static_map = ['/s=/nothing/of/the/name']", "/nothing/of/the/name"),
    ("access_log_format = '%(h'", "Invalid access_log_format"),
    ("user = 'nobody-of-the-name'", "nobody-of-the-name"),
])
def test_what_cannot_come_into_force_changes_nothing(site, text, says):
    it = site()
    before = it.workers()
    it.configure(text)
    it.reload("failed")
    assert says in it.server.log()
    assert it.workers() == before and it.server.get("/").status == 200


def test_a_worker_that_cannot_start_changes_nothing(site):
    """io_uring is asked for where it is forbidden."""
    it = site(rlimit=seccomp.enter(seccomp.forbidding(URING, errno.EPERM)))
    port = free_port()
    before = it.workers()
    with Load(it.server) as load:
        it.configure("io = 'uring'", "127.0.0.1:%d" % port)
        it.reload("failed")
        assert "a worker process could not start" in it.server.log()
        load.more(50)
        assert it.workers() == before
        assert refuses(("127.0.0.1", port))
        # What runs is in force: also for a process that has to be replaced.
        os.kill(min(before), signal.SIGKILL)
        wait_until(lambda: len(it.workers()) == 2 and it.workers() != before)
        it.configure("io = 'epoll'", "127.0.0.1:%d" % port)
        it.reload()
        assert get(("127.0.0.1", port), "/").status == 200
    # Only the connections of the one that was killed broke.
    assert set(load.statuses) == {200} and len(load.broken) <= 8


def test_what_workers_are_made_with(site, tmp_path):
    it = site("--access-logfile", tmp_path / "access.log")
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "file").write_text("static")
    with Load(it.server) as load:
        it.configure("static_map = ['/s=%s']\naccess_log_format = 'new %%(r)s'"
                     "\nlimit_request_fields = 7\nio = 'epoll'\nbacklog = 9"
                     % (tmp_path / "static"))
        it.reload()
        load.more(20)
        assert it.server.get("/s/file").text == "static"
        assert it.server.get("/", headers=[("X-%d" % i, "x") for i in
                                           range(9)]).status in (400, 431)
        wait_until(lambda: "new GET /s/file" in
                   (tmp_path / "access.log").read_text())
    load.all_good()
    assert "takes effect with USR2" not in it.server.log()


def test_the_access_log_is_turned_on_and_off(site, tmp_path):
    it = site()
    path = tmp_path / "access.log"
    it.configure("accesslog = %r" % str(path))
    it.reload()
    it.server.get("/is-logged")
    wait_until(lambda: path.exists() and "/is-logged" in path.read_text())
    it.configure()
    it.reload()
    it.server.get("/is-not-logged")
    it.server.stop()
    assert "/is-not-logged" not in path.read_text()


def test_workers_and_addresses_at_once_and_again(site):
    """The second reload comes while the first one's processes change."""
    it = site()
    port = free_port()
    with Load(it.server) as load:
        it.configure("", "127.0.0.1:%d" % port)
        it.server.signal(signal.SIGHUP)
        it.server.wait_log("the new code serves")
        it.configure("workers = 3\nlimit_request_fields = 50",
                     "127.0.0.1:%d" % port)
        it.reload()
        wait_until(lambda: len(it.workers()) == 3)
        load.more(50)
        it.configure("workers = 1")
        it.reload()
        wait_until(lambda: len(it.workers()) == 1)
        load.more(50)
    load.all_good()
    assert refuses(("127.0.0.1", port))


def test_a_worker_killed_meanwhile(site):
    it = site()
    port = free_port()
    it.configure("", "127.0.0.1:%d" % port)
    it.server.signal(signal.SIGHUP)
    wait_until(lambda: len(it.workers()) == 3, what="the stand-in")
    for pid in it.workers():
        os.kill(pid, signal.SIGKILL)
    it.server.wait_log("Reload: done|Reload failed")
    wait_until(lambda: len(it.workers()) == 2)
    for _ in range(20):
        assert it.server.get("/").status == 200


def test_not_while_two_masters_share_the_sockets(site, tmp_path):
    pidfile = tmp_path / "pid"
    it = site("-p", pidfile)
    with ended(pidfile) as spared:
        spared.append(it.server.pid)
        it.server.signal(signal.SIGUSR2)
        new = wait_pid(str(pidfile) + ".2")
        it.server.wait_log("Booting worker.*Booting worker.*Booting worker")
        it.configure("", "127.0.0.1:%d" % free_port())
        it.reload("failed")
        assert "complete the upgrade first" in it.server.log()
        os.kill(new, signal.SIGTERM)
        wait_until(lambda: pid_in(str(pidfile) + ".2") == 0)
        it.reload()


def test_an_upgrade_waits_for_its_end(site, go, tmp_path):
    it = site("-p", tmp_path / "pid")
    with Client(it.address) as kept:
        kept.send(b"GET /hold?t=kept&file=%s HTTP/1.1\r\nHost: x\r\n\r\n"
                  % str(go).encode())
        it.server.traced("hold kept")
        it.configure("limit_request_fields = 50")
        it.server.signal(signal.SIGHUP)
        it.server.wait_log("the new code serves")
        it.server.signal(signal.SIGUSR2)
        it.server.wait_log("USR2: I/O workers are just being replaced")
        go.write_text("")
        assert kept.response().status == 200
    it.server.wait_log("Reload: done")
    assert pid_in(str(tmp_path / "pid") + ".2") == 0
    assert it.server.get("/").status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_another_user(site, tmp_path):
    tmp_path.chmod(0o755)
    it = site()
    with Load(it.server) as load:
        it.configure("user = 'nobody'\ngroup = 'nogroup'")
        it.reload()
        load.more(20)
        assert it.server.get("/process").json["uid"] != 0
        wait_until(lambda: len(it.workers()) == 2)
        assert {os.stat("/proc/%d" % pid).st_uid for pid in it.workers()} == {
            it.server.get("/process").json["uid"]}
    load.all_good()
