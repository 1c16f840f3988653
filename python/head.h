/* SPDX-License-Identifier: MIT */
/*
 * head - status line and header fields of an application, checked (PEP 3333,
 * RFC 9110) and written where the response begins.
 */
#ifndef GCORN_PYTHON_HEAD_H
#define GCORN_PYTHON_HEAD_H

#include "response.h"

/* Kept free behind the application's fields for Connection and framing. */
#define HEAD_TAIL_BYTES 128

/*
 * With the GIL. Replaces what head there was. Sets response->status and
 * ->length. fields is a list or tuple. 0, or -1 with an exception set.
 */
int head_build(struct response *response, PyObject *status_text,
               PyObject *fields);

/* Content-Length; *ret_length is -1, or what it was given as before. 0, or -1
 * with an exception set. */
int head_set_length(int64_t *ret_length, struct bytes value);

/* A field about the connection, which is not the application's to send. */
bool head_is_servers(struct bytes name);

/* The same for a 103 response before the head, which leaves at once. */
int head_hints(struct response *response, PyObject *fields);
#endif
