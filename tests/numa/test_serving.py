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
TOPO = BUILD / "tools/topo/gcorn-topo"

# Serves, asks often enough that memory grows everywhere, and shows for each
# process its name, its CPUs and its memory maps, before and after.
SERVE = r"""
show() {
  for p in /proc/[0-9]*; do
    name=$(tr '\0' ' ' < $p/cmdline 2>/dev/null)
    case "$name" in
      "gcorn: worker"*|"gcorn: interpreter"*|"gcorn: template"*) ;;
      *) continue;; esac
    cpus=$(sed -n 's/^Cpus_allowed_list:\t//p' $p/status)
    echo "PROCESS $name|$cpus"
    cat $p/numa_maps
  done; }
gcorn-topo --json
echo @@@
%(before)s
export MEMORY_START=%(start)s
%(inside)s chroot /mnt /gcorn/workers/gcorn --python %(python)s -t 0 %(args)s \
  -b 127.0.0.1:8000 --chdir /app app:app > /tmp/log 2>&1 &
server=$!
for i in $(seq 200); do
  wget -q -O /dev/null http://127.0.0.1:8000/ && break; sleep 0.2; done
sleep 4
show
echo @@@
for i in $(seq 50); do
  for k in 1 2 3 4 5 6 7 8; do
    wget -q -O /dev/null http://127.0.0.1:8000/ & done
  sleep 0.1; done
sleep 1
show
echo @@@
cat /tmp/log
%(after)s
kill $server; wait $server
"""


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
    """(CPUs, {node: pages}), and the pages of arenas."""


def parse_processes(text):
    """{name: Seen}"""
    found = {}
    for part in text.split("PROCESS ")[1:]:
        title, *lines = part.splitlines()
        name, cpus = title.split("|")
        seen = Seen((cpus, private_pages(lines)))
        seen.arena = arena_pages(lines)
        found[name.strip()] = seen
    return found


def serve(image, profile, before="", inside="", args="", start=0, after=""):
    """The plan, the processes before and after the load, the log."""
    file, python = image
    payload = SERVE % {"python": python, "before": before, "inside": inside,
                       "args": args, "start": start, "after": after}
    _, output = guest.boot(profile, [TOPO], payload, image=file)
    plan, early, late, log = output.split("@@@\n")
    assert "PROCESS" in late, log
    return json.loads(plan), parse_processes(early), parse_processes(late), log


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


@pytest.mark.parametrize("profile", ["2n8c2t", "asym", "memless", "nic1"])
def test_processes_and_pages_are_where_the_plan_says(image, profile):
    plan, early, late, log = serve(image, profile)
    assert "ERROR" not in log and "Traceback" not in log
    assert_as_planned(plan, early, late)


def test_a_quota_means_no_binding(image):
    before = ("echo +cpu > /sys/fs/cgroup/cgroup.subtree_control\n"
              "mkdir /sys/fs/cgroup/site\n"
              "echo '250000 100000' > /sys/fs/cgroup/site/cpu.max\n")
    inside = ("sh -c 'echo $$ > /sys/fs/cgroup/site/cgroup.procs; exec \"$@\"'"
              " -")
    _, _, late, log = serve(image, "2n8c", before, inside)
    assert "Traceback" not in log
    assert len(of_kind(late, "interpreter")) == 2
    assert {cpus for cpus, _ in late.values()} == {"0-7"}


def test_preloaded_pages_are_local(image):
    """One template on each node: what its interpreters share is there."""
    plan, _, late, log = serve(image, "2n8c", args="--preload", start=40)
    assert "ERROR" not in log and "Traceback" not in log
    templates = of_kind(late, "template")
    assert sorted(re.findall(r"of node (\d)", " ".join(templates))) == [
        "0", "1"]
    node_of = {cpu_list(place["pus"]): place["memory_node"]
               for place in plan["plan"]["placement"]}
    interpreters = of_kind(late, "interpreter")
    assert len(interpreters) == len(node_of)
    for name, (cpus, pages) in interpreters.items():
        assert pages.get(node_of[cpus], 0) >= 0.95 * sum(pages.values()), (
            name, pages)


def test_autotune_within_limits(image):
    """1.5 CPUs and 600 MB for an application of 100 MB (version 2)."""
    before = ("echo '+cpu +memory' > /sys/fs/cgroup/cgroup.subtree_control\n"
              "mkdir /sys/fs/cgroup/site\n"
              "echo '150000 100000' > /sys/fs/cgroup/site/cpu.max\n"
              "echo 600M > /sys/fs/cgroup/site/memory.max\n")
    inside = ("sh -c 'echo $$ > /sys/fs/cgroup/site/cgroup.procs; exec \"$@\"'"
              " -")
    after = "sed 's/^/EVENT /' /sys/fs/cgroup/site/memory.events"
    _, _, late, log = serve(image, "2n8c", before, inside, "--autotune", 100,
                            after)
    assert "plan       1 worker, bound by quota" in log
    assert "one more would need: a CPU quota of 2 CPUs" in log
    assert "600 MiB (limit of cgroup /site)" in log
    assert len(of_kind(late, "interpreter")) == 1
    assert "EVENT oom_kill 0" in log, log
