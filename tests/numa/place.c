/* SPDX-License-Identifier: MIT */
/*
 * place - applies the plan of this machine to one child for each worker, as
 * the server does, and prints what the kernel made of it: one JSON object.
 *
 *   place [strict] [quota=MILLI] [container]
 *   place fill: only allocates more than the last node has
 *
 * Each child binds itself, then allocates; its arena is shared memory that
 * the parent bound to the worker's node before anyone touched it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base.h"
#include "topology/bind.h"
#include "topology/plan.h"

#define PAGE ((size_t)4096)
#define PRIVATE_BYTES ((size_t)8 << 20)
#define ARENA_BYTES ((size_t)4 << 20)

struct child {
    const struct plan_place *place;
    char *arena;
    bool strict;
};

static void touch(char *memory, size_t length)
{
    for (size_t at = 0; at < length; at += PAGE)
        memory[at] = 1;
}

static size_t count_on(const char *memory, size_t length, int node)
{
    size_t count = 0;

    for (size_t at = 0; at < length; at += PAGE)
        count += bind_page_node(memory + at) == node;
    return count;
}

static void print_cpus(const char *key, const struct cpus *cpus)
{
    char list[CPUS_TEXT];

    cpus_format(cpus, list, sizeof(list));
    printf("\"%s\":\"%s\",", key, list);
}

static void print_pages(const struct child *c, const char *memory)
{
    int node = c->place->memory_node;
    struct bind_pages pages = {0};

    printf("\"private\":%zu,\"private_on_node\":%zu,", PRIVATE_BYTES / PAGE,
           count_on(memory, PRIVATE_BYTES, node));
    printf("\"arena\":%zu,\"arena_on_node\":%zu,", ARENA_BYTES / PAGE,
           count_on(c->arena, ARENA_BYTES, node));
    if (bind_count_pages(0, node, &pages) == 0)
        printf("\"counted_local\":%" PRIu64 ",\"counted_elsewhere\":%" PRIu64
               ",",
               pages.local, pages.elsewhere);
}

static int run_child(const struct child *c)
{
    int cpus_rc = bind_cpus(&c->place->interp_cpus);
    int memory_rc = bind_memory(c->place->memory_node, c->strict);
    char *memory = mmap(NULL, PRIVATE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct cpus got = {0};

    if (memory == MAP_FAILED)
        return 1;
    touch(memory, PRIVATE_BYTES);
    touch(c->arena, ARENA_BYTES);
    bind_cpus_get(0, &got);
    printf("{\"node\":%d,\"memory_node\":%d,\"remote\":%s,", c->place->node,
           c->place->memory_node, c->place->remote ? "true" : "false");
    print_cpus("planned", &c->place->interp_cpus);
    print_cpus("got", &got);
    print_pages(c, memory);
    printf("\"bind_cpus\":%d,\"bind_memory\":%d}", cpus_rc, memory_rc);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int start_child(const struct plan_place *place, bool strict)
{
    char *arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct child child = {place, arena, strict};
    int status = 1;
    pid_t pid;

    if (arena == MAP_FAILED)
        return 1;
    bind_range(arena, ARENA_BYTES, place->memory_node, strict);
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(run_child(&child));
    waitpid(pid, &status, 0);
    munmap(arena, ARENA_BYTES);
    return status;
}

/* More than the last node has: what happens to the rest? */
static int fill(const struct machine *machine)
{
    const struct machine_node *node = &machine->nodes[machine->n_nodes - 1];
    size_t length = (size_t)node->bytes + ((size_t)256 << 20);
    struct bind_pages pages = {0};
    char *memory;
    int rc = bind_memory((int)node->os_index, false);

    memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    touch(memory, length);
    if (rc == 0)
        rc = bind_count_pages(0, (int)node->os_index, &pages);
    printf("{\"status\":%d,\"local\":%" PRIu64 ",\"elsewhere\":%" PRIu64 "}\n",
           rc, pages.local, pages.elsewhere);
    return rc != 0;
}

static int place_all(const struct plan *plan, bool strict)
{
    int status = 0;

    printf("{\"pin\":\"%s\",\"workers\":[", plan_pin_name(plan->pin));
    for (uint32_t i = 0; i < plan->n_workers && status == 0; i++) {
        printf("%s", i ? "," : "");
        status = start_child(&plan->places[i], strict);
    }
    printf("],\"status\":%d}\n", status);
    return status != 0;
}

int main(int argc, char **argv)
{
    struct machine_source live = {0};
    struct plan_demand demand;
    struct cgroup_limits limits;
    struct machine *machine;
    struct plan *plan;
    bool strict = false, full = false;
    int rc;

    plan_demand_init(&demand);
    /* The guests are small: let cores decide, not memory. */
    demand.worker_bytes = PRIVATE_BYTES + ARENA_BYTES;
    if (cgroup_read("", &limits) == 0)
        plan_demand_limit(&demand, &limits);
    for (int i = 1; i < argc; i++) {
        strict |= strcmp(argv[i], "strict") == 0;
        full |= strcmp(argv[i], "fill") == 0;
        demand.container |= strcmp(argv[i], "container") == 0;
        if (strncmp(argv[i], "quota=", 6) == 0)
            demand.quota_milli = (uint32_t)strtoul(argv[i] + 6, NULL, 10);
    }
    if (machine_read(&live, &machine) < 0 ||
        plan_make(machine, &demand, &plan) < 0)
        return 1;
    rc = full ? fill(machine) : place_all(plan, strict);
    plan_free(plan);
    machine_free(machine);
    return rc;
}
