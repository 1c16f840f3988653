/* SPDX-License-Identifier: MIT */
/*
 * responder - the callables an application gets for one request:
 * start_response, write and wsgi.early_hints. Used again for the next request
 * when the application kept no reference; one it kept says that the request
 * is over.
 */
#ifndef GCORN_PYTHON_RESPONDER_H
#define GCORN_PYTHON_RESPONDER_H

#include "response.h"

/* All with the GIL. NULL with an exception set. */
PyTypeObject *responder_type_new(void);
PyObject *responder_new(struct response *response, enum responder_kind kind);

/* Takes response->responder[kind] out of use. */
void responder_end(struct response *response, enum responder_kind kind);
#endif
