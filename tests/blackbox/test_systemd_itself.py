# SPDX-License-Identifier: MIT
"""The units of tools/deploy, unchanged, under a systemd that runs as process
1: the build is installed, the application is where they expect it."""

import ctypes
import errno
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

import booted
import client
from client import wait_until
from load import FreshLoad
from masters import alive, wait_gone
from server import APPS, COMMAND, ROOT, SANITIZERS, Process

pytestmark = pytest.mark.gcorn
BUILD = pathlib.Path(COMMAND[0]).resolve().parents[1]
DEPLOY = ROOT / "tools" / "deploy"
PYTHON = "/usr/bin/python3"
WSGI = """
from probe import app as application
VERSION = "1"
"""
REPLY = """
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"second"]
"""
BROKEN = "raise RuntimeError('no database')\n"
# No journal runs.
SETTINGS = """[Service]
StandardOutput=append:/var/log/app.log
StandardError=inherit
Environment="ASAN_OPTIONS=%s" "UBSAN_OPTIONS=%s" PYTHONDONTWRITEBYTECODE=1 \
    PROBE_TRACE=/run/app/trace
WatchdogSec=3
ExecStart=
ExecStart=/usr/local/bin/gcorn -w 2 --pid /run/app/gcorn.pid \\
    --control-socket /run/app/gcorn.ctl app.wsgi:application
""" % (SANITIZERS["ASAN_OPTIONS"], SANITIZERS["UBSAN_OPTIONS"])


def installed(upper):
    """The build and an application with a virtual environment."""
    if not (BUILD / "build.ninja").exists() or not shutil.which("meson"):
        pytest.skip("%s is no build that could be installed" % BUILD)
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild",
                    "--quiet", "--destdir", upper], check=True)
    if not (upper / "usr/local/bin/gcorn").exists():
        pytest.skip("the units expect the prefix /usr/local")
    home = upper / "srv" / "app"
    package = home / "app"
    package.mkdir(parents=True)
    shutil.copy(APPS / "probe.py", home)
    (package / "wsgi.py").write_text(WSGI)
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", home / "venv"],
                   check=True)
    return upper


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    try:
        booted.look()
    except booted.Unavailable as error:
        pytest.skip(str(error))
    directory = tmp_path_factory.mktemp("systemd")
    upper = installed(directory / "upper")
    units = {path.name: path for path in DEPLOY.glob("gcorn.[s]*")}
    units["gcorn.service.d/test.conf"] = SETTINGS
    with booted.System(directory, upper, units) as it:
        yield it


def inner(pid):
    """Its number in its own namespace."""
    found = re.search(r"^NSpid:.*\t(\d+)$", Process(pid).read("status"), re.M)
    return int(found[1]) if found else 0


def has_uring():
    """Whether this kernel knows io_uring_setup(), outside of any unit."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(425, 0, None)
    return ctypes.get_errno() not in (errno.ENOSYS, errno.EPERM)


class Service:
    """gcorn.service and its socket, both stopped at the end."""

    unit = "gcorn.service"

    def __init__(self, system):
        self.system = system
        self.address = str(system.path("/run/gcorn.sock"))
        self.file = system.path("/var/log/app.log")
        self.file.unlink(missing_ok=True)

    def show(self, name):
        return self.system.show(self.unit, name)

    def wait(self, name, value):
        wait_until(lambda: self.show(name) == value, 30,
                   "%s=%s, not %s; %s" % (name, value, self.show(name),
                                          self.log()))

    def log(self):
        return self.file.read_text() if self.file.exists() else ""

    def start(self):
        self.system.ctl("start", self.unit)

    def main(self):
        """The main process, as the tests see it."""
        inside = int(self.show("MainPID"))
        return next((pid for pid in self.processes()
                     if inner(pid) == inside), 0)

    def worker(self):
        return next(pid for pid in self.processes()
                    if "gcorn: worker" in Process(pid).title)

    def ctl(self, *words):
        return self.system.run("gcorn", "ctl", "-s", "/run/app/gcorn.ctl",
                               *words)

    def connect(self):
        return client.Client(self.address)

    def get(self, target="/"):
        return client.get(self.address, target)

    def processes(self):
        """Pids of the service, as the tests see them."""
        path = self.system.cgroup / "system.slice" / self.unit
        try:
            text = (path / "cgroup.procs").read_text()
        except OSError:
            return []
        return [int(pid) for pid in text.split()]

    def write(self, text):
        self.system.path("/srv/app/app/wsgi.py").write_text(text)


@pytest.fixture
def service(system):
    it = Service(system)
    it.write(WSGI)
    system.ctl("start", "gcorn.socket")
    yield it
    system.ctl("stop", it.unit, "gcorn.socket")
    system.ctl("reset-failed", check=False)
    assert it.processes() == []


def test_a_connection_starts_it(service):
    assert service.show("ActiveState") == "inactive"
    # Waits in the socket until there is somebody.
    assert service.get("/").status == 200
    service.wait("ActiveState", "active")
    assert service.show("StatusText") == "Serving"
    me = service.get("/process").json
    assert (me["uid"], me["gid"], me["cwd"]) == (33, 33, "/srv/app")
    assert me["prefix"] == "/srv/app/venv"


def test_nothing_is_missing_in_the_sandbox(service):
    """Ring, memory policy, control socket, pid file, claims of cores."""
    service.system.run("systemd-tmpfiles", "--create",
                       str(DEPLOY / "gcorn.tmpfiles"))
    service.start()
    log = service.log()
    assert "Control socket listening at /run/app/gcorn.ctl" in log
    assert ("Using epoll" in log) != has_uring()
    assert "Cores are not shared out" not in log
    assert "[ERROR]" not in log
    assert service.ctl("show", "workers").returncode == 0
    assert service.system.path("/run/app/gcorn.pid").read_text().strip() == (
        service.show("MainPID"))
    # And what is to be out of reach is.
    status = pathlib.Path(
        "/proc/%d/status" % service.processes()[-1]).read_text()
    for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t" + "0" * 16):
        assert line in status, status


def test_reload(service):
    service.start()
    main = service.show("MainPID")
    service.write(WSGI.replace("application\n", "application\n#") + REPLY)
    service.system.ctl("reload", service.unit)
    service.wait("StatusText", "Serving, reloaded")
    wait_until(lambda: service.get("/").body == b"second")
    service.write(BROKEN)
    service.system.ctl("reload", service.unit)
    wait_until(lambda: "reload failed" in service.show("StatusText"))
    assert service.get("/").body == b"second"
    assert service.show("MainPID") == main
    assert service.show("ActiveState") == "active"


def test_an_upgrade_moves_the_main_process(service):
    service.start()
    old = service.main()
    with FreshLoad(service, connections=4) as load:
        service.system.kill(service.unit, signal.SIGUSR2)
        wait_until(lambda: service.log().count("Starting gcorn") == 2)
        load.more(50)
        os.kill(old, signal.SIGTERM)
        wait_gone(old)
        load.more(50)
        load.all_good()
    new = service.main()
    assert new not in (0, old)
    assert service.show("ActiveState") == "active"
    assert service.show("NRestarts") == "0"
    # It is fed by the new one, and reloads it.
    service.system.ctl("reload", service.unit)
    service.wait("StatusText", "Serving, reloaded")
    assert service.main() == new


def test_stop_waits_for_a_request(service):
    service.start()
    with service.connect() as connection:
        connection.send(client.request_bytes("/hold?file=/run/app/go"))
        wait_until(service.system.path("/run/app/trace").exists)
        service.system.ctl("stop", "--no-block", service.unit)
        service.wait("StatusText", "Finishing what is there")
        assert service.show("ActiveState") == "deactivating"
        service.system.path("/run/app/go").touch()
        assert connection.response().body == b"released"
    service.wait("ActiveState", "inactive")
    assert service.show("Result") == "success"


def test_restart_loses_nobody(service):
    """Whoever comes meanwhile waits in systemd's socket."""
    service.start()
    with FreshLoad(service, connections=4) as load:
        for _ in range(3):
            load.more(20)
            service.system.ctl("restart", service.unit)
        load.more(20)
        load.all_good()


def test_the_watchdog_ends_what_hangs(service):
    service.start()
    main = service.main()
    os.kill(service.worker(), signal.SIGSTOP)
    service.wait("Result", "watchdog")
    wait_until(lambda: service.main() not in (0, main))
    service.wait("ActiveState", "active")
    assert service.get("/").status == 200
    assert not alive(main)


def test_a_killed_master_is_started_again(service):
    service.start()
    before = service.processes()
    os.kill(service.main(), signal.SIGKILL)
    wait_until(lambda: service.show("NRestarts") == "1")
    service.wait("ActiveState", "active")
    assert service.get("/").status == 200
    assert not set(before) & set(service.processes())


def test_what_cannot_start_says_why(service):
    service.write(BROKEN)
    done = service.system.ctl("start", service.unit, check=False)
    assert done.returncode != 0
    service.wait("ExecMainStatus", "3")
    assert "no database" in service.log()
