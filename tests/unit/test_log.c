/* SPDX-License-Identifier: MIT */
#include "core/log.h"

#include <fcntl.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PREFIX                                                                 \
    "^\\[20[0-9]{2}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:"               \
    "[0-6][0-9] [+-][0-9]{4}\\] \\[[0-9]+\\] \\[[A-Z]+\\] "

static char text[200000];

/* What has been logged since set_up(). */
static const char *logged(void)
{
    ssize_t n = pread(log_fd(), text, sizeof(text) - 1, 0);

    assert_true(n >= 0);
    text[n] = 0;
    return text;
}

static int set_up(void **state)
{
    (void)state;
    log_open(memfd_create("log", MFD_CLOEXEC), LOG_LEVEL_INFO);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(log_fd());
    return 0;
}

static void assert_matches(const char *line, const char *pattern)
{
    regex_t regex;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, line, 0, NULL, 0) != 0)
        fail_msg("%s does not match %s", line, pattern);
    regfree(&regex);
}

static void test_looks_like_gunicorn(void **state)
{
    char own[64];

    (void)state;
    log_info("Listening at: %s (%d)", "http://127.0.0.1:8000", 17);
    assert_matches(logged(), PREFIX "Listening at: .*\\(17\\)\n$");
    snprintf(own, sizeof(own), "] [%d] [INFO] Listening", (int)getpid());
    assert_non_null(strstr(text, own));
}

/* The pid is that of who writes, also after a fork. */
static void test_tells_the_child_apart(void **state)
{
    char own[64];
    pid_t pid;

    (void)state;
    log_info("parent");
    pid = fork();
    if (pid == 0) {
        log_info("child");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    snprintf(own, sizeof(own), "[%d] [INFO] child\n", (int)pid);
    assert_non_null(strstr(logged(), own));
}

static void test_levels(void **state)
{
    static const char *const names[] = {"debug", "INFO", "Warning", "error",
                                        "critical"};
    enum log_level level = LOG_LEVEL_ERROR;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_true(log_level_parse(names[i], &level));
        assert_int_equal(level, i);
    }
    assert_false(log_level_parse("verbose", &level));
    assert_int_equal(level, LOG_LEVEL_CRITICAL);

    log_debug("hidden");
    log_warning("shown");
    assert_null(strstr(logged(), "hidden"));
    assert_non_null(strstr(text, "[WARNING] shown\n"));
    assert_false(log_enabled(LOG_LEVEL_DEBUG));
    assert_true(log_enabled(LOG_LEVEL_INFO));
}

static void test_nobody_forges_a_line(void **state)
{
    (void)state;
    log_warning("path %s",
                "/a\n[2026-01-01 00:00:00 +0000] [1] [INFO] ok\r\t\x1b[31m\x7f"
                "\xc3\xa4");
    logged();
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_non_null(strstr(text, "/a\\n[2026"));
    assert_non_null(strstr(text, "ok\\r\\t\\x1b[31m\\x7f\xc3\xa4\n"));
}

static void test_long_lines_are_cut(void **state)
{
    static char long_text[100000];

    (void)state;
    memset(long_text, '\1', sizeof(long_text) - 1); /* the worst: "\x01" */
    log_info("%s", long_text);
    assert_matches(logged(), PREFIX "(\\\\x01){4095}\\.\\.\\.\n$");
}

static void test_blocks_stay_as_they_are(void **state)
{
    static const char trace[] = "Traceback:\n  File \"a.py\"\nValueError: x";

    (void)state;
    log_block(LOG_LEVEL_ERROR, "Exception in worker\n", trace,
              sizeof(trace) - 1);
    assert_matches(logged(), PREFIX "Exception in worker\\\\n\nTraceback:\n"
                                    "  File \"a.py\"\nValueError: x\n$");
    log_block(LOG_LEVEL_DEBUG, "hidden", trace, sizeof(trace) - 1);
    assert_null(strstr(logged(), "hidden"));
}

/* Lines of processes that share the file are never mixed. */
static void test_lines_stay_whole(void **state)
{
    enum { WRITERS = 4, LINES = 300 };
    char path[] = "/tmp/gcorn-test-log-XXXXXX";
    char *line;
    char *end;
    int n = 0;

    (void)state;
    close(log_fd());
    close(mkstemp(path));
    log_open(open(path, O_RDWR | O_APPEND | O_CLOEXEC), LOG_LEVEL_INFO);
    unlink(path);
    for (int i = 0; i < WRITERS; i++) {
        if (fork() != 0)
            continue;
        for (int j = 0; j < LINES; j++)
            log_info("%s %d %d end", "a line of some length", i, j);
        _exit(0);
    }
    while (wait(NULL) > 0)
        continue;
    logged();
    for (line = text; *line != 0; line = end + 1, n++) {
        end = strchr(line, '\n');
        assert_non_null(end);
        *end = 0;
        assert_matches(line, PREFIX "a line of some length [0-9]+ [0-9]+ end$");
    }
    assert_int_equal(n, WRITERS * LINES);
}

static void test_limit(void **state)
{
    struct log_limit limit = {0};
    uint32_t dropped = 99;

    (void)state;
    assert_true(log_allow(&limit, &dropped));
    assert_int_equal(dropped, 0);
    for (int i = 0; i < 5; i++) {
        limit.last_ns = now_ns();
        assert_false(log_allow(&limit, &dropped));
    }
    limit.last_ns = now_ns() - NS_PER_S;
    assert_true(log_allow(&limit, &dropped));
    assert_int_equal(dropped, 5);
}

/* A log that is gone must not end the server. */
static void test_survives_a_closed_log(void **state)
{
    (void)state;
    close(log_fd());
    log_open(-1, LOG_LEVEL_INFO);
    log_error("into the void");
    set_up(state);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define X(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        X(test_looks_like_gunicorn),
        X(test_tells_the_child_apart),
        X(test_levels),
        X(test_nobody_forges_a_line),
        X(test_long_lines_are_cut),
        X(test_blocks_stay_as_they_are),
        X(test_lines_stay_whole),
        X(test_limit),
        X(test_survives_a_closed_log),
#undef X
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
