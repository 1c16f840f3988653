/* SPDX-License-Identifier: MIT */
/*
 * static_path - from a request's path to a file's name below a directory, and
 * from a file's name to its media type. Pure: looks at no file.
 *
 * What a name may be is decided here, after percent-decoding: no "." or "..",
 * no NUL, no name that starts with a dot (".well-known" may). That symbolic
 * links do not lead out of the directory is static_file's part.
 */
#ifndef GCORN_CORE_STATIC_PATH_H
#define GCORN_CORE_STATIC_PATH_H

#include "base.h"
#include "bytes.h"

#define STATIC_PATH_MAX 1024

/*
 * Copies path to out with percent-encoding decoded once; what is no valid
 * encoding stays as it is. A path that was decoded before is only copied.
 * Returns the length, or -ENAMETOOLONG.
 */
int static_path_decode(struct bytes path, bool decoded,
                       char out[STATIC_PATH_MAX]);

/*
 * Is the path below the prefix, which has no slash at its end ("" is all)?
 * "/static" itself is not below "/static".
 */
bool static_path_is_below(struct bytes path, struct bytes prefix);

/*
 * Makes the name of a file out of what follows the prefix: without a slash in
 * front, without empty parts, NUL-terminated. out may be where rest lies.
 * Returns its length, or -ENOENT when it can name no file.
 */
int static_path_name(struct bytes rest, char *out);

/* "text/css; charset=utf-8" for "a/b.css". */
struct bytes static_path_type(struct bytes name);
#endif
