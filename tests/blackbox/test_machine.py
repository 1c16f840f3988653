# SPDX-License-Identifier: MIT
"""Cores: who gets which, and what several masters on one host do."""

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

import client
from client import wait_until
from load import Load
from server import APPS, COMMAND, Server, free_port

pytestmark = pytest.mark.gcorn
TOPO = pathlib.Path(COMMAND[0]).parent.parent / "tools/topo/gcorn-topo"


def two_cores():
    """A CPU each of two cores, or as many as there are."""
    cpus, seen = [], set()
    for cpu in sorted(os.sched_getaffinity(0)):
        path = pathlib.Path("/sys/devices/system/cpu/cpu%d/topology/"
                            "thread_siblings_list" % cpu)
        siblings = path.read_text() if path.exists() else str(cpu)
        if siblings not in seen:
            cpus.append(cpu)
        seen.add(siblings)
    return cpus[:2]


CPUS = two_cores()
needs_two = pytest.mark.skipif(len(CPUS) < 2, reason="SKIPPED: one core")


def on_two_cores():
    os.sched_setaffinity(0, CPUS)


def masks(server):
    return [os.sched_getaffinity(p.pid) for p in server.workers()]


def bound(server):
    """The CPUs that its worker processes are bound to, when all are."""
    def all_bound():
        found = masks(server)
        return found and all(mask != set(CPUS) for mask in found)

    wait_until(all_bound, what="workers that are bound")
    return set().union(*masks(server))


@pytest.fixture
def shared(tmp_path):
    """How to start servers that know of each other's cores."""
    return {"env": {"GCORN_RUNTIME_DIR": str(tmp_path / "run")},
            "rlimit": on_two_cores}


def tell(program, *args, shared):
    """What a program says of the cores that are left."""
    done = subprocess.run(
        [str(program), *args],
        env=Server(None, directory="/nonexistent", env=shared["env"]).env,
        preexec_fn=on_two_cores, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_two
def test_masters_that_start_at_once_share_the_cores(tmp_path, shared):
    masters = []
    try:
        for n in range(3):
            (tmp_path / str(n)).mkdir()
            masters.append(Server("hello:app", "-w", "1", "--pin", "core",
                                  directory=tmp_path / str(n), **shared))
            masters[n].spawn()
        for master in masters:
            wait_until(master.answers, 40, "an answer")
        # Whoever was last has none.
        masters.sort(key=lambda m: "have left no core" in m.log())
        assert bound(masters[0]) & bound(masters[1]) == set()
        assert masks(masters[2]) == [set(CPUS)]
        assert "pin off: other gcorn masters have left no core" in (
            masters[2].log())
    finally:
        for master in masters:
            master.stop()


@needs_two
def test_whoever_plans_sees_what_is_taken(start, shared):
    """The reports count a running master's cores as gone."""
    first = start("hello:app", "-w", "1", "--pin", "core", **shared)
    taken = bound(first)
    seen = json.loads(tell(TOPO, "--json", shared=shared))
    assert [claim["pid"] for claim in seen["limits"]["claims"]] == [first.pid]
    assert taken <= parse_list(seen["limits"]["claims"][0]["cpus"])
    assert seen["plan"]["n_cpu"] == 1
    assert seen["plan"]["placement"][0]["pus"][0] not in taken
    assert "gcorn (pid %d)" % first.pid in tell(TOPO, "--plan", shared=shared)
    free = json.loads(tell(TOPO, "--json", "--no-claims", shared=shared))
    assert free["plan"]["n_cpu"] == 2 and free["limits"]["claims"] == []
    said = tell(COMMAND[0], "--autotune=print", "--json", "--chdir", APPS,
                "hello:app", shared=shared)
    assert json.loads(said)["plan"]["n_cpu"] == 1


def parse_list(text):
    """{0, 1, 4} of "0-1,4"."""
    cpus = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return cpus


@needs_two
def test_the_cores_of_a_dead_master_are_free(start, shared):
    first = start("hello:app", "--pin", "core", **shared)
    taken = bound(first)
    first.kill()
    second = start("hello:app", "--pin", "core", **shared)
    assert bound(second) == taken


@needs_two
def test_a_worker_more_takes_a_core_if_there_is_one(start, shared):
    first = start("hello:app", "-w", "1", "--pin", "core", **shared)
    had = bound(first)
    first.signal(signal.SIGTTIN)
    wait_until(lambda: len(masks(first)) == 2, what="the second worker")
    assert len(bound(first)) == len(had) + 1
    other = start("hello:app", "--pin", "core", **shared)
    assert masks(other) == [set(CPUS)]


def test_without_a_place_for_locks_it_serves(start, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    server = start("hello:app", env={"GCORN_RUNTIME_DIR": str(blocker / "x")})
    server.wait_log("Cores are not shared out")
    assert server.get("/").status == 200


# ---- memory

@pytest.mark.release
def test_what_has_grown_too_large_is_replaced(start, release_command):
    """First a warning with figures, then, over the share, a replacement
    that costs no request."""
    server = start("hungry:app", "-w", "1", "--max-worker-memory", "100M",
                   command=release_command)
    pid = server.get("/grow?mb=80").body
    server.wait_log(r"\[WARNING\] Worker \(pid:%d\) takes \d+ MiB, [89]\d %% "
                    r"of its safe share of 100 MiB" % int(pid))
    assert server.get("/grow?mb=40").body == pid
    with Load(server, "/", 2) as load:
        server.wait_log(r"Worker \(pid:%d\) has grown to 1[123]\d MiB" %
                        int(pid))
        wait_until(lambda: server.get("/").body != pid, what="a new one")
    load.all_good()
    assert not re.search("killing|SIGKILL", server.log())


@pytest.mark.release
def test_what_is_too_large_from_the_start_is_not(start, release_command):
    server = start("hungry:app", "-w", "1", "--max-worker-memory", "60M",
                   command=release_command, env={"MEMORY_START": "80"})
    pid = server.get("/").body
    server.wait_log("since it started: another would be as large")
    server.get("/grow?mb=5")
    assert server.get("/").body == pid


def test_huge_pages_are_not_for_what_is_forked(start):
    server = start("hello:app")
    enabled = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
    always = enabled.exists() and "[always]" in enabled.read_text()
    for process in server.hosts():
        found = re.search(r"^THP_enabled:\s+(\d)", process.read("status"),
                          re.M)
        assert not found or found[1] == ("0" if always else "1")


@needs_two
def test_who_is_moved_is_missed(start):
    """Affinity is read back some seconds after the start."""
    server = start("hello:app", "-w", "1", "--pin", "core",
                   rlimit=on_two_cores)
    victim, = server.interpreters()
    wait_until(lambda: os.sched_getaffinity(victim.pid) != set(CPUS),
               what="the binding")
    os.sched_setaffinity(victim.pid, CPUS)
    server.wait_log(r"Worker \(pid:%d\) runs on CPU \S+, planned was \d" %
                    victim.pid)


# ---- threads

@pytest.mark.release
def test_waiting_requests_call_for_threads(start, release_command):
    """The status says what was measured, and what follows from it."""
    admin = "127.0.0.1:%d" % free_port()
    server = start("probe:app", "-w", "1", "--admin-bind", admin,
                   command=release_command)

    def advice():
        status = client.get(server.address_of(admin), "/status.json")
        return json.loads(status.body)["threads_advice"]

    assert advice()["threads_wanted"] is None
    with Load(server, "/sleep?s=0.002", 2) as load:
        load.more(1100)
    load.all_good()
    found = wait_until(lambda: advice()["threads_wanted"] and advice(),
                       what="a recommendation")
    assert found["requests"] >= 1000 and found["threads"] == 1
    assert found["service_us"] >= 2000 > found["cpu_us"]
    assert found["threads_wanted"] > 1
    assert "--threads %d would keep a worker busy (now 1)" % (
        found["threads_wanted"]) in found["text"]
