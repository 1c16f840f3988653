/* SPDX-License-Identifier: MIT */
#include "config_rule.h"

#include "address.h"
#include "core/board.h"
#include "core/board_interp.h"
#include "core/forwarded.h"
#include "core/ip.h"
#include "core/proxy.h"
#include "core/owner.h"
#include "static_maps.h"
#include "topology/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKERS_MAX (BOARD_WORKERS_MAX - 24) /* leaves room for TTIN */

int rule_bind(const char *text, struct config_error *error)
{
    struct address address;

    return address_parse(text, &address, error);
}

/* The text is a number already: the kind was checked before the rule. */
static int at_most(const char *text, const char *name, unsigned long long max,
                   struct config_error *error)
{
    if (strtoull(text, NULL, 10) <= max)
        return 0;
    return config_fail(error, 1, "Value for %s must be at most %llu: %s", name,
                       max, text);
}

int rule_workers(const char *text, struct config_error *error)
{
    return at_most(text, "workers", WORKERS_MAX, error);
}

int rule_threads(const char *text, struct config_error *error)
{
    return at_most(text, "threads", BOARD_THREADS_MAX, error);
}

/* Classes that hand the connection's socket to the application. */
static bool wants_socket(const char *text)
{
    static const char *const names[] = {
        "geventwebsocket.gunicorn.workers.GeventWebSocketWorker",
        "flask_sockets.worker",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(text, names[i]) == 0)
            return true;
    return false;
}

int rule_worker_class(const char *text, struct config_error *error)
{
    static const char *const names[] = {
        "sync",
        "gthread",
        "gevent",
        "eventlet",
        "asgi",
        "uvicorn.workers.UvicornWorker",
        "uvicorn.workers.UvicornH11Worker",
        "uvicorn_worker.UvicornWorker",
        "uvicorn_worker.UvicornH11Worker",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(text, names[i]) == 0)
            return 0;
    if (wants_socket(text))
        return config_fail(
            error, 1,
            "class uri '%s' cannot be used: a WSGI application gets no socket "
            "from gcorn. Use -k gevent for what are no WebSockets, and for "
            "these an ASGI application with -k asgi",
            text);
    return config_fail(error, 1,
                       "class uri '%s' invalid or not found: this gcorn has "
                       "sync, gthread, gevent, eventlet and asgi (also by the "
                       "names of Gunicorn's and Uvicorn's workers)",
                       text);
}

int rule_chdir(const char *text, struct config_error *error)
{
    struct stat st;

    if (stat(text, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return config_fail(error, 1, "can't chdir to '%s'", text);
}

int rule_static_map(const char *text, struct config_error *error)
{
    return static_maps_check(text, error);
}

int rule_pin(const char *text, struct config_error *error)
{
    enum plan_pin pin;

    if (plan_pin_parse(text, &pin) == 0)
        return 0;
    return config_fail(error, 2,
                       "argument --pin: invalid choice: '%s' (choose from "
                       "auto, on, off, core, l3, node)",
                       text);
}

int rule_io(const char *text, struct config_error *error)
{
    if (strcmp(text, "auto") == 0 || strcmp(text, "uring") == 0 ||
        strcmp(text, "epoll") == 0)
        return 0;
    return config_fail(error, 2,
                       "argument --io: invalid choice: '%s' (choose from "
                       "auto, uring, epoll)",
                       text);
}

int rule_user(const char *text, struct config_error *error)
{
    struct owner owner;

    if (owner_find(&owner, text, "") == 0)
        return 0;
    return config_fail(error, 1, "No such user: '%s'", text);
}

int rule_group(const char *text, struct config_error *error)
{
    struct owner owner;

    if (owner_find(&owner, "", text) == 0)
        return 0;
    return config_fail(error, 1, "No such group: '%s'", text);
}

/* What is wrong with it is then the bits behind the prefix. */
static bool is_address_with_prefix(struct bytes text)
{
    const char *slash = memchr(text.p, '/', text.n);
    char digits[8];
    struct ip ip;

    if (slash == NULL)
        return false;
    snprintf(digits, sizeof(digits), "%.*s", (int)(text.p + text.n - slash - 1),
             slash + 1);
    return ip_parse((struct bytes){text.p, (size_t)(slash - text.p)}, &ip) ==
               0 &&
           digits[0] != '\0' &&
           strspn(digits, "0123456789") == strlen(digits) &&
           strtoul(digits, NULL, 10) <= 128;
}

int rule_allow_ips(const char *text, struct config_error *error)
{
    struct trust trust;
    struct bytes bad = {"", 0};
    int err = trust_parse(&trust, bytes_of(text), &bad);

    if (err == 0)
        trust_done(&trust);
    if (err != -EINVAL)
        return err;
    if (is_address_with_prefix(bad))
        return config_fail(error, 1, "%.*s has host bits set", (int)bad.n,
                           bad.p);
    return config_fail(error, 1,
                       "'%.*s' does not appear to be an IPv4 or IPv6 network",
                       (int)bad.n, bad.p);
}

static int not_a_choice(const char *flag, const char *text, const char *choices,
                        struct config_error *error)
{
    return config_fail(error, 2,
                       "argument %s: invalid choice: '%s' (choose from %s)",
                       flag, text, choices);
}

int rule_proxy_headers(const char *text, struct config_error *error)
{
    enum forwarded_client client;

    if (forwarded_client_parse(text, &client) == 0)
        return 0;
    return not_a_choice("--proxy-headers", text,
                        "off, auto, x-forwarded-for, forwarded", error);
}

int rule_header_map(const char *text, struct config_error *error)
{
    enum forwarded_map map;

    if (forwarded_map_parse(text, &map) == 0)
        return 0;
    return config_fail(error, 1, "Invalid header map behaviour: %s", text);
}

int rule_proxy_protocol(const char *text, struct config_error *error)
{
    enum proxy_mode mode;

    if (proxy_mode_parse(text, &mode) == 0)
        return 0;
    return config_fail(error, 1,
                       "proxy_protocol must be: off, v1, v2, or auto");
}

int rule_protocol(const char *text, struct config_error *error)
{
    if (strcasecmp(text, "http") == 0 || strcasecmp(text, "uwsgi") == 0)
        return 0;
    return not_a_choice("--protocol", text, "http, uwsgi", error);
}

/* Gunicorn's validators of these raise, so the exit code is 1. */
static int one_of(const char *text, const char *const *words, const char *what,
                  struct config_error *error)
{
    for (; *words != NULL; words++) {
        if (strcasecmp(text, *words) == 0)
            return 0;
    }
    return config_fail(error, 1, "Invalid %s: %s", what, text);
}

int rule_asgi_loop(const char *text, struct config_error *error)
{
    static const char *const words[] = {"auto", "asyncio", "uvloop", NULL};

    return one_of(text, words, "ASGI loop", error);
}

int rule_asgi_lifespan(const char *text, struct config_error *error)
{
    static const char *const words[] = {"auto", "on", "off", NULL};

    return one_of(text, words, "ASGI lifespan", error);
}

int rule_true_false(const char *text, struct config_error *error)
{
    static const char *const words[] = {"true", "false", NULL};

    return one_of(text, words, "setting", error);
}

int rule_http_parser(const char *text, struct config_error *error)
{
    static const char *const words[] = {"auto", "fast", "python", NULL};

    if (one_of(text, words, "", error) == 0)
        return 0;
    return config_fail(error, 1,
                       "http_parser must be one of: auto, fast, python");
}

int rule_http2_cleartext(const char *text, struct config_error *error)
{
    static const char *const words[] = {"off", "prior-knowledge", "upgrade",
                                        "both", NULL};

    return one_of(text, words, "http2_cleartext", error);
}

int rule_http_protocols(const char *text, struct config_error *error)
{
    const char *p = text;

    while (*p != '\0') {
        size_t len;

        p += strspn(p, ", ");
        len = strcspn(p, ", ");
        if (len > 0 && (len != 2 || p[0] != 'h' || p[1] < '1' || p[1] > '2'))
            return config_fail(error, 1,
                               "Invalid protocol '%.*s'. Valid protocols: "
                               "h1, h2",
                               (int)len, p);
        p += len;
    }
    return 0;
}

int rule_http2_streams(const char *text, struct config_error *error)
{
    if (strtoull(text, NULL, 0) >= 1)
        return 0;
    return config_fail(
        error, 1, "HTTP/2 max concurrent streams must be at least 1: %s", text);
}

int rule_http2_window(const char *text, struct config_error *error)
{
    if (strtoull(text, NULL, 0) <= INT32_MAX)
        return 0;
    return config_fail(
        error, 1, "HTTP/2 window size must be at most 2147483647: %s", text);
}

int rule_http2_frame(const char *text, struct config_error *error)
{
    unsigned long long size = strtoull(text, NULL, 0);

    if (size >= 16384 && size <= 16777215)
        return 0;
    return config_fail(error, 1,
                       "http2_max_frame_size must be between 16384 and "
                       "16777215, got %s",
                       text);
}

int rule_reload_engine(const char *text, struct config_error *error)
{
    static const char *const words[] = {"auto", "poll", "inotify", NULL};

    return one_of(text, words, "reload_engine", error);
}

/* A pattern may fit nothing yet. */
int rule_reload_file(const char *text, struct config_error *error)
{
    if (strpbrk(text, "*?[") != NULL || access(text, F_OK) == 0)
        return 0;
    return config_fail(error, 1, "File %s does not exists.", text);
}

int rule_env(const char *text, struct config_error *error)
{
    if (strchr(text, '=') != NULL)
        return 0;
    return config_fail(error, 1, "environment setting '%s' invalid", text);
}

/* Paths are compared as they are sent. */
int rule_own_path(const char *text, struct config_error *error)
{
    if (text[0] == '/' && strpbrk(text, "? #\t") == NULL)
        return 0;
    return config_fail(error, 1,
                       "Invalid path: '%s' (it begins with / and has no "
                       "blank, ? or #, as in /healthz)",
                       text);
}

int rule_warmup_url(const char *text, struct config_error *error)
{
    if (text[0] == '/')
        return 0;
    return config_fail(
        error, 1, "warmup_url is a path, such as /healthz, not '%s'", text);
}

int rule_log_format(const char *text, struct config_error *error)
{
    if (strcmp(text, "text") == 0 || strcmp(text, "json") == 0)
        return 0;
    return config_fail(error, 1, "Invalid log format: '%s' (text or json)",
                       text);
}

int rule_scheme_headers(const char *text, struct config_error *error)
{
    struct forwarded_config config;

    if (forwarded_schemes_parse(&config, text) == 0)
        return 0;
    return config_fail(error, 1,
                       "secure_scheme_headers: only X-FORWARDED-PROTO, "
                       "X-FORWARDED-PROTOCOL and X-FORWARDED-SSL are looked "
                       "at; let the proxy set one of these");
}
