/* SPDX-License-Identifier: MIT */
#include "advice.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/log.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

#define ADVICE_NS (60 * NS_PER_S)
/* A request that is never on the CPU for so long is all noise. */
#define SERVICE_US_MIN 200

void advice_solve(struct advice *advice)
{
    uint64_t cpu = max_u64(advice->cpu_us, 1);

    advice->wanted = 0;
    if (advice->requests < ADVICE_REQUESTS)
        return;
    advice->wanted = 1;
    if (advice->service_us >= SERVICE_US_MIN)
        advice->wanted =
            (uint32_t)min_u64(max_u64((advice->service_us + cpu / 2) / cpu, 1),
                              ADVICE_THREADS_MAX);
}

static uint64_t mean(const struct stats_histogram *histogram)
{
    uint64_t count = atomic_load_explicit(&histogram->count,
                                          memory_order_relaxed);

    return count == 0 ? 0
                      : atomic_load_explicit(&histogram->sum_us,
                                             memory_order_relaxed) /
                            count;
}

/* Of interpreters that are alive: those before them took theirs along. */
static void cpu_take(const struct board *board, struct advice *advice)
{
    uint64_t requests = 0, cpu_ns = 0;

    for (uint32_t i = 0; i < board->interp_slots; i++) {
        const struct board_interp *interp = board_interp(board, i);

        if (!board_interp_serves(atomic_load(&interp->state)))
            continue;
        requests += atomic_load(&interp->requests);
        cpu_ns += atomic_load(&interp->cpu_ns);
        advice->threads = (uint32_t)max_u64(advice->threads,
                                            atomic_load(&interp->threads));
    }
    advice->requests = min_u64(advice->requests, requests);
    advice->cpu_us = requests == 0 ? 0 : cpu_ns / requests / NS_PER_US;
}

void advice_take(const struct observer *observer, struct advice *ret_advice)
{
    struct advice advice = {0};
    struct stats sum;

    report_sum(observer, &sum);
    advice.requests = atomic_load(&sum.service.count);
    advice.service_us = mean(&sum.service);
    advice.queue_us = mean(&sum.queue);
    cpu_take(observer->master->board, &advice);
    advice_solve(&advice);
    *ret_advice = advice;
}

/* "12.3 ms" in whole numbers. */
static const char *milliseconds(uint64_t us, char text[32])
{
    snprintf(text, 32, "%llu.%llu ms", (unsigned long long)(us / 1000),
             (unsigned long long)(us % 1000 / 100));
    return text;
}

static uint64_t waiting_us(const struct advice *advice)
{
    return advice->service_us > advice->cpu_us
               ? advice->service_us - advice->cpu_us
               : 0;
}

size_t advice_text(const struct advice *advice, char *text, size_t size)
{
    char service[32], cpu[32], waits[32], queue[32];
    size_t n;
    int length = snprintf(
        text, size,
        "measured over %llu requests: %s each, of which %s on the CPU and %s "
        "waiting; %s before that for a free thread",
        (unsigned long long)advice->requests,
        milliseconds(advice->service_us, service),
        milliseconds(advice->cpu_us, cpu),
        milliseconds(waiting_us(advice), waits),
        milliseconds(advice->queue_us, queue));

    n = min_u64((uint64_t)length, size - 1);
    if (advice->wanted > advice->threads)
        length = snprintf(text + n, size - n,
                          ": --threads %u would keep a worker busy (now %u)",
                          advice->wanted, advice->threads);
    else
        length = snprintf(text + n, size - n, ": %u thread%s enough",
                          advice->wanted,
                          advice->wanted == 1 ? " is" : "s are");
    return n + min_u64((uint64_t)length, size - n - 1);
}

void advice_json(const struct observer *observer, json_t *status)
{
    struct advice advice;
    char text[384] = "too few requests so far";
    json_t *json = json_object();

    advice_take(observer, &advice);
    if (advice.wanted > 0)
        advice_text(&advice, text, sizeof(text));
    json_object_set_new(json, "requests",
                        json_integer((int64_t)advice.requests));
    json_object_set_new(json, "service_us",
                        json_integer((int64_t)advice.service_us));
    json_object_set_new(json, "cpu_us", json_integer((int64_t)advice.cpu_us));
    json_object_set_new(json, "waiting_us",
                        json_integer((int64_t)waiting_us(&advice)));
    json_object_set_new(json, "queue_us",
                        json_integer((int64_t)advice.queue_us));
    json_object_set_new(json, "threads", json_integer(advice.threads));
    json_object_set_new(json, "threads_wanted",
                        advice.wanted > 0 ? json_integer(advice.wanted)
                                          : json_null());
    json_object_set_new(json, "text", json_string(text));
    json_object_set_new(status, "threads_advice", json);
}

/* Twice as many threads as there are, and not told before. */
static bool is_news(const struct master *master, const struct advice *advice)
{
    return advice->wanted > 0 && advice->threads > 0 &&
           advice->wanted >= 2 * advice->threads &&
           advice->wanted >= 2 * master->threads_told;
}

void advice_settle(struct master *master)
{
    struct advice advice;
    char text[384];

    if (master->observer == NULL || master->phase != MASTER_SERVING ||
        master->now < master->advice_ns)
        return;
    master->advice_ns = master->now + ADVICE_NS;
    advice_take(master->observer, &advice);
    if (!is_news(master, &advice))
        return;
    master->threads_told = advice.wanted;
    advice_text(&advice, text, sizeof(text));
    log_info("Threads: %s", text);
}
