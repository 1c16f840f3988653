/* SPDX-License-Identifier: MIT */
/*
 * migrate - the configuration of another server as a gcorn command, and what
 * became of each of its options: mapped, not needed, no equivalent.
 *
 * Text in, text out; nothing is opened but the file that is named.
 */
#ifndef GCORN_WORKERS_MIGRATE_H
#define GCORN_WORKERS_MIGRATE_H

#include "core/base.h"

#include <stdio.h>

struct migrate;

/* "gcorn --from-uwsgi FILE", "--from-unit FILE": false when it is neither.
 * Then the exit code: 0; 1 when the file cannot be read or understood. */
bool migrate_main(int argc, char **argv, int *ret_code);

/* The texts of uWSGI (ini) and NGINX Unit (JSON). 0, or -EINVAL. */
int migrate_uwsgi(struct migrate *migrate, const char *path, char *text);
int migrate_unit(struct migrate *migrate, const char *text);

/* What they are made of. Memory that is short ends the program. */
struct migrate *migrate_new(void);
void migrate_free(struct migrate *migrate);

/* A flag of the command, with a value unless that is NULL; and the line that
 * says from which option it came. */
void migrate_flag(struct migrate *migrate, const char *option, const char *flag,
                  const char *value);
/* The application: MODULE and the name in it, which may come one by one. */
void migrate_module(struct migrate *migrate, const char *option,
                    const char *module);
void migrate_callable(struct migrate *migrate, const char *option,
                      const char *callable);
/* A line alone. */
void migrate_note(struct migrate *migrate, const char *option,
                  const char *what);
void migrate_not_needed(struct migrate *migrate, const char *option,
                        const char *why);
void migrate_no_equivalent(struct migrate *migrate, const char *option,
                           const char *instead);

/* Was this flag given already? */
bool migrate_has(const struct migrate *migrate, const char *flag);

void migrate_print(const struct migrate *migrate, FILE *to);
#endif
