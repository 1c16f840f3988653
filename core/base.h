/* SPDX-License-Identifier: MIT */
/*
 * base - what every file of gcorn may use: fixed-width types, an assert that
 * stays on in release builds, and a clock.
 *
 * must() is for what only our own bug can break. What a peer, the kernel or
 * the operator can do is an error and is returned.
 */
#ifndef GCORN_CORE_BASE_H
#define GCORN_CORE_BASE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define CACHE_LINE 64
#define cache_aligned __attribute__((aligned(CACHE_LINE)))

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

/* Prints the expression and its place on standard error, then aborts. */
_Noreturn void must_failed(const char *expr, const char *file, int line);

#define must(expr)                                                             \
    (likely(expr) ? (void)0 : must_failed(#expr, __FILE__, __LINE__))

/* CLOCK_MONOTONIC in nanoseconds: comparable between processes. */
static inline uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* CPU time of the calling thread: a system call. */
static inline uint64_t thread_cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}
#endif
