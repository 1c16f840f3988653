# SPDX-License-Identifier: MIT
"""The rules of the plan once more, as they read, without a thought of speed:
what plan_dump says of a machine -> the plan it must have. Written from the
rules, not from plan_place.c; where the two differ one of them is wrong."""
from fractions import Fraction

MIB, GIB = 1 << 20, 1 << 30


class Plan:
    def __init__(self, machine, worker_bytes, quota_milli=0, limit=0,
                 shared=0):
        self.m = machine
        self.size, self.quota = worker_bytes, quota_milli
        self.limit, self.shared = limit, shared
        self.nodes = [{"os": row[0], "bytes": row[1],
                       "counted": row[2] and row[3] is None}
                      for row in machine["numa_nodes"]]
        self.free = [i for i, usable in enumerate(machine["usable"])
                     if usable]
        self.home = machine["core_nodes"]
        self.assigned = {}
        self.reserve()
        self.count()
        self.placement = [self.place() for _ in range(self.workers)]

    # ---- rules 5 and 8

    def of_node(self, cores, node):
        return [core for core in cores if self.home[core] == node]

    def reserve(self):
        total = len(self.m["usable"])
        wish = 0 if total <= 4 else -(-total // 16)
        wish = max(0, wish - (total - len(self.free)))
        self.usable = len(self.free)
        self.reserved = []
        if self.quota:
            return
        halves = {node: len(self.of_node(self.free, node)) // 2
                  for node in range(len(self.nodes))}
        cards = self.m["nic_nodes"]
        near = sorted((node for node, row in enumerate(self.nodes)
                       if str(row["os"]) in cards),
                      key=lambda node: (-cards[str(self.nodes[node]["os"])],
                                        self.nodes[node]["os"]))
        while len(self.reserved) < wish:
            before = len(self.reserved)
            for node in near:
                if halves[node] > 0 and len(self.reserved) < wish:
                    halves[node] -= 1
                    self.take_reserve(node)
            if len(self.reserved) == before:
                break
        while len(self.reserved) < wish:
            self.take_reserve(min(
                [-1, *range(len(self.nodes))],
                key=lambda node: -len(self.of_node(self.free, node))))

    def take_reserve(self, node):
        cores = self.of_node(self.free, node)
        slowest = min(self.m["core_kinds"][core] for core in cores)
        cores = [core for core in cores
                 if self.m["core_kinds"][core] == slowest]
        llcs = [self.m["core_llcs"][core] for core in cores]
        core = min(cores, key=lambda core: (
            -llcs.count(self.m["core_llcs"][core]),
            self.m["core_llcs"][core], core))
        self.free.remove(core)
        self.reserved.append(core)

    # ---- rules 6 and 7

    def fit(self, space):
        return max(0, space) * 80 // (100 * self.size)

    def count(self):
        ram = sum(node["bytes"] for node in self.nodes if node["counted"])
        self.n_cpu = max(1, self.usable - len(self.reserved))
        if self.quota:
            self.n_cpu = max(1, min(self.n_cpu, self.quota // 1000))
        keep = min(max(ram // 16, 256 * MIB), 8 * GIB, ram // 2)
        self.slots = {}
        for index, node in enumerate(self.nodes):
            if node["counted"] and ram:
                taken = (keep + self.shared) * node["bytes"] // ram
                self.slots[index] = self.fit(node["bytes"] - taken)
            elif ram == 0:
                self.slots[index] = 1 << 32
        room = ram - keep - self.shared
        n_mem = sum(self.slots.values()) or self.fit(room)
        known = ram > 0
        # A limit is known also where the machine's memory is not.
        if self.limit and (self.limit < ram or not known):
            n_mem = n_mem if known else 1 << 32
            known = True
            keep = min(max(self.limit // 20, 32 * MIB), self.limit // 2)
            room = self.limit - keep - self.shared
            n_mem = min(n_mem, self.fit(room))
        self.n_mem = n_mem if known else None
        self.workers = max(1, min(self.n_cpu, n_mem) if known else self.n_cpu)
        self.safe_limit = max(0, room) // self.workers if known else 0

    # ---- rules 9 and 10

    def fullness(self, taken, left):
        return Fraction(taken + 1, taken + left)

    def taken_of(self, **what):
        return sum(all(self.m[key][core] == value
                       for key, value in what.items())
                   for core in self.assigned)

    def choose_node(self):
        for needs_slot in (True, False):
            nodes = [node for node in range(len(self.nodes))
                     if self.of_node(self.free, node) and
                     (self.slots.get(node, 0) > 0 or not needs_slot)]
            if nodes:
                return min(nodes, key=lambda node: (self.fullness(
                    self.taken_of(core_nodes=node),
                    len(self.of_node(self.free, node))),
                    self.nodes[node]["os"]))
        return -1

    def choose_core(self, node):
        kinds, llcs = self.m["core_kinds"], self.m["core_llcs"]
        cores = self.of_node(self.free, node)
        fastest = max(kinds[core] for core in cores)
        cores = [core for core in cores if kinds[core] == fastest]

        def order(core):
            left = sum(llcs[other] == llcs[core] for other in cores)
            taken = self.taken_of(core_nodes=node, core_kinds=fastest,
                                  core_llcs=llcs[core])
            return self.fullness(taken, left), llcs[core], core

        return min(cores, key=order)

    def choose_memory(self, node):
        if self.slots.get(node, 0) > 0:
            return node
        room = [other for other, slots in self.slots.items() if slots > 0]
        if not room:
            return node if node >= 0 else None
        if node < 0:
            return min(room, key=lambda other: (-self.slots[other],
                                                self.nodes[other]["os"]))
        far = self.m["distances"][node]
        return min(room, key=lambda other: (far[other] or 1 << 32,
                                            self.nodes[other]["os"]))

    def place(self):
        node = self.choose_node()
        if not self.of_node(self.free, node):
            return None, None, None
        core = self.choose_core(node)
        memory = self.choose_memory(node)
        if self.slots.get(memory, 0) > 0:
            self.slots[memory] -= 1
        self.free.remove(core)
        self.assigned[core] = True
        return (core, self.nodes[node]["os"] if node >= 0 else None,
                self.nodes[memory]["os"] if memory is not None else None)


def differences(dump, worker_bytes, **demand):
    """What the dumped plan has otherwise."""
    plan = Plan(dump, worker_bytes, **demand)
    wants = {"workers": plan.workers, "n_cpu": plan.n_cpu,
             "n_mem": plan.n_mem, "reserved_cores": plan.reserved,
             "safe_limit_bytes": plan.safe_limit}
    for key, value in wants.items():
        if dump[key] != value:
            yield f"{key} is {dump[key]}, by the rules {value}"
    for index, (row, want) in enumerate(zip(dump["placement"],
                                            plan.placement)):
        if tuple(row[:3]) != want:
            yield f"worker {index} is at {row[:3]}, by the rules {want}"
            return
