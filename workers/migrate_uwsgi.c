/* SPDX-License-Identifier: MIT */
/* uWSGI's ini files: one table of its options. */
#include "migrate.h"
#include "migrate_vars.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum way {
    FLAG,       /* the value of a flag */
    SWITCH,     /* a flag without value, when it is true */
    NOT_NEEDED, /* text: why */
    NOTHING,    /* no equivalent; text: what instead */
    CALL,       /* a function of its own */
};

struct option {
    const char *names; /* with bars between; the last may end in * */
    enum way way;
    const char *text;
    void (*take)(struct migrate *migrate, const char *option,
                 const char *value);
};

static void take_wsgi_file(struct migrate *migrate, const char *option,
                           const char *value)
{
    const char *slash = strrchr(value, '/');
    const char *name = slash != NULL ? slash + 1 : value;
    size_t len = strlen(name);
    char *module = strndup(
        name, len > 3 && strcmp(name + len - 3, ".py") == 0 ? len - 3 : len);
    char *folder = slash != NULL ? strndup(value, (size_t)(slash - value))
                                 : NULL;

    must(module != NULL);
    if (folder != NULL && folder[0] != '\0')
        migrate_flag(migrate, option, "--pythonpath", folder);
    migrate_module(migrate, option, module);
    free(folder);
    free(module);
}

static void take_virtualenv(struct migrate *migrate, const char *option,
                            const char *value)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/bin/python3", value);
    migrate_flag(migrate, option, "--python", path);
}

static void take_socket(struct migrate *migrate, const char *option,
                        const char *value)
{
    bool is_path = value[0] == '/' || strchr(value, ':') == NULL;
    char address[4096];

    snprintf(address, sizeof(address), "%s%s",
             is_path ? "uwsgi:unix:" : "uwsgi://", value);
    migrate_flag(migrate, option, "--bind", address);
}

static void take_http(struct migrate *migrate, const char *option,
                      const char *value)
{
    char address[4096];

    snprintf(address, sizeof(address), "%s%s%s", value[0] == '/' ? "unix:" : "",
             value[0] == ':' ? "0.0.0.0" : "", value);
    migrate_flag(migrate, option, "--bind", address);
}

/* The mode of the socket is what the mask leaves. */
static void take_chmod(struct migrate *migrate, const char *option,
                       const char *value)
{
    unsigned long mode = strtoul(value, NULL, 8);
    char mask[16];

    snprintf(mask, sizeof(mask), "0%lo", ~mode & 0777);
    migrate_flag(migrate, option, "--umask", mode != 0 ? mask : "0");
}

static void take_lazy(struct migrate *migrate, const char *option,
                      const char *value)
{
    (void)value;
    migrate_not_needed(migrate, option,
                       "each interpreter loads the application itself, "
                       "without --preload");
}

static void take_daemonize(struct migrate *migrate, const char *option,
                           const char *value)
{
    migrate_flag(migrate, option, "--daemon", NULL);
    migrate_flag(migrate, option, "--log-file", value);
}

static void take_mount(struct migrate *migrate, const char *option,
                       const char *value)
{
    const char *equals = strchr(value, '=');
    char name[1024];

    if (equals == NULL) {
        migrate_no_equivalent(migrate, option, "say which application it is");
        return;
    }
    migrate_module(migrate, option, equals + 1);
    if (equals - value <= 1) /* "/" */
        return;
    snprintf(name, sizeof(name), "SCRIPT_NAME=%.*s", (int)(equals - value),
             value);
    migrate_flag(migrate, option, "--env", name);
}

static void take_keepalive(struct migrate *migrate, const char *option,
                           const char *value)
{
    if (strtoul(value, NULL, 10) > 1)
        migrate_flag(migrate, option, "--keep-alive", value);
    else
        migrate_not_needed(migrate, option,
                           "connections are kept, two seconds unless "
                           "--keep-alive says more");
}

static const char no_cheaper[] =
    "the number of workers is constant; an idle one costs memory only";
static const char no_cron[] =
    "use a systemd timer or cron, with a command of the application";
static const char no_spooler[] = "use a task queue such as Celery or RQ";
static const char no_route[] =
    "do it in the proxy in front, or in a middleware of the application";
static const char no_cache[] = "use Redis or memcached";
static const char in_front[] =
    "TLS is not supported yet: terminate it in front, for example in nginx";

static const struct option options[] = {
    {"module|wsgi", CALL, NULL, migrate_module},
    {"callable|app", CALL, NULL, migrate_callable},
    {"wsgi-file|file", CALL, NULL, take_wsgi_file},
    {"mount", CALL, NULL, take_mount},
    {"manage-script-name", NOT_NEEDED, "SCRIPT_NAME is taken off the path",
     NULL},
    {"chdir", FLAG, "--chdir", NULL},
    {"chdir2", FLAG, "--chdir", NULL},
    {"pythonpath|python-path|pp", FLAG, "--pythonpath", NULL},
    {"virtualenv|venv|home|pyhome|H", CALL, NULL, take_virtualenv},
    {"env", FLAG, "--env", NULL},
    {"processes|workers|p", FLAG, "--workers", NULL},
    {"threads", FLAG, "--threads", NULL},
    {"enable-threads", NOT_NEEDED, "threads of the application always run",
     NULL},
    {"gevent", FLAG, "--worker-class gevent --worker-connections", NULL},
    {"gevent-monkey-patch", NOT_NEEDED, "part of --worker-class gevent", NULL},
    {"async|ugreen|asyncio|greenlet", NOTHING, "see --worker-class", NULL},
    {"http|http-socket|http11-socket", CALL, NULL, take_http},
    {"socket|uwsgi-socket|s", CALL, NULL, take_socket},
    {"https|https2|http-socket-ssl|ssl*", NOTHING, in_front, NULL},
    {"fastcgi-socket|scgi-socket", NOTHING, "speak uwsgi or HTTP", NULL},
    {"chmod-socket|chmod", CALL, NULL, take_chmod},
    {"chown-socket|chown", NOTHING,
     "sockets belong to --user and --group; see --umask", NULL},
    {"listen|l", FLAG, "--backlog", NULL},
    {"http-keepalive", CALL, NULL, take_keepalive},
    {"http-timeout|socket-timeout", FLAG, "--body-timeout", NULL},
    {"http-processes|http-*", NOT_NEEDED, "every worker speaks HTTP", NULL},
    {"so-keepalive|so-send-timeout|tcp-nodelay|tcp-fast-open", NOT_NEEDED,
     "sockets are set up by themselves", NULL},
    {"reuse-port", NOT_NEEDED, "each worker has a socket of its own", NULL},
    {"buffer-size|b", FLAG, "--limit-request-field_size", NULL},
    {"limit-post", FLAG, "--limit-request-body", NULL},
    {"post-buffering|post-buffering-bufsize", NOT_NEEDED,
     "bodies are complete before the application is called", NULL},
    {"harakiri", FLAG, "--timeout", NULL},
    {"http-harakiri|socket-harakiri", FLAG, "--timeout", NULL},
    {"harakiri-verbose|harakiri-graceful*", NOT_NEEDED,
     "the stacks are always in the log", NULL},
    {"max-requests|R", FLAG, "--max-requests", NULL},
    {"max-requests-delta", FLAG, "--max-requests-jitter", NULL},
    {"max-worker-lifetime|max-worker-lifetime-delta|min-worker-lifetime",
     NOTHING, "see --max-requests", NULL},
    {"reload-on-rss|reload-on-as|evil-reload-on-rss|evil-reload-on-as",
     NOT_NEEDED,
     "interpreters that grow over their share of memory are replaced", NULL},
    {"reload-mercy|worker-reload-mercy", FLAG, "--graceful-timeout", NULL},
    {"lazy|lazy-apps", CALL, NULL, take_lazy},
    {"py-autoreload|python-autoreload", SWITCH, "--reload", NULL},
    {"touch-reload|touch-chain-reload|touch-workers-reload|fs-reload", NOTHING,
     "gcorn reload, or send HUP: also in a systemd path unit", NULL},
    {"master|M", NOT_NEEDED, "there always is one", NULL},
    {"vacuum", NOT_NEEDED, "sockets and the pid file are removed", NULL},
    {"die-on-term", NOT_NEEDED, "TERM stops", NULL},
    {"need-app", NOT_NEEDED, "without the application there is no start", NULL},
    {"no-orphans|single-interpreter|thunder-lock|close-on-exec|strict|"
     "ignore-sigpipe|ignore-write-errors|disable-write-exception|"
     "catch-exceptions|memory-report|auto-procname|plugin|plugins|"
     "plugins-dir|py-call-osafterfork|py-callos-afterfork|procname-append|log-"
     "master|"
     "threaded-logger|no-default-app|offload-threads|wsgi-env-behaviour|"
     "wsgi-env-behavior|if-*",
     NOT_NEEDED, "gcorn has nothing to be told here", NULL},
    {"uid", FLAG, "--user", NULL},
    {"gid", FLAG, "--group", NULL},
    {"umask", FLAG, "--umask", NULL},
    {"pidfile|pidfile2|safe-pidfile", FLAG, "--pid", NULL},
    {"procname|procname-prefix|procname-prefix-spaced|procname-master", FLAG,
     "--name", NULL},
    {"daemonize|daemonize2", CALL, NULL, take_daemonize},
    {"logto|logto2|logger", FLAG, "--log-file", NULL},
    {"req-logger", FLAG, "--access-logfile", NULL},
    {"disable-logging|L", NOT_NEEDED, "the access log is off by default", NULL},
    {"log-format|logformat|log-date|logdate|log-5xx|log-4xx|log-slow", NOTHING,
     "see --access-logformat, whose fields are Gunicorn's", NULL},
    {"log-maxsize|log-backupname|log-reopen|touch-logreopen|log-truncate",
     NOTHING, "let logrotate rotate, and send USR1", NULL},
    {"static-map", FLAG, "--static-map", NULL},
    {"static-map2", NOTHING,
     "see --static-map, whose prefix is no part of the "
     "path of a file",
     NULL},
    {"check-static|static-index|static-safe|static-gzip*", NOTHING,
     "see --static-map, or let the proxy in front do it", NULL},
    {"static-expires*", NOTHING, "let the proxy in front set it", NULL},
    {"stats|stats-server", NOTHING,
     "see --admin-bind, which has metrics for Prometheus", NULL},
    {"stats-http|stats-minified|stats-push|carbon*", NOTHING,
     "see --admin-bind and --statsd-host", NULL},
    {"cpu-affinity|cpuset", NOT_NEEDED,
     "cores are chosen by the machine's plan; see --pin", NULL},
    {"cheap|cheaper*|idle", NOTHING, no_cheaper, NULL},
    {"cron|cron2|unique-cron|legion-cron", NOTHING, no_cron, NULL},
    {"spooler*|mule*|farm|queue*", NOTHING, no_spooler, NULL},
    {"cache*|sharedarea*", NOTHING, no_cache, NULL},
    {"route*|error-route*|add-header*", NOTHING, no_route, NULL},
    {"attach-daemon*|smart-attach-daemon*", NOTHING,
     "make it a systemd unit of its own", NULL},
    {"hook-*|exec-*", NOTHING, "see the hooks of gunicorn.conf.py", NULL},
    {"emperor*", NOTHING, "make each application a systemd unit", NULL},
    {"ini|include|inherit", NOTHING, "convert that file too", NULL},
};

/* "a|b|c*" has the name? */
static bool names_have(const char *names, const char *name)
{
    while (*names != '\0') {
        size_t len = strcspn(names, "|");
        bool open = len > 0 && names[len - 1] == '*';
        size_t same = open ? len - 1 : len;

        if (strncmp(names, name, same) == 0 && (open || name[same] == '\0'))
            return true;
        names += len;
        names += *names == '|';
    }
    return false;
}

static bool is_true(const char *value)
{
    return strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0 ||
           strcasecmp(value, "yes") == 0 || strcasecmp(value, "on") == 0;
}

static bool is_false(const char *value)
{
    return strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0 ||
           strcasecmp(value, "no") == 0 || strcasecmp(value, "off") == 0;
}

static void take(struct migrate *migrate, const char *name, const char *value)
{
    char option[256];

    snprintf(option, sizeof(option), "%s = %s", name, value);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct option *o = &options[i];

        if (!names_have(o->names, name))
            continue;
        if (is_false(value) && o->way != FLAG)
            migrate_not_needed(migrate, option, "it is off");
        else if (o->way == CALL)
            o->take(migrate, option, value);
        else if (o->way == NOT_NEEDED)
            migrate_not_needed(migrate, option, o->text);
        else if (o->way == NOTHING)
            migrate_no_equivalent(migrate, option, o->text);
        else
            migrate_flag(migrate, option, o->text,
                         o->way == SWITCH ? NULL : value);
        return;
    }
    migrate_no_equivalent(migrate, option, "gcorn does not know this option");
}

static char *strip(char *text)
{
    size_t len;

    text += strspn(text, " \t\r");
    len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL)
        text[--len] = '\0';
    return text;
}

/* "true   ; as everybody does", "\"mysite \"" */
static char *strip_value(char *text)
{
    size_t len;

    for (char *p = text; *p != '\0'; p++) {
        if (*p == ';' && p > text && (p[-1] == ' ' || p[-1] == '\t')) {
            *p = '\0';
            break;
        }
    }
    text = strip(text);
    len = strlen(text);
    if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
        text[len - 1] = '\0';
        text = strip(text + 1);
    }
    return text;
}

/* What finish() has to know. */
struct found {
    bool lazy;
    bool quiet;
};

/* Lazily, as uWSGI says it, is what gcorn does without being asked. */
static void finish(struct migrate *migrate, const struct found *found)
{
    if (!found->lazy)
        migrate_flag(migrate, "(no lazy-apps)", "--preload", NULL);
    if (!found->quiet && !migrate_has(migrate, "--access-logfile"))
        migrate_flag(migrate, "(no disable-logging)", "--access-logfile", "-");
}

static bool is_option(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (names_have(options[i].names, name))
            return true;
    return false;
}

/* Whatever is no option may be a name that others refer to. */
static bool is_variable(const char *name, const char *rest)
{
    char reference[256];

    snprintf(reference, sizeof(reference), "%%(%s)", name);
    return !is_option(name) && rest != NULL && strstr(rest, reference) != NULL;
}

static void take_line(struct migrate *migrate, struct migrate_vars *vars,
                      char *line, const char *rest, struct found *found)
{
    char *value = strchr(line, '=');
    const char *name;
    char *said;

    if (value != NULL)
        *value++ = '\0';
    name = strip(line);
    said = migrate_vars_expand(vars,
                               value != NULL ? strip_value(value) : "true");
    migrate_vars_set(vars, name, said);
    found->lazy |= names_have("lazy|lazy-apps", name) && is_true(said);
    found->quiet |= strcmp(name, "disable-logging") == 0 && is_true(said);
    if (is_variable(name, rest))
        migrate_not_needed(migrate, name, "a name for what follows");
    else
        take(migrate, name, said);
    free(said);
}

int migrate_uwsgi(struct migrate *migrate, const char *path, char *text)
{
    struct migrate_vars vars = {.path = path};
    struct found found = {false, false};
    bool inside = false, any = false;
    char *rest = text;
    char *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        line = strip(line);
        if (line[0] == '[') {
            inside = strcmp(line, "[uwsgi]") == 0;
            any = any || inside;
        } else if (inside && line[0] != '\0' && line[0] != '#' &&
                   line[0] != ';') {
            take_line(migrate, &vars, line, rest, &found);
        }
    }
    if (any)
        finish(migrate, &found);
    migrate_vars_done(&vars);
    return any ? 0 : -EINVAL;
}
