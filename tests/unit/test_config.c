/* SPDX-License-Identifier: MIT */
/* The settings: every source, every kind, Gunicorn's messages and codes. */
#include "workers/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARGS_MAX 16

struct load {
    struct config config;
    struct config_error error;
    struct config_input input;
    char *argv[ARGS_MAX];
    int result;
};

/* The words end with NULL. */
static void load_words(struct load *load, const char *const *words)
{
    load->error = (struct config_error){0, ""};
    load->argv[0] = strdup("gcorn");
    load->input.argc = 1;
    for (size_t i = 0; words[i] != NULL; i++)
        load->argv[load->input.argc++] = strdup(words[i]);
    load->input.argv = load->argv;
    load->result = config_load(&load->config, &load->input, &load->error);
    if (load->result == 0)
        load->result = config_settle(&load->config, &load->error);
}

#define LOAD(load, ...)                                                        \
    load_words(load, (const char *const[]){__VA_ARGS__, NULL})

static void unload(struct load *load)
{
    for (int i = 0; i < load->input.argc; i++)
        free(load->argv[i]);
    config_done(&load->config);
}

static void expect_fail(const char *const *words, int code, const char *text)
{
    struct load load = {.input = {.argc = 0}};

    load_words(&load, words);
    assert_int_equal(load.result, -EINVAL);
    assert_int_equal(load.error.exit_code, code);
    assert_string_equal(load.error.text, text);
    unload(&load);
}

#define FAIL(code, text, ...)                                                  \
    expect_fail((const char *const[]){__VA_ARGS__, NULL}, code, text)

static void defaults_are_gunicorns(void **state)
{
    struct load load = {.input = {.argc = 0}};

    (void)state;
    LOAD(&load, "app:app");
    assert_int_equal(load.result, 0);
    assert_int_equal(load.config.bind.count, 1);
    assert_string_equal(load.config.bind.items[0], "127.0.0.1:8000");
    assert_int_equal(load.config.backlog, 2048);
    assert_string_equal(load.config.worker_class, "sync");
    assert_int_equal(load.config.threads, 1);
    assert_int_equal(load.config.timeout, 30);
    assert_int_equal(load.config.graceful_timeout, 30);
    assert_int_equal(load.config.keepalive, 2);
    assert_int_equal(load.config.limit_request_line, 4094);
    assert_int_equal(load.config.limit_request_fields, 100);
    assert_int_equal(load.config.limit_request_field_size, 8190);
    assert_string_equal(load.config.errorlog, "-");
    assert_string_equal(load.config.accesslog, "");
    assert_string_equal(load.config.wsgi_app, "app:app");
    unload(&load);
}

static void flags_in_all_their_forms(void **state)
{
    struct load load = {.input = {.argc = 0}};

    (void)state;
    LOAD(&load, "-w4", "--threads=3", "-b", "a:1", "--bind", "b:2", "-t=9",
         "--log-file", "-", "--preload", "--worker-conn", "5", "-m", "022",
         "app");
    assert_int_equal(load.result, 0);
    assert_int_equal(load.config.workers, 4);
    assert_int_equal(load.config.threads, 3);
    assert_int_equal(load.config.bind.count, 2);
    assert_string_equal(load.config.bind.items[0], "a:1");
    assert_string_equal(load.config.bind.items[1], "b:2");
    assert_int_equal(load.config.timeout, 9);
    assert_true(load.config.preload_app);
    assert_int_equal(load.config.worker_connections, 5);
    assert_int_equal(load.config.umask, 022);
    unload(&load);
}

static void short_flags_in_one_word(void **state)
{
    struct load load = {.input = {.argc = 0}};

    (void)state;
    LOAD(&load, "-RDw4", "app");
    assert_true(load.config.enable_stdio_inheritance);
    assert_true(load.config.daemon);
    assert_int_equal(load.config.workers, 4);
    unload(&load);
    FAIL(2,
         "argument -R/--enable-stdio-inheritance: ignored explicit argument "
         "'x'",
         "-Rx", "app");
}

static void an_exact_flag_is_not_ambiguous(void **state)
{
    struct load load = {.input = {.argc = 0}};

    (void)state;
    /* --max-requests is also the beginning of --max-requests-jitter. */
    LOAD(&load, "--max-requests", "10", "--", "app");
    assert_int_equal(load.result, 0);
    assert_int_equal(load.config.max_requests, 10);
    assert_int_equal(load.config.max_requests_jitter, 0);
    assert_string_equal(load.config.wsgi_app, "app");
    unload(&load);
}

/* What follows a mode's flag is its value only if it is one. */
static void modes_need_no_value(void **state)
{
    struct load load = {.input = {.argc = 0}};

    (void)state;
    LOAD(&load, "--proxy-protocol", "app:app", "--proxy-headers");
    assert_int_equal(load.result, 0);
    assert_string_equal(load.config.proxy_protocol, "auto");
    assert_string_equal(load.config.proxy_headers, "auto");
    assert_string_equal(load.config.wsgi_app, "app:app");
    unload(&load);
    LOAD(&load, "--proxy-protocol", "v2", "--proxy-headers=forwarded", "app");
    assert_int_equal(load.result, 0);
    assert_string_equal(load.config.proxy_protocol, "v2");
    assert_string_equal(load.config.proxy_headers, "forwarded");
    unload(&load);
    LOAD(&load, "--proxy-protocol", "--preload", "app");
    assert_int_equal(load.result, 0);
    assert_string_equal(load.config.proxy_protocol, "auto");
    assert_true(load.config.preload_app);
    unload(&load);
}

static void trusted_proxies(void **state)
{
    struct load load = {.input = {.allow_ips = (char[]){"10.0.0.0/8"}}};

    (void)state;
    LOAD(&load, "app");
    assert_string_equal(load.config.forwarded_allow_ips, "10.0.0.0/8");
    assert_string_equal(load.config.proxy_allow_ips, "127.0.0.1,::1");
    unload(&load);
    LOAD(&load, "--forwarded-allow-ips", "*", "--proxy-allow-from",
         "::1, 192.168.0.0/16", "--uwsgi-allow-from", "", "app");
    assert_int_equal(load.result, 0);
    assert_string_equal(load.config.forwarded_allow_ips, "*");
    assert_string_equal(load.config.proxy_allow_ips, "::1, 192.168.0.0/16");
    assert_string_equal(load.config.uwsgi_allow_ips, "");
    unload(&load);
    load.input.allow_ips = (char[]){""};
    LOAD(&load, "app");
    assert_string_equal(load.config.forwarded_allow_ips, "");
    unload(&load);
    load.input.allow_ips = (char[]){"10.0.0.1/8"};
    LOAD(&load, "app");
    assert_int_equal(load.result, -EINVAL);
    unload(&load);
}

static void sync_with_threads_is_gthread(void **state)
{
    struct load load = {.input = {.argc = 0}};

    (void)state;
    LOAD(&load, "--threads", "2", "app");
    assert_string_equal(load.config.worker_class, "gthread");
    unload(&load);
}

static void classes_have_other_names(void **state)
{
    static const char *const names[][2] = {
        {"gevent", "gevent"},
        {"gevent_wsgi", "gevent"},
        {"gevent_pywsgi", "gevent"},
        {"egg:gunicorn#gevent", "gevent"},
        {"gunicorn.workers.ggevent.GeventWorker", "gevent"},
        {"gunicorn.workers.ggevent.GeventPyWSGIWorker", "gevent"},
        {"eventlet", "eventlet"},
        {"gunicorn.workers.geventlet.EventletWorker", "eventlet"},
        {"gunicorn.workers.gthread.ThreadWorker", "gthread"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct load load = {.input = {.argc = 0}};

        LOAD(&load, "-k", names[i][0], "app");
        assert_int_equal(load.result, 0);
        assert_string_equal(load.config.worker_class, names[i][1]);
        unload(&load);
    }
}

static void a_class_with_sockets_is_refused(void **state)
{
    struct load load = {.input = {.argc = 0}};
    char name[] = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker";

    (void)state;
    LOAD(&load, "-k", name, "app");
    assert_int_equal(load.result, -EINVAL);
    assert_non_null(strstr(load.error.text, "-k asgi"));
    unload(&load);
}

static void stronger_sources_win(void **state)
{
    struct load load = {
        .input = {.port = (char[]){"5000"},
                  .web_concurrency = (char[]){"7"},
                  .cmd_args =
                      (char[]){"-w 5 --timeout 3 --name 'two words' ignored"}}};

    (void)state;
    LOAD(&load, "-t", "4", "app");
    assert_int_equal(load.result, 0);
    assert_string_equal(load.config.bind.items[0], "0.0.0.0:5000");
    assert_int_equal(load.config.bind.count, 1);
    assert_int_equal(load.config.workers, 5);
    assert_int_equal(load.config.timeout, 4);
    assert_string_equal(load.config.proc_name, "two words");
    assert_string_equal(load.config.wsgi_app, "app");
    unload(&load);
}

static void lists_replace_those_of_weaker_sources(void **state)
{
    struct load load = {.input = {.port = (char[]){"5000"},
                                  .cmd_args = (char[]){"-b a:1 -b b:2"}}};

    (void)state;
    LOAD(&load, "-b", "c:3", "app");
    assert_int_equal(load.config.bind.count, 1);
    assert_string_equal(load.config.bind.items[0], "c:3");
    unload(&load);
}

static void a_weaker_source_comes_too_late(void **state)
{
    struct load load = {.input = {.argc = 0}};

    (void)state;
    LOAD(&load, "-w", "3", "app");
    assert_int_equal(config_set(&load.config, CONFIG_AT_workers, "9",
                                CONFIG_FROM_FILE, &load.error),
                     0);
    assert_int_equal(load.config.workers, 3);
    assert_int_equal(config_set(&load.config, CONFIG_AT_timeout, "9",
                                CONFIG_FROM_FILE, &load.error),
                     0);
    assert_int_equal(load.config.timeout, 9);
    unload(&load);
}

static void usage_errors_exit_2(void **state)
{
    (void)state;
    FAIL(2, "unrecognized arguments: --nope", "--nope");
    FAIL(2, "unrecognized arguments: -Z", "-Z");
    FAIL(2, "unrecognized arguments: two", "one", "--preload", "two");
    FAIL(2, "argument -w/--workers: invalid int value: 'x'", "-w", "x");
    FAIL(2, "argument -w/--workers: invalid int value: '4x'", "-w", "4x");
    FAIL(2, "argument -w/--workers: invalid int value: ''", "-w", "");
    FAIL(2, "argument -m/--umask: invalid auto_int value: '9z'", "-m", "9z");
    FAIL(2, "argument -w/--workers: expected one argument", "-w");
    FAIL(2, "argument -w/--workers: expected one argument", "-w", "--preload");
    FAIL(2, "argument --preload: ignored explicit argument '1'", "--preload=1");
    FAIL(2,
         "ambiguous option: --limit-request-f could match "
         "--limit-request-fields, --limit-request-field_size",
         "--limit-request-f", "1");
    /* All of them are our own. */
    FAIL(2,
         "ambiguous option: --ws-p could match --ws-per-message-deflate, "
         "--ws-ping-interval, --ws-ping-timeout",
         "--ws-p", "5");
    FAIL(2,
         "argument --protocol: invalid choice: 'fastcgi' (choose from http, "
         "uwsgi)",
         "--protocol", "fastcgi");
}

static void config_errors_exit_1(void **state)
{
    (void)state;
    FAIL(1, "Value must be positive: -1", "-w", "-1");
    FAIL(1, "can't chdir to '/nonexistent'", "--chdir", "/nonexistent");
    FAIL(1, "No such user: 'nobody-here'", "-u", "nobody-here");
    FAIL(1, "No such group: 'nobody-here'", "-g", "nobody-here");
    FAIL(1, "'80x' is not a valid port number (--bind host:80x)", "-b",
         "host:80x");
    FAIL(1, "'65536' is not a valid port number (--bind :65536)", "-b",
         ":65536");
    FAIL(1, "'[::1' is not a valid address (--bind [::1)", "-b", "[::1");
    FAIL(1, "Value for workers must be at most 1000: 1001", "-w", "1001");
    FAIL(1, "10.0.0.1/8 has host bits set", "--proxy-allow-from",
         "::1,10.0.0.1/8");
    FAIL(1, "'me' does not appear to be an IPv4 or IPv6 network",
         "--forwarded-allow-ips", "me");
    FAIL(1, "proxy_protocol must be: off, v1, v2, or auto",
         "--proxy-protocol=v3");
    FAIL(1, "Invalid header map behaviour: allow", "--header-map", "allow");
}

static void environment_errors_exit_1(void **state)
{
    struct load load = {.input = {.web_concurrency = (char[]){"many"}}};

    (void)state;
    LOAD(&load, "app");
    assert_int_equal(load.result, -EINVAL);
    assert_int_equal(load.error.exit_code, 1);
    assert_string_equal(load.error.text, "Invalid value for workers: many");
    unload(&load);
}

static void an_open_quote_is_refused(void **state)
{
    struct load load = {.input = {.cmd_args = (char[]){"--name 'x"}}};

    (void)state;
    LOAD(&load, "app");
    assert_int_equal(load.result, -EINVAL);
    assert_int_equal(load.error.exit_code, 1);
    unload(&load);
}

/* Every setting of Gunicorn is known; what is not there says what to do. */
static void refused_settings_say_what_to_use(void **state)
{
    (void)state;
    FAIL(1,
         "certfile: TLS is not supported yet: terminate it in front, for "
         "example in nginx or HAProxy.",
         "--certfile", "server.pem", "app");
    FAIL(1,
         "dirty_workers: There are no dirty arbiters: use a task queue such as "
         "Celery or RQ.",
         "--dirty-workers", "2", "app");
    FAIL(1, "Invalid reload_engine: x", "--reload-engine", "x", "app");
    FAIL(1, "Invalid protocol 'h9'. Valid protocols: h1, h2",
         "--http-protocols", "h1,h9", "app");
}

/* The default of the table, said aloud, asks for nothing. */
static void a_default_is_not_given(void **state)
{
    struct load load = {.input = {.argc = 0}};

    (void)state;
    LOAD(&load, "--dirty-workers", "0", "--http-protocols", "h1",
         "--worker-tmp-dir", "/dev/shm", "--no-sendfile", "app");
    assert_int_equal(load.result, 0);
    assert_false(config_is_given(&load.config, CONFIG_AT_dirty_workers));
    assert_false(config_is_given(&load.config, CONFIG_AT_http_protocols));
    assert_false(config_is_given(&load.config, CONFIG_AT_backlog));
    assert_true(config_is_given(&load.config, CONFIG_AT_worker_tmp_dir));
    assert_true(config_is_given(&load.config, CONFIG_AT_sendfile));
    assert_false(load.config.sendfile);
    unload(&load);
}

static void every_flag_finds_its_own_row(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const char *flags = config_row(i)->flags;

            if (flags[0] != '\0')
                assert_string_not_equal(flags, config_row(j)->flags);
            assert_string_not_equal(config_row(i)->name, config_row(j)->name);
        }
    }
}

/* In memory, so that the test needs no file. */
static char *printed(void (*print)(const struct config *, FILE *),
                     const struct config *config)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    print(config, to);
    fclose(to);
    return text;
}

static void print_config_is_sorted_and_aligned(void **state)
{
    struct load load = {.input = {.argc = 0}};
    char *text;

    (void)state;
    LOAD(&load, "-b", "a:1", "-b", "b:2", "app");
    text = printed(config_print, &load.config);
    assert_non_null(strstr(text, "\npermit_unconventional_http_version = F"));
    assert_non_null(strstr(
        text, "\nbind                               = ['a:1', 'b:2']\n"));
    assert_non_null(
        strstr(text, "\npidfile                            = None\n"));
    assert_non_null(
        strstr(text, "\npreload_app                        = False\n"));
    assert_non_null(
        strstr(text, "\nproxy_protocol                     = off\n"));
    assert_true(strstr(text, "\nbacklog") < strstr(text, "\nbind"));
    assert_null(strstr(text, "settings_table"));
    free(text);
    unload(&load);
}

static void help_to(const struct config *config, FILE *to)
{
    (void)config;
    config_print_help(to);
}

static void help_fits_a_terminal(void **state)
{
    char *text = printed(help_to, NULL);
    const char *line = text;

    (void)state;
    while (*line != '\0') {
        size_t len = strcspn(line, "\n");

        assert_in_range(len, 0, 79);
        assert_true(len == 0 || line[len - 1] != ' ');
        line += len + 1;
    }
    assert_non_null(strstr(text, "--limit-request-field_size"));
    assert_null(strstr(text, "--settings-table"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_gunicorns),
        cmocka_unit_test(flags_in_all_their_forms),
        cmocka_unit_test(short_flags_in_one_word),
        cmocka_unit_test(an_exact_flag_is_not_ambiguous),
        cmocka_unit_test(modes_need_no_value),
        cmocka_unit_test(trusted_proxies),
        cmocka_unit_test(sync_with_threads_is_gthread),
        cmocka_unit_test(classes_have_other_names),
        cmocka_unit_test(a_class_with_sockets_is_refused),
        cmocka_unit_test(stronger_sources_win),
        cmocka_unit_test(lists_replace_those_of_weaker_sources),
        cmocka_unit_test(a_weaker_source_comes_too_late),
        cmocka_unit_test(usage_errors_exit_2),
        cmocka_unit_test(config_errors_exit_1),
        cmocka_unit_test(environment_errors_exit_1),
        cmocka_unit_test(an_open_quote_is_refused),
        cmocka_unit_test(refused_settings_say_what_to_use),
        cmocka_unit_test(a_default_is_not_given),
        cmocka_unit_test(every_flag_finds_its_own_row),
        cmocka_unit_test(print_config_is_sorted_and_aligned),
        cmocka_unit_test(help_fits_a_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
