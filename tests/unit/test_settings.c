/* SPDX-License-Identifier: MIT */
/* Settings on their way between processes, and those of a configuration file
 * among the other sources. */
#include "core/settings.h"

#include "workers/config_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct settings settings;

static void entries_come_back_in_order(void **state)
{
    const char *name = NULL;

    (void)state;
    settings_init(&settings);
    assert_null(settings_next(&settings, NULL));
    assert_int_equal(settings_add(&settings, "bind", "a:1"), 0);
    assert_int_equal(settings_add(&settings, "name", ""), 0);
    assert_int_equal(settings_add(&settings, "bind", "b:2"), 0);
    assert_string_equal(settings_get(&settings, "bind", 0), "a:1");
    assert_string_equal(settings_get(&settings, "bind", 1), "b:2");
    assert_null(settings_get(&settings, "bind", 2));
    assert_string_equal(settings_get(&settings, "name", 0), "");
    name = settings_next(&settings, name);
    name = settings_next(&settings, name);
    name = settings_next(&settings, name);
    assert_string_equal(name, "bind");
    assert_null(settings_next(&settings, name));
    assert_int_equal(settings_check(&settings, settings_size(&settings)), 0);
}

static void what_is_full_says_so(void **state)
{
    static char large[SETTINGS_BYTES];

    (void)state;
    settings_init(&settings);
    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(settings_add(&settings, "n", large), -ENOSPC);
    large[SETTINGS_BYTES - 3] = '\0';
    assert_int_equal(settings_add(&settings, "n", large), 0);
    assert_int_equal(settings_add(&settings, "", ""), -ENOSPC);
}

static void what_is_not_whole_is_refused(void **state)
{
    size_t size;

    (void)state;
    settings_init(&settings);
    assert_int_equal(settings_check(&settings, 3), -EPROTO);
    settings_add(&settings, "a", "b");
    size = settings_size(&settings);
    assert_int_equal(settings_check(&settings, size - 1), -EPROTO);
    settings.text[settings.bytes - 1] = 'x';
    assert_int_equal(settings_check(&settings, size), -EPROTO);
    settings.text[settings.bytes - 1] = '\0';
    settings.text[1] = 'x'; /* a name without value */
    assert_int_equal(settings_check(&settings, size), -EPROTO);
    settings.bytes = UINT32_MAX;
    assert_int_equal(settings_check(&settings, size), -EPROTO);
}

struct sources {
    struct config config;
    struct config_error error;
    struct config_input input;
};

static void sources_read(struct sources *sources, char **argv, int argc,
                         const char *cmd_args)
{
    *sources = (struct sources){.input = {.argc = argc, .argv = argv}};
    sources->input.cwd = strdup("/");
    sources->input.cmd_args = cmd_args != NULL ? strdup(cmd_args) : NULL;
    assert_int_equal(
        config_load(&sources->config, &sources->input, &sources->error), 0);
}

static void sources_done(struct sources *sources)
{
    free(sources->input.cmd_args);
    free(sources->input.cwd);
    config_done(&sources->config);
}

/* default < file < GUNICORN_CMD_ARGS < command line. */
static void the_file_is_between(void **state)
{
    char *argv[] = {(char[]){"gcorn"}, (char[]){"-w"}, (char[]){"4"},
                    (char[]){"app"}, NULL};
    struct sources sources;

    (void)state;
    sources_read(&sources, argv, 4, "--timeout 5 -b c:3");
    settings_init(&settings);
    settings_add(&settings, "workers", "9");
    settings_add(&settings, "timeout", "9");
    settings_add(&settings, "backlog", "9");
    settings_add(&settings, "bind", "a:1");
    settings_add(&settings, "raw_env", "A=1");
    settings_add(&settings, "raw_env", "B=2");
    settings_add(&settings, "!errorlog", "");
    assert_int_equal(
        config_file_take(&sources.config, &settings, &sources.error), 0);
    assert_int_equal(config_settle(&sources.config, &sources.error), 0);
    assert_int_equal(sources.config.workers, 4);
    assert_int_equal(sources.config.timeout, 5);
    assert_int_equal(sources.config.backlog, 9);
    assert_int_equal(sources.config.bind.count, 1);
    assert_string_equal(sources.config.bind.items[0], "c:3");
    assert_int_equal(sources.config.raw_env.count, 2);
    assert_string_equal(sources.config.errorlog, "");
    sources_done(&sources);
}

static void a_bad_value_of_the_file_exits_1(void **state)
{
    char *argv[] = {(char[]){"gcorn"}, (char[]){"app"}, NULL};
    struct sources sources;

    (void)state;
    sources_read(&sources, argv, 2, NULL);
    settings_init(&settings);
    settings_add(&settings, "header_map", "allow");
    assert_int_equal(
        config_file_take(&sources.config, &settings, &sources.error), -EINVAL);
    assert_int_equal(sources.error.exit_code, 1);
    assert_non_null(
        strstr(sources.error.text, "Invalid value for header_map: allow"));
    sources_done(&sources);
}

static void a_reload_reads_all_anew(void **state)
{
    char *argv[] = {(char[]){"gcorn"}, (char[]){"-t"}, (char[]){"7"},
                    (char[]){"app"}, NULL};
    struct sources sources;
    struct config fresh;

    (void)state;
    sources_read(&sources, argv, 4, NULL);
    settings_init(&settings);
    settings_add(&settings, "timeout", "9");
    settings_add(&settings, "threads", "3");
    assert_int_equal(
        config_reload(&fresh, &sources.input, &settings, &sources.error), 0);
    assert_int_equal(fresh.timeout, 7);
    assert_int_equal(fresh.threads, 3);
    assert_string_equal(fresh.worker_class, "gthread");
    config_done(&fresh);
    settings_add(&settings, "workers", "-3");
    assert_int_equal(
        config_reload(&fresh, &sources.input, &settings, &sources.error),
        -EINVAL);
    config_done(&fresh);
    assert_int_equal(sources.config.threads, 1);
    sources_done(&sources);
}

/* What a template is told is what was settled. */
static void all_of_it_is_passed_on(void **state)
{
    char *argv[] = {(char[]){"gcorn"},   (char[]){"--preload"},
                    (char[]){"-e"},      (char[]){"A=1"},
                    (char[]){"--chdir"}, (char[]){"tmp"},
                    (char[]){"app"},     NULL};
    struct sources sources;

    (void)state;
    assert_return_code(chdir("/"), errno);
    sources_read(&sources, argv, 7, NULL);
    assert_int_equal(config_pass(&sources.config, &sources.input, &settings),
                     0);
    assert_string_equal(settings_get(&settings, "wsgi_app", 0), "app");
    assert_string_equal(settings_get(&settings, "preload_app", 0), "1");
    assert_string_equal(settings_get(&settings, "raw_env", 0), "A=1");
    assert_string_equal(settings_get(&settings, "chdir", 0), "//tmp");
    assert_string_equal(settings_get(&settings, "timeout", 0), "30");
    sources_done(&sources);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_back_in_order),
        cmocka_unit_test(what_is_full_says_so),
        cmocka_unit_test(what_is_not_whole_is_refused),
        cmocka_unit_test(the_file_is_between),
        cmocka_unit_test(a_bad_value_of_the_file_exits_1),
        cmocka_unit_test(a_reload_reads_all_anew),
        cmocka_unit_test(all_of_it_is_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
