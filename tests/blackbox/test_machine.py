# SPDX-License-Identifier: MIT
"""Cores: who gets which, and what several masters on one host do."""

import json
import os
import pathlib
import re
import signal

import pytest

import client
from client import wait_until
from load import Load
from server import free_port

pytestmark = pytest.mark.gcorn
CPUS = sorted(os.sched_getaffinity(0))


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
    """An environment whose servers know of each other's cores."""
    return {"GCORN_RUNTIME_DIR": str(tmp_path / "run")}


@pytest.mark.skipif(len(CPUS) != 2, reason="this needs exactly two CPUs")
def test_two_masters_share_the_cores_and_a_third_floats(start, shared):
    first, second = (start("hello:app", "-w", "1", "--pin", "core",
                           env=shared) for _ in range(2))
    assert bound(first) & bound(second) == set()
    third = start("hello:app", "--pin", "core", env=shared)
    third.wait_log("other gcorn masters have left no core")
    assert masks(third) == [set(CPUS)]
    assert third.get("/").status == 200


@pytest.mark.skipif(len(CPUS) < 2, reason="one CPU")
def test_the_cores_of_a_dead_master_are_free(start, shared):
    first = start("hello:app", "--pin", "core", env=shared)
    taken = bound(first)
    first.kill()
    second = start("hello:app", "--pin", "core", env=shared)
    assert bound(second) == taken


@pytest.mark.skipif(len(CPUS) < 2, reason="one CPU")
def test_a_worker_more_takes_a_core_if_there_is_one(start, shared):
    first = start("hello:app", "-w", "1", "--pin", "core", env=shared)
    had = bound(first)
    first.signal(signal.SIGTTIN)
    wait_until(lambda: len(masks(first)) == 2, what="the second worker")
    assert len(bound(first)) == len(had) + 1
    other = start("hello:app", "--pin", "core", env=shared)
    assert len(CPUS) > 2 or masks(other) == [set(CPUS)]


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


@pytest.mark.skipif(len(CPUS) < 2, reason="one CPU")
def test_who_is_moved_is_missed(start):
    """Affinity is read back some seconds after the start."""
    server = start("hello:app", "-w", "1", "--pin", "core")
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
