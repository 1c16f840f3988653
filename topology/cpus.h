/* SPDX-License-Identifier: MIT */
/*
 * cpus - a set of CPUs by their OS number, as sched_setaffinity() counts them.
 *
 * Plain data of a fixed size: copied by assignment, compared by value, good
 * in shared memory. The numbers may be sparse (offline CPUs, POWER).
 */
#ifndef GCORN_TOPOLOGY_CPUS_H
#define GCORN_TOPOLOGY_CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPUS_MAX 4096
#define CPUS_WORDS (CPUS_MAX / 64)
/* Room for the list form of any set a real machine has. */
#define CPUS_TEXT 1024

struct cpus {
    uint64_t word[CPUS_WORDS];
};

static inline bool cpus_has(const struct cpus *set, uint32_t cpu)
{
    return cpu < CPUS_MAX && (set->word[cpu / 64] >> (cpu % 64) & 1) != 0;
}

/* A CPU beyond CPUS_MAX is ignored: machine_read() refuses such machines. */
static inline void cpus_add(struct cpus *set, uint32_t cpu)
{
    if (cpu < CPUS_MAX)
        set->word[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

uint32_t cpus_count(const struct cpus *set);
bool cpus_is_empty(const struct cpus *set);
bool cpus_equal(const struct cpus *a, const struct cpus *b);
bool cpus_intersect(const struct cpus *a, const struct cpus *b);
/* Is every CPU of @part in @whole? The empty set is in every set. */
bool cpus_contain(const struct cpus *whole, const struct cpus *part);

/* The first CPU of the set that is >= @from, or -1. */
int cpus_next(const struct cpus *set, uint32_t from);
/* The highest CPU of the set, or -1. */
int cpus_last(const struct cpus *set);

/* @set becomes the intersection, the union, the difference with @other. */
void cpus_and(struct cpus *set, const struct cpus *other);
void cpus_or(struct cpus *set, const struct cpus *other);
void cpus_remove(struct cpus *set, const struct cpus *other);

/*
 * The kernel's list form, "0-3,8,10-11"; blanks around it are skipped and an
 * empty text is the empty set. Returns 0, -EINVAL, or -ERANGE for a CPU
 * beyond CPUS_MAX; *ret_set is touched on success only.
 */
int cpus_parse(const char *text, struct cpus *ret_set);

/*
 * Writes the list form, always terminated. A list that does not fit ends in
 * "..." after its last whole range. Returns the length written.
 */
size_t cpus_format(const struct cpus *set, char *text, size_t size);

#endif
