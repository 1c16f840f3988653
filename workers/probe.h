/* SPDX-License-Identifier: MIT */
/*
 * probe - a trial run: what a worker of this application takes.
 *
 * A small gcorn of its own (one worker, one interpreter, a Unix socket that
 * nobody else can reach) loads the application as the real one will, answers
 * requests through the real path, is measured, and ends. It claims no core,
 * writes no access log and no pid file.
 */
#ifndef GCORN_WORKERS_PROBE_H
#define GCORN_WORKERS_PROBE_H

#include "workers/config.h"
#include "workers/master.h"

/* Requests to each path before the first look, and until the second. */
#define PROBE_WARM_UP 50
#define PROBE_MORE 150

/* Bytes. A pair is a worker process and its interpreter. */
struct probe_memory {
    uint64_t total;  /* of all four processes */
    uint64_t interp; /* pages that only the interpreter has */
    uint64_t dirty;  /* of those: written */
    uint64_t worker; /* the same of the worker process */
    uint64_t arena;  /* shared memory of the pair, as far as it is used */
};

struct probe_result {
    struct master_asked asked;  /* with the configuration file's */
    struct probe_memory loaded; /* before the first request */
    struct probe_memory used;   /* after all requests */
    uint32_t requests;          /* answered between the two last looks */
    uint32_t failed;            /* not answered, or with 5xx */
    int last_status;            /* of the failed, 0: no answer */
    uint64_t growth_bytes;      /* of the interpreter, for each request */
};

/*
 * Returns 0, or the exit code for a trial that ended by itself: it has said
 * why, like the real one would.
 */
int probe_run(const struct config *config, const struct config_input *input,
              const struct title *title, struct probe_result *ret_result);
#endif
