# SPDX-License-Identifier: MIT
"""gcorn itself on real NUMA kernels: where its processes and pages are."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import guest

HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path(os.environ["GCORN_BUILD"])
PROGRAMS = [BUILD / "tools/topo/gcorn-topo", BUILD / "tests/numa/numa_place"]

# Some commands; then it serves, and drive.py does something with it; the log.
SERVE = r"""
%(first)s
%(before)s
export MEMORY_START=%(start)s GCORN_REPLAN_MS=200
%(inside)s chroot /mnt /gcorn/workers/gcorn --python %(python)s -t 0 %(args)s \
  -b 127.0.0.1:8000 --chdir /app app:app > /tmp/log 2>&1 &
server=$!
chroot /mnt %(python)s -I -S /app/drive.py %(steps)s || cat /tmp/log
cat /tmp/log
%(after)s
kill $server; wait $server
"""
STEPS = "settle show load=150 show"
PLAN = "gcorn-topo --json"


def find_python():
    """The first interpreter that there is a host for: (path, version)."""
    for host in sorted((BUILD / "python").glob("gcorn-python3.*")):
        version = host.name.removeprefix("gcorn-python")
        for name in (f"/usr/bin/python{version}", f"python{version}"):
            path = shutil.which(name)
            if host.is_file() and path:
                return pathlib.Path(path), version
    return None, None


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    try:
        guest.prepare()
    except guest.Missing as missing:
        pytest.skip(f"SKIPPED: {missing}")
    python, version = find_python()
    if not python or not (BUILD / "workers/gcorn").exists():
        pytest.skip(f"SKIPPED: no gcorn in {BUILD}")
    prefix = subprocess.run(
        [python, "-c", "import sys; print(sys.base_prefix)"],
        capture_output=True, text=True, check=True)
    library = f"{prefix.stdout.strip()}/lib/python{version}"
    file = tmp_path_factory.mktemp("numa") / "image"
    guest.build_image(file, {
        "/gcorn/workers/gcorn": BUILD / "workers/gcorn",
        f"/gcorn/python/gcorn-python{version}":
            BUILD / f"python/gcorn-python{version}",
        str(python): python,
        library: pathlib.Path(library),
        "/app/app.py": HERE / "app.py",
        "/app/drive.py": HERE / "drive.py",
    })
    return file, python


def private_pages(lines):
    """{node: anonymous pages}, some of them inherited by fork."""
    counts = {}
    for line in lines:
        if " anon=" in line and " file=" not in line:
            for node, count in re.findall(r" N(\d+)=(\d+)", line):
                counts[int(node)] = counts.get(int(node), 0) + int(count)
    return counts


def arena_pages(lines):
    """{node: pages of the arena}, in a worker process its own."""
    counts = {}
    for line in lines:
        if "memfd:gcorn-arena" in line:
            for node, count in re.findall(r" N(\d+)=(\d+)", line):
                counts[int(node)] = counts.get(int(node), 0) + int(count)
    return counts


class Seen(tuple):
    """(CPUs, {node: pages}), the pages of arenas, and if huge ones are its."""


def parse_processes(text):
    """{name: Seen}"""
    found = {}
    for part in text.split("PROCESS ")[1:]:
        title, *lines = part.splitlines()
        name, cpus, huge = title.split("|")
        seen = Seen((cpus, private_pages(lines)))
        seen.arena = arena_pages(lines)
        seen.huge = huge == "1"
        found[name.strip()] = seen
    return found


class Served:
    """JSON of the first commands, processes each time shown, the rest."""

    def __init__(self, output, first, shown):
        parts = output.split("@@@\n")
        assert len(parts) == first + shown + 1, output[-5000:]
        assert "LOST" not in output
        self.first = [json.loads(part) for part in parts[:first]]
        self.shown = [parse_processes(part) for part in parts[first:-1]]
        self.log = parts[-1]
        assert not re.search("ERROR|Traceback", self.log), self.log


def serve(image, profile, *first, before="", inside="", args="", start=0,
          after="", steps=STEPS):
    file, python = image
    payload = SERVE % {
        "first": "".join(f"{command}; echo @@@\n" for command in first),
        "python": python, "before": before, "inside": inside, "args": args,
        "start": start, "after": after, "steps": steps}
    _, output = guest.boot(profile, PROGRAMS, payload, image=file)
    return Served(output, len(first), steps.count("show"))


def limited(**limits):
    """(before, inside): a cgroup with these limits, and to start in it."""
    site = "/sys/fs/cgroup/site"
    names = {name.split("_")[0] for name in limits}
    before = "echo '%s' > /sys/fs/cgroup/cgroup.subtree_control; mkdir %s\n" % (
        " ".join("+" + name for name in sorted(names)), site)
    before += "".join("echo '%s' > %s/%s\n" % (value, site,
                                              name.replace("_", "."))
                      for name, value in limits.items())
    return {"before": before, "inside":
            f"sh -c 'echo $$ > {site}/cgroup.procs; exec \"$@\"' -"}


def growth(early, late):
    """{node: pages} that came since; what fork gave stays where it was."""
    return {node: max(0, count - early.get(node, 0))
            for node, count in late.items()}


def cpu_list(cpus):
    """As the kernel writes a list: 0-1,4"""
    runs = []
    for cpu in sorted(cpus):
        if runs and runs[-1][1] == cpu - 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(f"{a}-{b}" if b > a else str(a) for a, b in runs)


def of_kind(processes, kind):
    return {name: process for name, process in processes.items()
            if name.startswith(f"gcorn: {kind} ")}


def assert_as_planned(plan, early, late):
    places = plan["plan"]["placement"]
    interpreters = of_kind(late, "interpreter")
    workers = of_kind(late, "worker")
    node_of = {cpu_list(place["pus"]): place["memory_node"]
               for place in places}
    assert len(interpreters) == len(workers) == len(places)
    assert {cpus for cpus, _ in interpreters.values()} == set(node_of)
    assert {cpus for cpus, _ in workers.values()} == {
        str(max(place["pus"])) for place in places}
    node_of_worker = {str(max(place["pus"])): place["memory_node"]
                      for place in places}
    for name, seen in workers.items():
        node, pages = node_of_worker[seen[0]], seen.arena
        assert sum(pages.values()) > 0, name
        assert pages.get(node, 0) >= 0.95 * sum(pages.values()), (name, pages)
    for name, (cpus, after) in interpreters.items():
        grown = growth(early[name][1], after)
        assert sum(grown.values()) > 300, (name, grown)
        local = grown.get(node_of[cpus], 0) / sum(grown.values())
        assert local >= 0.95, (name, cpus, grown)


def assert_pages(processes, node_of, share):
    """Of all private pages, also those that fork gave."""
    found = of_kind(processes, "interpreter")
    assert len(found) == len(node_of)
    for name, (cpus, pages) in found.items():
        assert pages.get(node_of[cpus], 0) >= share * sum(pages.values()), (
            name, cpus, pages)


# ---- plans applied by a program of the tests, then by the server

def assert_local(placed):
    """Affinity as planned, memory where the plan says."""
    assert placed["status"] == 0
    assert placed["workers"]
    for worker in placed["workers"]:
        assert worker["bind_cpus"] == 0
        assert worker["bind_memory"] == 0
        assert worker["got"] == worker["planned"] != ""
        assert worker["private_on_node"] >= 0.95 * worker["private"]
        assert worker["arena_on_node"] >= 0.95 * worker["arena"]
        # What the page tables say and what the counting says agree.
        assert worker["counted_local"] >= worker["private_on_node"]


SMALL = "gcorn-topo --json --worker-memory 12M"


def as_planned(image, profile, *more, steps=STEPS):
    """What gcorn-topo says of a plan for small workers, and numa_place."""
    served = serve(image, profile, PLAN, SMALL, "numa_place", *more,
                   steps=steps)
    plan, small, placed, *rest = served.first
    assert_as_planned(plan, *served.shown)
    assert_local(placed)
    return small, placed, *rest


def test_two_nodes_with_hyperthreads(image):
    seen, placed, strict = as_planned(image, "2n8c2t", "numa_place strict")
    assert_local(strict)
    assert all(worker["private_on_node"] == worker["private"]
               for worker in strict["workers"])
    assert seen["cpu"]["cores"] == 8 and seen["cpu"]["pus"] == 16
    assert [node["os_index"] for node in seen["memory"]["nodes"]] == [0, 1]
    assert seen["memory"]["distances"] == [[10, 21], [21, 10]]
    assert seen["host"]["virt"] != "none"
    assert len(placed["workers"]) == seen["plan"]["workers"] == 7
    nodes = [worker["node"] for worker in placed["workers"]]
    assert nodes.count(0) == 3 and nodes.count(1) == 4
    # Both threads of a core are the worker's.
    assert all(len(place["pus"]) == 2 for place in seen["plan"]["placement"])


def test_nodes_without_memory(image):
    seen, placed = as_planned(image, "memless")
    remote = [worker for worker in placed["workers"] if worker["remote"]]
    assert len(remote) == 3
    assert {worker["node"] for worker in remote} == {-1}
    assert {worker["memory_node"] for worker in remote} == {0, 2}
    assert seen["plan"]["reserved_cores"] == [2]


def test_uneven_nodes(image):
    _, _, seen = as_planned(image, "asym",
                            "gcorn-topo --json --worker-memory 150M")
    remote = [place for place in seen["plan"]["placement"] if place["remote"]]
    assert seen["plan"]["workers"] == 7
    assert {place["memory_node"] for place in remote} == {0}


def test_reserved_core_is_next_to_the_card(image):
    """One worker more takes it; its pages, once moved away, are missed."""
    seen, placed = as_planned(
        image, "nic1", steps=STEPS + " signal=TTIN workers=8 migrate=1-0 "
        "said=of_its_memory_on_node_1,_where_all_was_planned")
    card = seen["net"][0]
    assert card["driver"] == "vmxnet3" and card["node"] == 1
    assert card["irqs"]
    assert seen["plan"]["reserved_cores"] == [4]
    assert "4" not in [worker["got"] for worker in placed["workers"]]


# ---- what only the server does

def test_a_quota_means_no_binding(image):
    late = serve(image, "2n8c", **limited(cpu_max="250000 100000"),
                 steps="settle show").shown[0]
    assert len(of_kind(late, "interpreter")) == 2
    assert {cpus for cpus, _ in late.values()} == {"0-7"}


HUGE = "echo always > /sys/kernel/mm/transparent_hugepage/enabled"


def test_preloaded_pages_are_local(image):
    """One template on each node: what its interpreters share is there, in
    small pages. Then a CPU goes, and the last worker with it."""
    served = serve(image, "2n8c", PLAN, args="--preload", start=40,
                   before=HUGE, steps="settle load=150 show load "
                   "write=/sys/devices/system/cpu/cpu7/online=0 workers=6 "
                   "settle show")
    early, late = served.shown
    assert sorted(re.findall(r"of node (\d)", " ".join(
        of_kind(early, "template")))) == ["0", "1"]
    places = {cpu_list(place["pus"]): place["memory_node"]
              for place in served.first[0]["plan"]["placement"]}
    assert_pages(early, places, 0.95)
    for kind, huge in ("worker", True), ("interpreter", False):
        assert {seen.huge for seen in of_kind(early, kind).values()} == {huge}
    assert "7" in places
    # One core less to share out: all but the reserved one have a worker.
    assert_pages(late, {cpu: int(cpu > "3") for cpu in "123456"}, 0.95)


def test_a_cpuset_that_moves(image):
    """From node 1 to node 0 under load: CPUs, then new interpreters whose
    memory is there and, being strict, nowhere else."""
    served = serve(
        image, "2n8c", **limited(cpuset_cpus="4-6", cpuset_mems="1"),
        args="--numa strict",
        steps="settle load show write=/sys/fs/cgroup/site/cpuset.cpus=0-2 "
              "write=/sys/fs/cgroup/site/cpuset.mems=0 pinned=0-2 renewed "
              "settle show")
    early, late = served.shown
    assert_pages(early, {cpu: 1 for cpu in "456"}, 1)
    assert_pages(late, {cpu: 0 for cpu in "012"}, 1)
    assert int(re.search(r"SERVED (\d+)", served.log)[1]) > 20


def test_autotune_within_limits(image):
    """1.5 CPUs and 600 MB for an application of 100 MB (version 2)."""
    served = serve(
        image, "2n8c", args="--autotune", start=100,
        **limited(cpu_max="150000 100000", memory_max="600M"),
        after="sed 's/^/EVENT /' /sys/fs/cgroup/site/memory.events",
        steps="settle load=400 show")
    assert "plan       1 worker, bound by quota" in served.log
    assert "one more would need: a CPU quota of 2 CPUs" in served.log
    assert "600 MiB (limit of cgroup /site)" in served.log
    assert len(of_kind(served.shown[0], "interpreter")) == 1
    assert "EVENT oom_kill 0" in served.log
