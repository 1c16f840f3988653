/* SPDX-License-Identifier: MIT */
#include "owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static bool number_parse(const char *text, unsigned long *ret_number)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *ret_number = strtoul(text, &end, 10);
    return errno == 0 && *end == '\0' && *ret_number < UINT32_MAX;
}

static int user_find(const char *user, uid_t *ret_uid)
{
    unsigned long number;
    const struct passwd *entry;

    if (number_parse(user, &number)) {
        *ret_uid = (uid_t)number;
        return 0;
    }
    entry = getpwnam(user);
    if (entry == NULL)
        return -ENOENT;
    *ret_uid = entry->pw_uid;
    return 0;
}

static int group_find(const char *group, gid_t *ret_gid)
{
    unsigned long number;
    const struct group *entry;

    if (number_parse(group, &number)) {
        *ret_gid = (gid_t)number;
        return 0;
    }
    entry = getgrnam(group);
    if (entry == NULL)
        return -ENOENT;
    *ret_gid = entry->gr_gid;
    return 0;
}

int owner_find(struct owner *ret_owner, const char *user, const char *group)
{
    struct owner owner = {.uid = geteuid(), .gid = getegid()};
    int err = 0;

    if (user[0] != '\0')
        err = user_find(user, &owner.uid);
    if (err == 0 && group[0] != '\0')
        err = group_find(group, &owner.gid);
    if (err == 0)
        *ret_owner = owner;
    return err;
}

/* The groups that /etc/group gives the user, beside its own. */
static int groups_take(const struct owner *owner)
{
    const struct passwd *entry = getpwuid(owner->uid);

    if (entry == NULL)
        return -ENOENT;
    return initgroups(entry->pw_name, owner->gid) < 0 ? -errno : 0;
}

int owner_become(const struct owner *owner)
{
    int err = owner->all_groups && geteuid() == 0 ? groups_take(owner) : 0;

    if (err < 0)
        return err;
    /* The group first: afterwards the right to change it may be gone. */
    if (owner->gid != 0 && owner->gid != getegid() && setgid(owner->gid) < 0)
        return -errno;
    if (owner->uid != 0 && owner->uid != geteuid() && setuid(owner->uid) < 0)
        return -errno;
    return 0;
}
