/* SPDX-License-Identifier: MIT */
/* NGINX Unit's configuration: the first Python application in it. */
#include "migrate.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char in_front[] =
    "TLS is not supported yet: terminate it in front, for example in nginx";
static const char no_route[] = "do it in the proxy in front";

/* A number, string or bool as text. */
static const char *text_of(const json_t *value, char out[64])
{
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        snprintf(out, 64, "%lld", (long long)json_integer_value(value));
    else
        snprintf(out, 64, "%s", json_is_true(value) ? "true" : "...");
    return out;
}

struct row {
    const char *name;
    const char *flag; /* or NULL */
    const char *text; /* then: why there is none; "!" in front: not needed */
};

static void say(struct migrate *migrate, const struct row *row,
                const char *option, const json_t *value)
{
    char number[64];

    if (row->flag != NULL)
        migrate_flag(migrate, option, row->flag, text_of(value, number));
    else if (row->text[0] == '!')
        migrate_not_needed(migrate, option, row->text + 1);
    else
        migrate_no_equivalent(migrate, option, row->text);
}

/* One key of an object, by the rows of that. */
static void take(struct migrate *migrate, const struct row *rows,
                 const char *where, const char *key, const json_t *value)
{
    char option[256];
    char number[64];

    snprintf(option, sizeof(option), "%s%s = %s", where, key,
             text_of(value, number));
    for (; rows->name != NULL; rows++) {
        if (strcmp(rows->name, key) == 0) {
            say(migrate, rows, option, value);
            return;
        }
    }
    migrate_no_equivalent(migrate, option, "gcorn does not know this option");
}

static void take_all(struct migrate *migrate, const struct row *rows,
                     const char *where, json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
        take(migrate, rows, where, key, value);
}

static const struct row process_rows[] = {
    {"max", "--workers", NULL},
    {"spare", NULL, "the number of workers is constant"},
    {"idle_timeout", NULL, "the number of workers is constant"},
    {NULL, NULL, NULL},
};
static const struct row limit_rows[] = {
    {"timeout", "--timeout", NULL},
    {"requests", "--max-requests", NULL},
    {NULL, NULL, NULL},
};
static const struct row http_rows[] = {
    {"header_read_timeout", "--header-timeout", NULL},
    {"body_read_timeout", "--body-timeout", NULL},
    {"send_timeout", NULL, "!a client that takes nothing is given up"},
    {"idle_timeout", "--keep-alive", NULL},
    {"max_body_size", "--limit-request-body", NULL},
    {"server_version", NULL, "the field Server is always sent"},
    {"static", NULL, "see --static-map"},
    {"discard_unsafe_fields", NULL, "see --header-map"},
    {"log_route", NULL, no_route},
    {NULL, NULL, NULL},
};
static const struct row application_rows[] = {
    {"working_directory", "--chdir", NULL},
    {"threads", "--threads", NULL},
    {"processes", "--workers", NULL},
    {"user", "--user", NULL},
    {"group", "--group", NULL},
    {"stdout", NULL, "!standard output stays what it is"},
    {"stderr", "--log-file", NULL},
    {"thread_stack_size", NULL, "see threading.stack_size in Python"},
    {"factory", NULL, "!it is called, as its name ends in ()"},
    {"targets", NULL, "start one gcorn for each target"},
    {"isolation", NULL, "let systemd or a container isolate it"},
    {NULL, NULL, NULL},
};

/* A string, or a list of them: "a,b". */
static void take_list(struct migrate *migrate, const char *option,
                      const char *flag, const json_t *value)
{
    char joined[4096] = "";
    size_t i;
    json_t *item;

    if (json_is_string(value)) {
        migrate_flag(migrate, option, flag, json_string_value(value));
        return;
    }
    json_array_foreach(value, i, item)
    {
        size_t n = strlen(joined);

        if (json_is_string(item))
            snprintf(joined + n, sizeof(joined) - n, "%s%s", n > 0 ? "," : "",
                     json_string_value(item));
    }
    migrate_flag(migrate, option, flag, joined);
}

static void take_environment(struct migrate *migrate, json_t *object)
{
    const char *key;
    json_t *value;
    char number[64], pair[4096], option[256];

    json_object_foreach(object, key, value)
    {
        snprintf(option, sizeof(option), "environment.%s", key);
        snprintf(pair, sizeof(pair), "%s=%s", key, text_of(value, number));
        migrate_flag(migrate, option, "--env", pair);
    }
}

static void take_home(struct migrate *migrate, const char *home)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/bin/python3", home);
    migrate_flag(migrate, "home", "--python", path);
}

/* "python", or "python 3.12". */
static void take_type(struct migrate *migrate, const json_t *application,
                      const char *type)
{
    char name[64];

    if (type[6] == ' ' && json_object_get(application, "home") == NULL) {
        snprintf(name, sizeof(name), "python%.*s", 8, type + 7);
        migrate_flag(migrate, "type", "--python", name);
    } else {
        migrate_not_needed(migrate, "type", "the virtual environment says it");
    }
}

static void take_protocol(struct migrate *migrate, const char *protocol)
{
    if (strcmp(protocol, "asgi") == 0)
        migrate_flag(migrate, "protocol = asgi", "--worker-class", "asgi");
    else
        migrate_not_needed(migrate, "protocol", "WSGI is the default");
}

static void take_callable(struct migrate *migrate, const json_t *application,
                          const char *name)
{
    bool factory = json_is_true(json_object_get(application, "factory"));
    char call[256];

    snprintf(call, sizeof(call), "%s%s", name, factory ? "()" : "");
    migrate_callable(migrate, "callable", call);
}

static void take_prefix(struct migrate *migrate, const char *prefix)
{
    char pair[1024];

    snprintf(pair, sizeof(pair), "SCRIPT_NAME=%s", prefix);
    migrate_flag(migrate, "prefix", "--env", pair);
}

/* Those that are more than a flag; true when it was one. */
static bool take_special(struct migrate *migrate, json_t *application,
                         const char *key, json_t *value)
{
    const char *text = json_string_value(value);

    if (strcmp(key, "path") == 0)
        take_list(migrate, "path", "--pythonpath", value);
    else if (strcmp(key, "environment") == 0)
        take_environment(migrate, value);
    else if (strcmp(key, "limits") == 0)
        take_all(migrate, limit_rows, "limits.", value);
    else if (strcmp(key, "processes") == 0 && json_is_object(value))
        take_all(migrate, process_rows, "processes.", value);
    else if (text != NULL && strcmp(key, "module") == 0)
        migrate_module(migrate, "module", text);
    else if (text != NULL && strcmp(key, "callable") == 0)
        take_callable(migrate, application, text);
    else if (text != NULL && strcmp(key, "home") == 0)
        take_home(migrate, text);
    else if (text != NULL && strcmp(key, "type") == 0)
        take_type(migrate, application, text);
    else if (text != NULL && strcmp(key, "protocol") == 0)
        take_protocol(migrate, text);
    else if (text != NULL && strcmp(key, "prefix") == 0)
        take_prefix(migrate, text);
    else
        return false;
    return true;
}

static void take_application(struct migrate *migrate, json_t *application)
{
    const char *key;
    json_t *value;

    json_object_foreach(application, key, value)
    {
        if (!take_special(migrate, application, key, value))
            take(migrate, application_rows, "", key, value);
    }
    /* Unit starts one process unless it is told otherwise. */
    if (!migrate_has(migrate, "--workers"))
        migrate_flag(migrate, "(no processes)", "--workers", "1");
}

static void take_forwarded(struct migrate *migrate, const json_t *forwarded)
{
    const json_t *source = json_object_get(forwarded, "source");
    const char *field =
        json_string_value(json_object_get(forwarded, "client_ip"));

    if (source != NULL)
        take_list(migrate, "forwarded.source", "--forwarded-allow-ips", source);
    if (field != NULL && strcasecmp(field, "X-Forwarded-For") == 0)
        migrate_flag(migrate, "forwarded.client_ip", "--proxy-headers",
                     "x-forwarded-for");
    else if (field != NULL)
        migrate_no_equivalent(migrate, "forwarded.client_ip",
                              "see --proxy-headers");
    if (json_object_get(forwarded, "protocol") != NULL)
        migrate_not_needed(migrate, "forwarded.protocol",
                           "X-Forwarded-Proto of those proxies is believed");
}

/* "*:8080", "127.0.0.1:80", "unix:/path". */
static void take_listener(struct migrate *migrate, const char *address,
                          const json_t *listener)
{
    const json_t *forwarded = json_object_get(listener, "forwarded");
    char bind[4096];
    bool all = address[0] == '*';

    snprintf(bind, sizeof(bind), "%s%s", all ? "0.0.0.0" : "",
             all ? address + 1 : address);
    migrate_flag(migrate, address, "--bind", bind);
    if (json_object_get(listener, "tls") != NULL)
        migrate_no_equivalent(migrate, "tls", in_front);
    if (forwarded != NULL)
        take_forwarded(migrate, forwarded);
    else if (json_object_get(listener, "client_ip") != NULL)
        migrate_no_equivalent(migrate, "client_ip",
                              "see --forwarded-allow-ips and --proxy-headers");
}

static void take_access_log(struct migrate *migrate, const json_t *log)
{
    const json_t *path = json_is_object(log) ? json_object_get(log, "path")
                                             : log;

    if (json_is_string(path))
        migrate_flag(migrate, "access_log", "--access-logfile",
                     json_string_value(path));
    if (json_is_object(log) && json_object_get(log, "format") != NULL)
        migrate_no_equivalent(migrate, "access_log.format",
                              "see --access-logformat");
}

static json_t *python_find(json_t *applications)
{
    const char *name;
    json_t *application;

    json_object_foreach(applications, name, application)
    {
        const char *type =
            json_string_value(json_object_get(application, "type"));

        if (type != NULL && strncmp(type, "python", 6) == 0)
            return application;
    }
    return NULL;
}

static int take_root(struct migrate *migrate, json_t *root)
{
    json_t *listeners = json_object_get(root, "listeners");
    json_t *applications = json_object_get(root, "applications");
    json_t *application = python_find(applications);
    json_t *http = json_object_get(json_object_get(root, "settings"), "http");
    const char *address;
    json_t *listener;

    if (!json_is_object(listeners) || application == NULL)
        return -EINVAL;
    json_object_foreach(listeners, address, listener)
        take_listener(migrate, address, listener);
    take_application(migrate, application);
    if (json_object_size(applications) > 1)
        migrate_no_equivalent(migrate, "applications",
                              "start one gcorn for each application");
    if (json_object_get(root, "routes") != NULL)
        migrate_no_equivalent(migrate, "routes",
                              "do it in the proxy in front; see --static-map");
    take_all(migrate, http_rows, "settings.http.", http);
    if (json_object_get(root, "access_log") != NULL)
        take_access_log(migrate, json_object_get(root, "access_log"));
    return 0;
}

int migrate_unit(struct migrate *migrate, const char *text)
{
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);
    json_t *config = json_object_get(root, "config");
    int err;

    /* All that Unit's control socket shows, or its part /config. */
    err = json_is_object(root)
              ? take_root(migrate, json_is_object(config) ? config : root)
              : -EINVAL;
    json_decref(root);
    return err;
}
