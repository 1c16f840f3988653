/* SPDX-License-Identifier: MIT */
#include "topology/claim.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int make_dir(void **state)
{
    *state = strdup("/tmp/gcorn-claim-XXXXXX");
    return mkdtemp(*state) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/cpus.lock", (char *)*state);
    unlink(path);
    rmdir(*state);
    free(*state);
    return 0;
}

static struct cpus set_of(const char *list)
{
    struct cpus set;

    assert_int_equal(cpus_parse(list, &set), 0);
    return set;
}

/* Another master: takes the CPUs, says how it went, waits to be killed. */
static pid_t start_other(const char *dir, const char *list, int *ret_result)
{
    struct cpus cpus = set_of(list);
    int pipes[2];
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        struct claim claim;
        int rc = claim_open(&claim, dir);

        if (rc == 0)
            rc = claim_take(&claim, &cpus);
        if (write(pipes[1], &rc, sizeof(rc)) != sizeof(rc))
            _exit(1);
        for (;;)
            pause();
    }
    close(pipes[1]);
    assert_int_equal(read(pipes[0], ret_result, sizeof(*ret_result)),
                     sizeof(*ret_result));
    close(pipes[0]);
    return pid;
}

static void stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void assert_taken(const struct claim *claim, pid_t except,
                         const char *list)
{
    struct cpus taken;
    char text[CPUS_TEXT];

    assert_int_equal(claim_taken(claim, except, &taken), 0);
    cpus_format(&taken, text, sizeof(text));
    assert_string_equal(text, list);
}

static void masters_do_not_overlap(void **state)
{
    struct cpus mine = set_of("2-5,64"), wish = set_of("0-2");
    struct claim claim;
    int rc;
    pid_t other;

    assert_int_equal(claim_open(&claim, *state), 0);
    assert_taken(&claim, 0, "");
    assert_int_equal(claim_take(&claim, &mine), 0);
    /* One's own are not in the way. */
    assert_taken(&claim, 0, "");
    other = start_other(*state, "0-2", &rc);
    assert_int_equal(rc, -EBUSY);
    stop(other);
    other = start_other(*state, "0-1,4095", &rc);
    assert_int_equal(rc, 0);
    assert_taken(&claim, 0, "0-1,4095");
    assert_taken(&claim, other, "");
    assert_int_equal(claim_take(&claim, &wish), -EBUSY);
    stop(other);
    claim_close(&claim);
}

static void nothing_is_kept_of_a_failure(void **state)
{
    struct cpus wish = set_of("0-9");
    struct claim claim;
    int rc;
    pid_t first = start_other(*state, "9", &rc), second;

    assert_int_equal(rc, 0);
    assert_int_equal(claim_open(&claim, *state), 0);
    assert_int_equal(claim_take(&claim, &wish), -EBUSY);
    second = start_other(*state, "0-8", &rc);
    assert_int_equal(rc, 0);
    stop(first);
    stop(second);
    claim_close(&claim);
}

static void the_dead_hold_nothing(void **state)
{
    struct cpus wish = set_of("0-3");
    struct claim claim;
    int rc;
    pid_t other = start_other(*state, "0-3", &rc);

    assert_int_equal(claim_open(&claim, *state), 0);
    assert_taken(&claim, 0, "0-3");
    stop(other);
    assert_taken(&claim, 0, "");
    assert_int_equal(claim_take(&claim, &wish), 0);
    claim_close(&claim);
}

/* A worker that outlives its master must not keep its CPUs. */
static void children_hold_nothing(void **state)
{
    struct cpus mine = set_of("0-3");
    struct claim claim;
    pid_t child;
    int rc;

    assert_int_equal(claim_open(&claim, *state), 0);
    assert_int_equal(claim_take(&claim, &mine), 0);
    child = fork();
    if (child == 0)
        for (;;)
            pause();
    assert_int_equal(claim_drop(&claim, &mine), 0);
    stop(start_other(*state, "0-3", &rc));
    assert_int_equal(rc, 0);
    stop(child);
    claim_close(&claim);
}

static void without_a_directory_there_is_an_error(void **state)
{
    struct claim claim;

    (void)state;
    assert_int_equal(claim_open(&claim, "/nonexistent/gcorn"), -ENOENT);
    assert_int_equal(claim.fd, -1);
    claim_close(&claim);
}

static void who_looks_takes_nothing(void **state)
{
    struct claim_view view;
    char text[CPUS_TEXT];
    int rc;
    pid_t first, second;

    claim_look(*state, &view);
    assert_int_equal(view.n, 0);
    first = start_other(*state, "0-1,7", &rc);
    second = start_other(*state, "4", &rc);
    claim_look(*state, &view);
    cpus_format(&view.taken, text, sizeof(text));
    assert_string_equal(text, "0-1,4,7");
    assert_int_equal(view.n, 2);
    assert_int_equal(view.holders[0].pid, first);
    cpus_format(&view.holders[0].cpus, text, sizeof(text));
    assert_string_equal(text, "0-1,7");
    assert_int_equal(view.holders[1].pid, second);
    stop(first);
    stop(second);
    claim_look(*state, &view);
    assert_true(cpus_is_empty(&view.taken));
}

/* As an operator who only asks what would be. */
static void who_looks_makes_no_file(void **state)
{
    struct claim_view view;
    char path[256];

    claim_look(*state, &view);
    snprintf(path, sizeof(path), "%s/cpus.lock", (const char *)*state);
    assert_int_equal(access(path, F_OK), -1);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(masters_do_not_overlap),
        IN_DIR(nothing_is_kept_of_a_failure),
        IN_DIR(the_dead_hold_nothing),
        IN_DIR(children_hold_nothing),
        IN_DIR(without_a_directory_there_is_an_error),
        IN_DIR(who_looks_takes_nothing),
        IN_DIR(who_looks_makes_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
