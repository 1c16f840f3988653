/* SPDX-License-Identifier: MIT */
/*
 * owner - the user and group that workers and interpreters run as.
 *
 * As in Gunicorn: number 0 and an empty name mean no change, supplementary
 * groups are kept.
 */
#ifndef GCORN_CORE_OWNER_H
#define GCORN_CORE_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

struct owner {
    uid_t uid;
    gid_t gid;
    bool all_groups; /* --initgroups: those of the user, not only gid */
};

/* Names or numbers; "" is what this process is. 0, or -ENOENT. */
int owner_find(struct owner *ret_owner, const char *user, const char *group);

/*
 * Becomes the owner, for good. Clears the parent-death signal: set it after.
 * Returns 0 or -errno.
 */
int owner_become(const struct owner *owner);
#endif
