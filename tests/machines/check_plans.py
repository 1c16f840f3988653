#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plans of known machines, and what must hold for the plan of any machine.

    check_plans.py PLAN_DUMP REFERENCE_DIR shown|files|random [COUNT]

shown:  the plans of plans.json, compared key by key
files:  every file and synthetic string there: properties of its plan
random: COUNT (500) made-up machines: the same properties, and that plans do
        not depend on how the hardware threads are numbered
"""
import collections
import concurrent.futures
import json
import os
import random
import subprocess
import sys

import rules

MIB = 1 << 20
SIZES = {"150M": 150 * MIB, "2G": 2 << 30}
SKIP = 77


class Checker:
    def __init__(self, plan_dump, reference):
        self.plan_dump = plan_dump
        self.reference = reference
        self.failures = []

    def fail(self, name, text):
        self.failures.append(f"{name}: {text}")

    def plan(self, source, size, *options):
        """source is ("xml", path) or ("synthetic", text)."""
        run = subprocess.run(
            [self.plan_dump, *source, str(size), *options],
            capture_output=True, text=True, timeout=120)
        if run.returncode:
            raise RuntimeError(f"{source}: {run.stderr}")
        return json.loads(run.stdout)

    def synthetic(self):
        with open(os.path.join(self.reference, "synthetic.txt")) as file:
            lines = [line.rstrip("\n") for line in file]
        return dict(line.split("\t") for line in lines
                    if line and not line.startswith("#"))

    def sources(self):
        for name in sorted(os.listdir(self.reference)):
            if name.endswith(".xml"):
                path = os.path.join(self.reference, name)
                yield name[:-4], ("xml", path)
        for name, text in self.synthetic().items():
            yield "synthetic:" + name, ("synthetic", text)


def shown(checker):
    with open(os.path.join(checker.reference, "plans.json")) as file:
        plans = json.load(file)
    sources = dict(checker.sources())
    for name, sizes in plans.items():
        for size, expected in sizes.items():
            got = checker.plan(sources[name], SIZES[size])
            for key, value in expected.items():
                if got[key] != value:
                    checker.fail(f"{name} {size}", f"{key} is {got[key]}, "
                                                   f"not {value}")
    return 2 * len(plans)


def cores_of(plan):
    return [row[0] for row in plan["placement"]]


def check_cores(plan):
    """Yields what is wrong with the choice of cores."""
    cores = cores_of(plan)
    bound = [core for core in cores if core is not None]
    if len(set(bound)) != len(bound):
        yield "a core is used twice"
    if set(bound) & set(plan["reserved_cores"]):
        yield "a reserved core is used"
    if not all(plan["usable"][core] for core in bound):
        yield "an unusable core is used"
    if len(bound) + plan["reserved_count"] > plan["cores_usable"]:
        yield "more cores than there are"


def check_bounds(plan, size):
    memory = plan["n_mem"]
    if memory is not None and plan["workers"] > max(1, memory):
        yield "more workers than memory holds"
    if plan["workers"] > plan["n_cpu"]:
        yield "more workers than cores"
    if plan["workers"] < 1:
        yield "no worker"
    if memory and size > plan["alarm_bytes"]:
        yield "a worker as planned would set off the alarm"
    if plan["alarm_bytes"] > plan["safe_limit_bytes"]:
        yield "alarm above the limit"


def check_nodes(plan, size):
    """Per node: what is planned there fits (unless nothing fits)."""
    nodes = {row[0]: row[1] for row in plan["numa_nodes"]}
    used = collections.Counter(row[2] for row in plan["placement"])
    if not plan["n_mem"]:
        return
    for node, workers in used.items():
        # A worker larger than a node is planned to span several.
        if node is None or size > nodes[node]:
            continue
        if workers * size > nodes[node]:
            yield f"node {node} is overcommitted"


def check_prefixes(plan):
    """Every prefix of the list is balanced between equal cache domains."""
    kinds = plan["core_kinds"]
    reserved = set(plan["reserved_cores"])
    where = {}
    capacity = collections.Counter()
    for core, usable in enumerate(plan["usable"]):
        if usable and core not in reserved:
            key = (plan["core_nodes"][core], kinds[core],
                   plan["core_llcs"][core])
            where[core] = key
            capacity[key] += 1
    used = collections.Counter()
    for core in cores_of(plan):
        if core is None:
            continue
        used[where[core]] += 1
        node, kind, _ = where[core]
        equals = [used[key] for key in capacity
                  if key[:2] == (node, kind) and
                  capacity[key] == capacity[where[core]]]
        if max(equals) - min(equals) > 1:
            yield f"cache domains of node {node} out of balance"
            return


def check_steals(plan):
    rows = {index: row for index, row in enumerate(plan["placement"])}
    for worker, order in enumerate(plan["steal"]):
        if sorted(order) != [i for i in rows if i != worker]:
            yield f"steal order of {worker} is not a permutation"
            return
        near = [0 if rows[i][3] == rows[worker][3] else
                1 if rows[i][1] == rows[worker][1] else 2 for i in order]
        if near != sorted(near):
            yield f"steal order of {worker} is not by distance"
            return


def properties(checker, name, source):
    for label, size in SIZES.items():
        plan = checker.plan(source, size)
        problems = [*check_cores(plan), *check_bounds(plan, size),
                    *check_nodes(plan, size), *check_prefixes(plan),
                    *check_steals(plan), *rules.differences(plan, size)]
        if plan != checker.plan(source, size):
            problems.append("not deterministic")
        for text in problems:
            checker.fail(f"{name} {label}", text)
    prefixes(checker, name, source)
    limits(checker, name, source)


def prefixes(checker, name, source):
    """Fewer workers are a prefix; more only add to the end."""
    full = checker.plan(source, MIB)
    count = full["workers"]
    for wanted in {1, max(1, count // 2), count + 3,
                   full["cores_total"] + 2}:
        plan = checker.plan(source, MIB, f"workers={wanted}")
        both = min(wanted, count)
        if plan["workers"] != wanted:
            checker.fail(name, f"{wanted} workers wanted, "
                               f"{plan['workers']} given")
        if cores_of(plan)[:both] != cores_of(full)[:both]:
            checker.fail(name, f"workers move when {wanted} are wanted")
        for text in check_cores(plan):
            checker.fail(f"{name} workers={wanted}", text)


def limits(checker, name, source):
    plan = checker.plan(source, 150 * MIB, "quota=2500")
    for text in rules.differences(plan, 150 * MIB, quota_milli=2500):
        checker.fail(f"{name} with a quota", text)
    if plan["workers"] > 2 or plan["reserved_count"] or plan["pin"] != "off" \
            and plan["cores_usable"] == plan["cores_total"]:
        checker.fail(name, "a quota of 2.5 CPUs is not kept")
    plan = checker.plan(source, 150 * MIB, f"limit={300 * MIB}")
    for text in rules.differences(plan, 150 * MIB, limit=300 * MIB):
        checker.fail(f"{name} with a limit", text)
    if plan["workers"] != 1 or plan["ram_bytes"] > 300 * MIB:
        checker.fail(name, "a limit of 300 MiB is not kept")


def files(checker):
    sources = list(checker.sources())
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda s: properties(checker, *s), sources))
    return len(sources)


def random_machine(rng):
    """A machine, and the same one with other thread numbers."""
    node = f"[numa(memory={rng.choice([1, 2, 6, 16, 64]) << 30})]"
    parts = [f"pack:{rng.choice([1, 1, 2, 3, 4])}"]
    place = rng.randrange(4)
    if place == 0:
        parts.insert(0, node)
    elif place == 1:
        parts.append(node)
    if rng.random() < 0.4:
        parts.append(f"group:{rng.choice([2, 3])}")
        if place == 2:
            parts.append(node)
    elif place == 2:
        parts.append(node)
    if rng.random() < 0.8:
        parts.append(f"l3:{rng.choice([1, 2, 3])}(size={32 * MIB})")
    if place == 3:
        parts.append(node)
    if rng.random() < 0.3:
        parts.append(f"l2:{rng.choice([1, 2])}(size={MIB})")
    parts.append(f"core:{rng.choice([1, 2, 3, 4, 6])}")
    text = " ".join(parts) + f" pu:{rng.choice([1, 2, 4])}"
    return text, text + "(indexes=core:pack)"


def random_one(checker, seed):
    rng = random.Random(seed)
    text, renumbered = random_machine(rng)
    name = f"random {seed} ({text})"
    properties(checker, name, ("synthetic", text))
    size = rng.choice([64, 150, 700, 3000]) * MIB
    a = checker.plan(("synthetic", text), size)
    b = checker.plan(("synthetic", renumbered), size)
    if [row[:4] for row in a["placement"]] != \
            [row[:4] for row in b["placement"]]:
        checker.fail(name, "depends on the numbers of hardware threads")


def made_up(checker, count):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda seed: random_one(checker, seed), range(count)))
    return count


def main(argv):
    checker = Checker(argv[1], argv[2])
    if argv[3] != "random" and not os.path.isdir(argv[2]):
        print(f"SKIPPED: no reference machines in {argv[2]}", file=sys.stderr)
        return SKIP
    if argv[3] == "shown":
        count = shown(checker)
    elif argv[3] == "files":
        count = files(checker)
    else:
        count = made_up(checker, int(argv[4]) if len(argv) > 4 else 500)
    for text in checker.failures[:40]:
        print("FAIL", text)
    print(f"{argv[3]}: {count} checked, {len(checker.failures)} failures")
    return 1 if checker.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
