/* SPDX-License-Identifier: MIT */
#include "config_rule.h"

#include "address.h"
#include "core/board.h"
#include "core/forwarded.h"
#include "core/proxy.h"
#include "owner.h"
#include "topology/plan.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

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

int rule_worker_class(const char *text, struct config_error *error)
{
    if (strcmp(text, "sync") == 0 || strcmp(text, "gthread") == 0)
        return 0;
    return config_fail(error, 1,
                       "class uri '%s' invalid or not found: this gcorn has "
                       "sync and gthread",
                       text);
}

int rule_chdir(const char *text, struct config_error *error)
{
    struct stat st;

    if (stat(text, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return config_fail(error, 1, "can't chdir to '%s'", text);
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

int rule_allow_ips(const char *text, struct config_error *error)
{
    struct trust trust;
    struct bytes bad = {"", 0};
    int err = trust_parse(&trust, bytes_of(text), &bad);

    if (err == 0)
        trust_done(&trust);
    if (err != -EINVAL)
        return err;
    return config_fail(error, 1,
                       "'%.*s' is not an address, or a network without bits "
                       "set behind its prefix (%s)",
                       (int)bad.n, bad.p, text);
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
    return not_a_choice("--header-map", text, "drop, refuse, dangerous", error);
}

int rule_proxy_protocol(const char *text, struct config_error *error)
{
    enum proxy_mode mode;

    if (proxy_mode_parse(text, &mode) == 0)
        return 0;
    return not_a_choice("--proxy-protocol", text, "off, v1, v2, auto", error);
}

int rule_protocol(const char *text, struct config_error *error)
{
    if (strcasecmp(text, "http") == 0 || strcasecmp(text, "uwsgi") == 0)
        return 0;
    return not_a_choice("--protocol", text, "http, uwsgi", error);
}
