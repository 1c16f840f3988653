# SPDX-License-Identifier: MIT
"""Plans and bindings on NUMA kernels that change. Run by tests/numa/run."""
import json

import pytest

import guest
from test_serving import PROGRAMS, assert_local


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
    assert seen["limits"]["cpu_quota"] == 2.5
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
