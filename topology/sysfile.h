/* SPDX-License-Identifier: MIT */
/*
 * sysfile - one value from one small file of /proc or /sys.
 *
 * Every path is looked up below a root directory: "" for the running system,
 * or a tree that a test made. What cannot be read is not an error here: the
 * caller knows what "unknown" means for its value.
 */
#ifndef GCORN_TOPOLOGY_SYSFILE_H
#define GCORN_TOPOLOGY_SYSFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole file, cut to size, without white space at its end. */
bool sysfile_text(const char *root, const char *path, char *text, size_t size);
/* A decimal number at the start of the file. */
bool sysfile_number(const char *root, const char *path, int64_t *ret_number);
bool sysfile_exists(const char *root, const char *path);
/* The last part of what the link points to. */
bool sysfile_link_name(const char *root, const char *path, char *name,
                       size_t size);

/*
 * Calls back for each entry of a directory, in order of name (numbers by
 * value), but for those that start with a dot. False: no such directory.
 */
bool sysfile_each(const char *root, const char *path,
                  void (*on_entry)(const char *name, void *data), void *data);

#endif
