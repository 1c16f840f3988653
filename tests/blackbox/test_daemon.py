# SPDX-License-Identifier: MIT
"""--daemon, pid files, and gcorn as the first process of a container."""

import os
import shutil
import signal
import socket
import subprocess

import pytest

import client
from client import wait_until
from masters import alive, ended, pid_in, wait_gone
from server import APPS, COMMAND, Server, free_port

pytestmark = pytest.mark.gcorn


@pytest.fixture
def run(tmp_path):
    """run(app, *args) -> the finished command, its address, its pid file."""
    def go(app, *args, **kind):
        address = ("127.0.0.1", free_port())
        pidfile = tmp_path / "pid"
        env = Server(directory=tmp_path).environment(None)
        done = subprocess.run(
            COMMAND + ["-D", "-w", "1", "-p", pidfile, "-b", "%s:%d" % address,
                       "--log-file", tmp_path / "log", "--chdir", APPS,
                       *args, app],
            env=env, cwd=tmp_path, text=True, timeout=60,
            stdin=subprocess.DEVNULL, capture_output=True, **kind)
        return done, address, pidfile

    with ended(tmp_path / "pid"):
        yield go


def session(pid):
    with open("/proc/%d/stat" % pid) as file:
        return int(file.read().rpartition(")")[2].split()[3])


def test_when_the_command_returns_it_serves(run, tmp_path):
    done, address, pidfile = run("probe:app")
    assert (done.returncode, done.stdout) == (0, "")
    pid = pid_in(pidfile)
    assert client.get(address, "/").status == 200
    # No terminal, no open stream of whoever started it, no session leader.
    assert session(pid) not in (pid, os.getsid(0))
    for fd in range(3):
        assert os.readlink("/proc/%d/fd/%d" % (pid, fd)) == "/dev/null"
    # WINCH stops the workers, HUP brings them back.
    os.kill(pid, signal.SIGWINCH)
    wait_until(lambda: "Worker exiting" in (tmp_path / "log").read_text())
    os.kill(pid, signal.SIGHUP)
    assert client.get(address, "/").status == 200
    os.kill(pid, signal.SIGTERM)
    wait_gone(pid)
    assert not pidfile.exists()


def test_streams_may_stay(run, tmp_path):
    """-R: as for a supervisor that reads what the application prints."""
    with open(tmp_path / "out", "w") as out:
        address = ("127.0.0.1", free_port())
        subprocess.run(COMMAND + ["-D", "-R", "-w", "1", "--chdir", APPS, "-b",
                                  "%s:%d" % address, "-p", tmp_path / "pid",
                                  "probe:app"],
                       env=Server(directory=tmp_path).environment(None),
                       stdout=out, stderr=out, timeout=60, check=True)
    pid = pid_in(tmp_path / "pid")
    assert os.readlink("/proc/%d/fd/1" % pid) == str(tmp_path / "out")
    os.kill(pid, signal.SIGTERM)
    wait_gone(pid)


@pytest.mark.parametrize("app, code", [("broken_import:app", 3),
                                       ("probe:nothing", 4)])
def test_the_exit_code_is_that_of_the_server(run, tmp_path, app, code):
    done, _, pidfile = run(app)
    assert done.returncode == code
    assert not pidfile.exists()
    assert "Traceback" in (tmp_path / "log").read_text() or code == 4


def test_a_busy_port_is_said_on_the_terminal(run):

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done, *_ = run("probe:app", "-b", "127.0.0.1:%d"
                       % taken.getsockname()[1])
    assert done.returncode == 1
    assert "Address already in use" in done.stderr


def test_a_second_one_is_refused(run):
    done, _, pidfile = run("probe:app")
    first = pid_in(pidfile)
    again, *_ = run("probe:app")
    assert again.returncode == 1
    assert "Already running on PID %d" % first in again.stderr
    assert alive(first) and pid_in(pidfile) == first
    os.kill(first, signal.SIGTERM)
    wait_gone(first)


def test_a_stale_pid_file_is_no_obstacle(run):
    _, _, pidfile = run("probe:app")
    first = pid_in(pidfile)
    os.kill(first, signal.SIGKILL)
    wait_gone(first)
    done, *_ = run("probe:app")
    assert done.returncode == 0 and pid_in(pidfile) != first
    os.kill(pid_in(pidfile), signal.SIGTERM)
    wait_until(lambda: not pidfile.exists())


ORPHANS = """
import subprocess
def app(environ, start_response):
    # A child that leaves a grandchild behind, which ends soon.
    subprocess.run(["sh", "-c", "sleep 0.01 &"], check=True)
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


def in_a_pid_namespace():
    return shutil.which("unshare") and subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "true"],
        capture_output=True).returncode == 0


@pytest.mark.skipif(not in_a_pid_namespace(), reason="no pid namespaces here")
def test_as_the_first_process_it_reaps_strangers(tmp_path):
    (tmp_path / "orphans.py").write_text(ORPHANS)
    address = ("127.0.0.1", free_port())
    # As the entry point of an image does it.
    env = Server(directory=tmp_path).environment({
        "GUNICORN_CMD_ARGS": "--bind=%s:%d --workers=1" % address})
    with open(tmp_path / "log", "w") as log:
        it = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c",
             'exec "$@"', "entrypoint", *COMMAND, "--chdir", tmp_path,
             "orphans:app"],
            env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: "Booting worker" in (tmp_path / "log").read_text())
        for _ in range(20):
            assert client.get(address, "/").status == 200
        wait_until(lambda: not zombies_below(it.pid), what="no zombies")
        master = children(it.pid)[0]
        assert inner_pid(master) == 1
        os.kill(master, signal.SIGTERM)
        assert it.wait(30) == 0
    finally:
        for pid in children(it.pid):
            os.kill(pid, signal.SIGKILL)
        it.kill()
        it.wait()


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def inner_pid(pid):
    with open("/proc/%d/status" % pid) as file:
        line = next(line for line in file if line.startswith("NSpid"))
    return int(line.split()[-1])


def is_zombie(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:  # reaped since it was listed
        return False


def zombies_below(pid):
    found = []
    for child in children(pid):
        if is_zombie(child):
            found.append(child)
        found += zombies_below(child)
    return found
