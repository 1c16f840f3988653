/* SPDX-License-Identifier: MIT */
/*
 * migrate_vars - what the values of uWSGI's ini files may refer to: %(name) is
 * an option that was set further up, %n and the like are about the file, and
 * $(NAME) is a variable of the environment.
 */
#ifndef GCORN_WORKERS_MIGRATE_VARS_H
#define GCORN_WORKERS_MIGRATE_VARS_H

#include "core/base.h"

struct migrate_var {
    char *name;
    char *value;
};

struct migrate_vars {
    const char *path; /* of the file; lent */
    struct migrate_var *list;
    size_t count;
};

void migrate_vars_done(struct migrate_vars *vars);

/* Copies both. */
void migrate_vars_set(struct migrate_vars *vars, const char *name,
                      const char *value);

/*
 * The text with all that is known put in, to be freed; what is not known stays
 * as it is.
 */
char *migrate_vars_expand(const struct migrate_vars *vars, const char *text);
#endif
