/* SPDX-License-Identifier: MIT */
#include "apply.h"

#include "core/log.h"
#include "generation.h"
#include "interp.h"
#include "live.h"
#include "replan.h"
#include "worker_slot.h"

#include <stdio.h>
#include <string.h>

/* Who has to know; what is not in the table needs a new master. */
enum how {
    BY_UPGRADE,
    BY_CODE,    /* new interpreters have it, or the master looks each time */
    BY_WORKERS, /* they read it anew while they run */
    BY_LOGS,
    BY_COUNT,
};

static const uint8_t how[CONFIG_SETTINGS] = {
    [CONFIG_AT_workers] = BY_COUNT,
    [CONFIG_AT_errorlog] = BY_LOGS,
    [CONFIG_AT_accesslog] = BY_LOGS,
    [CONFIG_AT_loglevel] = BY_WORKERS,
    [CONFIG_AT_timeout] = BY_WORKERS,
    [CONFIG_AT_graceful_timeout] = BY_WORKERS,
    [CONFIG_AT_keepalive] = BY_WORKERS,
    [CONFIG_AT_header_timeout] = BY_WORKERS,
    [CONFIG_AT_body_timeout] = BY_WORKERS,
    [CONFIG_AT_limit_request_line] = BY_WORKERS,
    [CONFIG_AT_limit_request_field_size] = BY_WORKERS,
    [CONFIG_AT_limit_request_body] = BY_WORKERS,
    [CONFIG_AT_forwarded_allow_ips] = BY_WORKERS,
    [CONFIG_AT_forwarder_headers] = BY_WORKERS,
    [CONFIG_AT_header_map] = BY_WORKERS,
    [CONFIG_AT_proxy_headers] = BY_WORKERS,
    [CONFIG_AT_proxy_protocol] = BY_WORKERS,
    [CONFIG_AT_proxy_allow_ips] = BY_WORKERS,
    [CONFIG_AT_uwsgi_allow_ips] = BY_WORKERS,
    [CONFIG_AT_permit_obsolete_folding] = BY_WORKERS,
    [CONFIG_AT_strip_header_spaces] = BY_WORKERS,
    [CONFIG_AT_permit_unconventional_http_method] = BY_WORKERS,
    [CONFIG_AT_permit_unconventional_http_version] = BY_WORKERS,
    [CONFIG_AT_casefold_http_method] = BY_WORKERS,
    [CONFIG_AT_health_path] = BY_WORKERS,
    [CONFIG_AT_ready_path] = BY_WORKERS,
    [CONFIG_AT_ready_window] = BY_WORKERS,
    [CONFIG_AT_health_log] = BY_WORKERS,
    [CONFIG_AT_wsgi_app] = BY_CODE,
    [CONFIG_AT_worker_class] = BY_CODE,
    [CONFIG_AT_threads] = BY_CODE,
    [CONFIG_AT_max_requests] = BY_CODE,
    [CONFIG_AT_max_requests_jitter] = BY_CODE,
    [CONFIG_AT_max_worker_memory] = BY_CODE,
    [CONFIG_AT_timeout_soft] = BY_CODE,
    [CONFIG_AT_boot_timeout] = BY_CODE,
    [CONFIG_AT_warmup_url] = BY_CODE,
    [CONFIG_AT_chdir] = BY_CODE,
    [CONFIG_AT_pythonpath] = BY_CODE,
    [CONFIG_AT_preload_app] = BY_CODE,
    [CONFIG_AT_raw_env] = BY_CODE,
    [CONFIG_AT_reload] = BY_CODE,
    [CONFIG_AT_reload_engine] = BY_CODE,
    [CONFIG_AT_reload_extra_files] = BY_CODE,
    [CONFIG_AT_proc_name] = BY_CODE,
};

static bool lists_equal(const struct config_list *a,
                        const struct config_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    }
    return true;
}

static bool is_equal(const struct config *one, const struct config *other,
                     enum config_setting setting)
{
    const void *a = config_value(one, setting);
    const void *b = config_value(other, setting);

    switch (config_row(setting)->kind) {
    case CONFIG_INT:
    case CONFIG_OCTAL:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case CONFIG_BOOL:
    case CONFIG_OFF:
        return *(const bool *)a == *(const bool *)b;
    case CONFIG_STRING:
    case CONFIG_TEXT:
    case CONFIG_COMMAS:
    case CONFIG_DICT:
    case CONFIG_MODE:
        return strcmp(*(char *const *)a, *(char *const *)b) == 0;
    case CONFIG_LIST:
        return lists_equal(a, b);
    case CONFIG_OBJECT: /* Python's; the new template has it */
    case CONFIG_ACTION:
        return true;
    }
    return true;
}

/* A log that is a file may become another file; nothing else. */
static bool log_can_move(const char *from, const char *to)
{
    return from[0] != '\0' && strcmp(from, "-") != 0 && to[0] != '\0' &&
           strcmp(to, "-") != 0;
}

static bool is_applied(const struct config *old, const struct config *fresh,
                       enum config_setting setting)
{
    if (setting == CONFIG_AT_errorlog)
        return log_can_move(old->errorlog, fresh->errorlog);
    if (setting == CONFIG_AT_accesslog)
        return log_can_move(old->accesslog, fresh->accesslog);
    return how[setting] != BY_UPGRADE;
}

/* What cannot be applied stays as it is in force. */
static void value_swap(struct config *a, struct config *b,
                       enum config_setting setting)
{
    static const uint8_t sizes[] = {
#define SETTING(name, kind, status, flags, metavar, value, rule, help)         \
    [CONFIG_AT_##name] = sizeof(CONFIG_FIELD_##kind),
#include "workers/settings.def"
    };
    size_t at =
        (size_t)((const char *)config_value(a, setting) - (const char *)a);
    char kept[sizeof(struct config_list)];

    memcpy(kept, (char *)a + at, sizes[setting]);
    memcpy((char *)a + at, (char *)b + at, sizes[setting]);
    memcpy((char *)b + at, kept, sizes[setting]);
}

/* Says what changed; returns a bit of each `how` that has to act. */
static uint32_t compare(struct config *old, struct config *fresh)
{
    char names[512] = "";
    uint32_t acts = 0;

    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        const struct config_row *row = config_row(i);
        size_t n = strlen(names);

        if (is_equal(old, fresh, i) || row->status == CONFIG_IGNORED)
            continue;
        if (!is_applied(old, fresh, i)) {
            log_warning("Setting %s has changed: that takes effect with USR2 "
                        "(an upgrade loses nothing) or a restart",
                        row->name);
            value_swap(old, fresh, i);
            continue;
        }
        acts |= 1U << how[i];
        snprintf(names + n, sizeof(names) - n, "%s%s", n > 0 ? ", " : "",
                 row->name);
    }
    if (names[0] != '\0')
        log_info("Reload: settings that changed: %s", names);
    return acts;
}

static void workers_tell(struct master *master)
{
    int err = live_set(master->live, master->config, master->input);

    if (err < 0)
        log_error("The settings can't be passed on to workers: %s",
                  strerror(-err));
    worker_slot_command_all(master, BOARD_COMMAND_REOPEN);
}

/* The order of the old count is kept: TTIN and TTOU end with a reload. */
static void count(struct master *master, uint32_t acts)
{
    if (acts & 1U << BY_COUNT)
        replan_now(master);
    master->wanted = (uint32_t)min_u64(master->placement.workers,
                                       master->board->worker_slots);
}

static void level_follow(const struct master *master)
{
    enum log_level level = LOG_LEVEL_INFO;

    log_level_parse(master->config->loglevel, &level);
    log_open(master->logs.error_fd, level);
}

void apply_settings(struct master *master, struct config *fresh)
{
    struct config old = *master->config;
    uint32_t acts = compare(&old, fresh);

    *master->config = *fresh;
    *fresh = old;
    master->name = master->config->proc_name[0] != '\0'
                       ? master->config->proc_name
                       : master->config->wsgi_app;
    logs_follow(&master->logs, master->config);
    level_follow(master);
    if (acts & 1U << BY_LOGS) {
        logs_reopen(&master->logs);
        interp_signal_all(master, SIGUSR1);
        generation_signal(master, SIGUSR1);
    }
    if (acts & (1U << BY_LOGS | 1U << BY_WORKERS))
        workers_tell(master);
    count(master, acts);
}
