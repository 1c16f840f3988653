# SPDX-License-Identifier: MIT
"""--autotune, and servers inside cgroups whose limits they have to keep."""

import contextlib
import json
import os
import signal
import socket
import subprocess

import pytest

from cgroups import Cgroup, Unavailable
from client import wait_until
from load import Load
from server import APPS, Server
from test_machine import CPUS

pytestmark = [pytest.mark.gcorn, pytest.mark.release]


@contextlib.contextmanager
def limited(version, *controllers):
    try:
        with Cgroup(version, controllers) as made:
            yield made
    except Unavailable as why:
        pytest.skip("SKIPPED, no cgroup can be made: %s" % why)


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def cgroup(request):
    with limited(request.param, "cpu", "memory") as made:
        made.cpus(1.5)
        made.memory(600)
        yield made


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


# Limits are looked at more often than every 30 s.
OFTEN = {"GCORN_REPLAN_MS": "100"}


@pytest.mark.parametrize("how", ["by itself", "asked by HUP"])
def test_limits_that_change_under_load(start, cgroup, release_command, how):
    """More CPUs: a worker more; less memory: one less; no request lost."""
    def change(what, value):
        what(value)
        if how != "by itself":
            server.signal(signal.SIGHUP)

    cgroup.cpus(1)
    server = start("hungry:app", command=release_command,
                   rlimit=cgroup.enter,
                   env=OFTEN if how == "by itself" else None)
    assert len(server.workers()) == 1
    with Load(server, "/", 4) as load:
        change(cgroup.cpus, 2)
        wait_until(lambda: len(server.workers()) == 2, what="a worker more")
        server.wait_log("changed from 1 to 2 workers")
        load.more(50)
        change(cgroup.memory, 300)
        wait_until(lambda: len(server.workers()) == 1, what="a worker less")
        load.more(50)
    load.all_good()
    assert cgroup.killed() == 0


def masks(server):
    found = []
    for process in server.workers() + server.interpreters():
        with contextlib.suppress(ProcessLookupError):
            found.append(os.sched_getaffinity(process.pid))
    return found


@pytest.mark.skipif(len(CPUS) < 2, reason="SKIPPED: one core")
@pytest.mark.parametrize("version", [1, 2], ids=["v1", "v2"])
def test_a_cpuset_that_moves_under_load(start, version, release_command):
    """Two CPUs, then the second, then the first, then both: there is always
    a pair on each, bound to it, and no request is lost."""
    with limited(version, "cpuset") as cpuset:
        cpuset.cpuset(CPUS)
        server = start("hungry:app", command=release_command, env=OFTEN,
                       rlimit=cpuset.enter)

        def settled(cpus):
            return sorted(masks(server), key=list) == sorted(
                ({cpu} for cpu in cpus for _ in range(2)), key=list)

        wait_until(lambda: settled(CPUS), what="a pair on each CPU")
        with Load(server, "/", 4) as load:
            for cpus in (CPUS[1:], CPUS[:1], CPUS):
                cpuset.cpuset(cpus)
                wait_until(lambda: settled(cpus), 30,
                           "pairs on %s: %s" % (cpus, masks(server)))
                load.more(50)
        load.all_good()
        server.stop()


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


def test_preloaded_memory_is_counted_once(tmp_path, release_command):
    """A worker adds what it writes to, not the application once more."""
    alone, forked = (json.loads(tune(
        release_command, tmp_path, "--json", "--autotune-url", "/", *args,
        env={"MEMORY_START": "100"}).stdout)["plan"]
        for args in ((), ("--preload",)))
    assert alone["worker_bytes"] > 100 << 20 > alone["shared_bytes"]
    assert forked["shared_bytes"] > 100 << 20
    assert forked["worker_bytes"] < 30 << 20
    assert forked["n_mem"] > 3 * alone["n_mem"]


def test_the_configuration_file_counts(tmp_path, release_command):
    file = tmp_path / "gunicorn.conf.py"
    file.write_text("workers = 3\npreload_app = True\n"
                    "wsgi_app = 'hungry:app'\nmax_requests = 7\n")
    done = subprocess.run(
        [release_command[0], "--autotune=print", "--chdir", APPS, "-c", file],
        env=Server(None, directory=tmp_path).env, cwd=tmp_path, text=True,
        capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "autotune   hungry:app" in done.stdout
    assert "3 workers, bound by user" in done.stdout
    assert "preloaded pages are counted once" in done.stdout


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
