/* SPDX-License-Identifier: MIT */
/*
 * claim - which CPUs the gcorn masters of one host have taken.
 *
 * One lock file for all; byte N is CPU N. The locks belong to the process,
 * not to its descriptors: a forked child holds none, and those of a master
 * that died are free at once, whatever killed it.
 *
 *   claim_open; then: claim_taken -> plan_make -> claim_take, and again from
 *   claim_taken on when that says -EBUSY, because another was faster
 *
 * A process may open it once only: closing any descriptor of the file drops
 * all its locks, as POSIX has it. Containers do not see each other's file;
 * there the plan does not bind unless the cpuset is theirs.
 */
#ifndef GCORN_TOPOLOGY_CLAIM_H
#define GCORN_TOPOLOGY_CLAIM_H

#include <sys/types.h>

#include "topology/cpus.h"

struct claim {
    int fd; /* -1: not open */
    char path[256];
};

/*
 * Opens the lock file in @dir; NULL: in $GCORN_RUNTIME_DIR if it is set, else
 * in /run/gcorn, or where that may not be made in $XDG_RUNTIME_DIR/gcorn.
 * Returns 0 or -errno; the master then goes without claims.
 */
int claim_open(struct claim *claim, const char *dir);
/* Drops what is held. */
void claim_close(struct claim *claim);

/*
 * The CPUs that others hold, except for process @except (0: nobody): a master
 * that is being replaced gives its CPUs to its successor.
 */
int claim_taken(const struct claim *claim, pid_t except,
                struct cpus *ret_taken);

/* A master, by what it holds. */
struct claim_holder {
    pid_t pid; /* 0: of another container */
    struct cpus cpus;
};

#define CLAIM_HOLDERS_MAX 16

struct claim_view {
    struct cpus taken;
    uint32_t n; /* of holders; those beyond the room are in `taken` only */
    struct claim_holder holders[CLAIM_HOLDERS_MAX];
};

/*
 * For who only looks: makes no file and takes no part. With NULL both places
 * are looked at. Where there is no file, nobody holds anything.
 */
void claim_look(const char *dir, struct claim_view *ret_view);

/* All of @cpus or none of them. Returns 0, -EBUSY or -errno. */
int claim_take(struct claim *claim, const struct cpus *cpus);
int claim_drop(struct claim *claim, const struct cpus *cpus);

#endif
