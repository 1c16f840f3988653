/* SPDX-License-Identifier: MIT */
/*
 * static_file - the directories that a worker serves files from, and what it
 * remembers of the files.
 *
 * Owned by the worker's one thread. What is remembered is believed for a
 * second: then a file, or the whole directory, may have been replaced. Small
 * files are kept whole, of larger ones only what a head says of them; no
 * descriptor is kept but those of the directories. Looking up a file that is
 * not remembered may wait for the disk.
 *
 * Names are opened beneath their directory: neither ".." nor a symbolic link
 * leads out of it.
 */
#ifndef GCORN_CORE_STATIC_FILE_H
#define GCORN_CORE_STATIC_FILE_H

#include "static_ask.h"

/* Larger ones are not kept. With a head it fits a page of 8 KiB. */
#define STATIC_SMALL_BYTES 7168
#define STATIC_NAME_MAX 512 /* longer ones are not found */
#define STATIC_ETAG_MAX 48

struct static_map {
    struct bytes prefix;   /* of paths, without a slash at its end */
    const char *directory; /* absolute */
};

struct static_variant {
    bool is_there;
    uint8_t etag_len;
    uint64_t size;
    int64_t modified_ns;
    const char *content; /* size bytes; NULL: not kept */
    char etag[STATIC_ETAG_MAX];
};

/* Brotli and gzip: the siblings NAME.br and NAME.gz. */
struct static_file {
    char name[STATIC_NAME_MAX]; /* below the directory */
    uint32_t map;
    uint64_t checked_ns; /* 0: is to be looked at again */
    struct bytes type;
    struct static_variant as[STATIC_CODINGS];
};

struct static_site;

/* maps is borrowed. Returns 0 or -ENOMEM. */
int static_site_new(struct static_site **ret_site,
                    const struct static_map *maps, uint32_t count);
void static_site_free(struct static_site *site);

/* For multipart/byteranges: random, so that no file can have it inside. */
#define STATIC_BOUNDARY_LEN 32
struct bytes static_site_boundary(const struct static_site *site);

/*
 * Finds a regular file by its name (NUL-terminated, from static_path_name()).
 * Valid until the next call. Returns 0, -ENOENT, -EACCES, -ENAMETOOLONG, or
 * what else the machine says.
 */
int static_file_find(struct static_site *site, uint32_t map, const char *name,
                     uint64_t now_ns, struct static_file **ret_file);

/*
 * Opens one of its variants. Returns the descriptor; -ESTALE when it is no
 * longer what was found; or -errno.
 */
int static_file_open(struct static_site *site, struct static_file *file,
                     enum static_coding coding);
#endif
