# SPDX-License-Identifier: MIT
"""Plans and bindings on real NUMA kernels. Run by tests/numa/run."""
import json
import os
import pathlib

import pytest

import guest

BUILD = pathlib.Path(os.environ["GCORN_BUILD"])
PROGRAMS = [BUILD / "tests/numa/numa_place", BUILD / "tools/topo/gcorn-topo"]


@pytest.fixture(scope="session", autouse=True)
def have_guests():
    try:
        guest.prepare()
    except guest.Missing as missing:
        pytest.skip(f"SKIPPED: {missing}")


def boot(profile, *commands):
    """One JSON value for each command that the guest runs."""
    payload = "".join(f"echo @@@; {command}\n" for command in commands)
    status, output = guest.boot(profile, PROGRAMS, payload)
    assert status == 0, output
    return [json.loads(part) for part in output.split("@@@\n")[1:]]


def assert_local(placed, share=0.95):
    """Affinity as planned, memory where the plan says."""
    assert placed["status"] == 0
    assert placed["workers"]
    for worker in placed["workers"]:
        assert worker["bind_cpus"] == 0
        assert worker["bind_memory"] == 0
        assert worker["got"] == worker["planned"] != ""
        assert worker["private_on_node"] >= share * worker["private"]
        assert worker["arena_on_node"] >= share * worker["arena"]
        # What the page tables say and what the counting says agree.
        assert worker["counted_local"] >= worker["private_on_node"]


def test_two_nodes_with_hyperthreads():
    placed, strict, seen = boot("2n8c2t", "numa_place", "numa_place strict",
                                "gcorn-topo --json --worker-memory 12M")
    assert_local(placed)
    assert_local(strict, share=1)
    assert seen["cpu"]["cores"] == 8 and seen["cpu"]["pus"] == 16
    assert [node["os_index"] for node in seen["memory"]["nodes"]] == [0, 1]
    assert seen["memory"]["distances"] == [[10, 21], [21, 10]]
    assert seen["host"]["virt"] != "none"
    assert len(placed["workers"]) == seen["plan"]["workers"] == 7
    nodes = [worker["node"] for worker in placed["workers"]]
    assert nodes.count(0) == 3 and nodes.count(1) == 4
    # Both threads of a core are the worker's.
    assert all(len(place["pus"]) == 2 for place in seen["plan"]["placement"])


def test_nodes_without_memory():
    placed, seen = boot("memless", "numa_place",
                        "gcorn-topo --json --worker-memory 12M")
    assert_local(placed)
    remote = [worker for worker in placed["workers"] if worker["remote"]]
    assert len(remote) == 3
    assert {worker["node"] for worker in remote} == {-1}
    assert {worker["memory_node"] for worker in remote} == {0, 2}
    assert seen["plan"]["reserved_cores"] == [2]


def test_uneven_nodes():
    placed, seen = boot("asym", "numa_place",
                        "gcorn-topo --json --worker-memory 150M")
    assert_local(placed)
    remote = [place for place in seen["plan"]["placement"] if place["remote"]]
    assert seen["plan"]["workers"] == 7
    assert {place["memory_node"] for place in remote} == {0}


def test_reserved_core_is_next_to_the_card():
    placed, seen = boot("nic1", "numa_place",
                        "gcorn-topo --json --worker-memory 12M")
    assert_local(placed)
    card = seen["net"][0]
    assert card["driver"] == "vmxnet3" and card["node"] == 1
    assert card["irqs"]
    assert seen["plan"]["reserved_cores"] == [4]
    assert "4" not in [worker["got"] for worker in placed["workers"]]


def test_a_processor_taken_away():
    before, after, placed = boot(
        "2n8c", "gcorn-topo --json --worker-memory 12M",
        "echo 0 > /sys/devices/system/cpu/cpu7/online\n"
        "gcorn-topo --json --worker-memory 12M", "numa_place")
    assert before["plan"]["workers"] == 7
    assert (after["cpu"]["cores"], after["plan"]["workers"]) == (7, 6)
    assert_local(placed)
    assert "7" not in [worker["got"] for worker in placed["workers"]]


FILL = """
numa_place fill > /tmp/out || exit 1
cat /tmp/out
"""


def test_a_full_node_kills_nobody():
    """Preferred, not bound: what does not fit comes from elsewhere."""
    filled, = boot("asym", FILL)
    assert filled["status"] == 0
    assert filled["local"] > 50_000
    assert filled["elsewhere"] > 10_000


CGROUP = """
cd /sys/fs/cgroup
echo '+cpuset +cpu +memory' > cgroup.subtree_control
mkdir site; echo '+cpuset +cpu +memory' > site/cgroup.subtree_control
mkdir site/app
inside() { sh -c 'echo $$ > /sys/fs/cgroup/site/app/cgroup.procs; exec "$@"' \
  - "$@"; }
"""


def test_limits_of_a_parent_cgroup():
    """Quota and memory are set on the parent; then CPUs of node 1."""
    commands = [
        CGROUP + "echo '250000 100000' > site/cpu.max\n"
        "echo 300M > site/memory.max\n"
        "inside gcorn-topo --json --worker-memory 100M",
        "inside numa_place",
        "echo max > site/cpu.max; echo max > site/memory.max\n"
        "echo 4-6 > site/cpuset.cpus; echo 1 > site/cpuset.mems\n"
        "inside gcorn-topo --json --worker-memory 12M",
        "inside numa_place",
    ]
    seen, floating, small, placed = boot("2n8c", *commands)
    assert seen["limits"]["cpu_quota_milli"] == 2500
    assert seen["limits"]["cpu_quota_cgroup"] == "/site"
    assert seen["limits"]["memory_max_bytes"] == 300 << 20
    assert seen["plan"]["workers"] == 2 and seen["plan"]["pin"] == "off"
    assert floating["pin"] == "off"
    assert all(worker["planned"] == "" and worker["got"] == "0-7"
               for worker in floating["workers"])
    assert small["limits"]["cpus_allowed"] == "4-6"
    assert small["plan"]["pin"] == "core"
    assert [node["allowed"] for node in small["memory"]["nodes"]] == [
        False, True]
    assert_local(placed)
    assert {worker["got"] for worker in placed["workers"]} == {"4", "5", "6"}
