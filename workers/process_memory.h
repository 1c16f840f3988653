/* SPDX-License-Identifier: MIT */
/*
 * process_memory - what a process takes, with shared pages told apart.
 *
 * Needs the right to look at it (the same user, or root); that of another user
 * is -EACCES. Values in bytes.
 */
#ifndef GCORN_WORKERS_PROCESS_MEMORY_H
#define GCORN_WORKERS_PROCESS_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

struct process_memory {
    uint64_t pss;   /* its part of what it shares, and all else */
    uint64_t shmem; /* of that: shared memory, as arenas are */
    uint64_t own;   /* pages of nobody else, swapped out ones too */
    uint64_t dirty; /* of those: written, so that nothing can drop them */
};

/* Walks its page tables: for each GiB some milliseconds. 0 or -errno. */
int process_memory_read(pid_t pid, struct process_memory *ret_memory);

/* All resident pages, whosever they are too: cheap, never less than pss. */
int process_memory_resident(pid_t pid, uint64_t *ret_bytes);

/* What would come back if it ended: its part but for shared memory. */
static inline uint64_t process_memory_of(const struct process_memory *memory)
{
    return memory->pss > memory->shmem ? memory->pss - memory->shmem : 0;
}
#endif
