# SPDX-License-Identifier: MIT
"""--autotune, and servers inside cgroups whose limits they have to keep."""

import json
import signal
import socket
import subprocess

import pytest

from cgroups import Cgroup, Unavailable
from client import wait_until
from load import Load
from server import APPS, Server

pytestmark = [pytest.mark.gcorn, pytest.mark.release]


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def cgroup(request):
    try:
        with Cgroup(request.param) as made:
            made.cpus(1.5)
            made.memory(600)
            yield made
    except Unavailable as why:
        pytest.skip("SKIPPED, no cgroup can be made: %s" % why)


def tune(command, tmp_path, *args, env=None, **kind):
    """--autotune=print: its exit status and what it said."""
    server = Server("hungry:app", *args, directory=tmp_path, env=env)
    return subprocess.run(
        [command[0], "--autotune=print", "--chdir", APPS, *args,
         "hungry:app"], env=server.env, cwd=tmp_path, text=True,
        capture_output=True, timeout=60, **kind)


def test_a_limited_server_has_the_right_size(start, cgroup, release_command):
    """100 MB of application, 1.5 CPUs, 600 MB: one worker, since half a CPU
    is none; it lives through load that takes and gives back memory."""
    server = start(
        "hungry:app", "--autotune", "--autotune-url", "/",
        command=release_command, rlimit=cgroup.enter,
        env={"MEMORY_START": "100"})
    said = server.log()
    assert "plan       1 worker, bound by quota" in said
    assert "one more would need: a CPU quota of 2 CPUs" in said
    assert "600 MiB (limit of cgroup /" in said
    assert "pin: off" in said
    assert len(server.workers()) == 1
    with Load(server, "/take?mb=30", 8) as load:
        load.more(40)
    load.all_good()
    assert cgroup.killed() == 0
    assert "SIGKILL" not in server.log()


def test_limits_that_change_under_load(start, cgroup, release_command):
    """More CPUs: a worker more; less memory: one less; no request lost."""
    cgroup.cpus(1)
    server = start("hungry:app", command=release_command,
                   rlimit=cgroup.enter)
    assert len(server.workers()) == 1
    with Load(server, "/", 4) as load:
        cgroup.cpus(2)
        server.signal(signal.SIGHUP)
        wait_until(lambda: len(server.workers()) == 2, what="a worker more")
        server.wait_log("changed from 1 to 2 workers")
        load.more(50)
        cgroup.memory(300)
        server.signal(signal.SIGHUP)
        wait_until(lambda: len(server.workers()) == 1, what="a worker less")
        load.more(50)
    load.all_good()
    assert cgroup.killed() == 0


def test_what_does_not_fit_is_said(tmp_path, cgroup, release_command):
    cgroup.memory(150)
    done = tune(release_command, tmp_path, env={"MEMORY_START": "100"},
                preexec_fn=cgroup.enter)
    assert done.returncode == 1
    assert "one worker does not fit in memory" in done.stdout
    assert "more memory, or workers of at most" in done.stdout


# ---- anywhere

def test_the_plan_can_be_read_by_programs(tmp_path, release_command):
    done = tune(release_command, tmp_path, "--json", "--autotune-url", "/",
                "--autotune-url", "/leak?bytes=8000",
                env={"MEMORY_START": "40"})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    measured, plan = found["measured"], found["plan"]
    assert found["schema"] == "gcorn-autotune/1"
    assert measured["requests"] == 300 and measured["failed_requests"] == 0
    assert 40 << 20 < measured["interpreter_bytes"] < 80 << 20
    # Every second request keeps 8,000 bytes.
    assert 2000 < measured["growth_bytes_per_request"] < 8000
    assert plan["worker_bytes"] >= measured["interpreter_bytes"] * 5 / 4
    assert plan["alarm_after_requests"] > 0
    assert plan["one_more_needs"]
    assert plan["workers"] >= 1


def test_requests_that_fail_are_no_measure(tmp_path, release_command):
    done = tune(release_command, tmp_path, "--autotune-url", "/fail")
    assert done.returncode == 0
    assert "200 requests failed (status 500;" in done.stdout


def test_an_application_that_does_not_load(tmp_path, release_command):
    done = tune(release_command, tmp_path, env={"MEMORY_START": "x"})
    assert done.returncode == 3
    assert "ValueError" in done.stderr and done.stdout == ""


def test_it_serves_with_what_it_measured(start, release_command):
    server = start("hungry:app", "-w", "2", "--autotune",
                   command=release_command)
    assert "2 workers, bound by user" in server.log()
    assert server.get("/").status == 200


def test_only_the_server_itself_speaks_to_systemd(start, tmp_path,
                                                  release_command):
    """Not its trial, which is ready long before."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)
        server = start("hungry:app", "--autotune", command=release_command,
                       env={"NOTIFY_SOCKET": path})
        assert server.get("/").status == 200
        said = manager.recv(4096)
        manager.settimeout(1)
        try:
            while True:
                said += b"\n" + manager.recv(4096)
        except TimeoutError:
            pass
    assert said.count(b"READY=1") == 1, said
    assert b"STOPPING" not in said
