/* SPDX-License-Identifier: MIT */
#include "apply.h"

#include "binds.h"
#include "core/board_worker.h"
#include "core/log.h"
#include "generation.h"
#include "interp.h"
#include "live.h"
#include "replan.h"
#include "static_maps.h"
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
    BY_SOCKETS, /* the master's */
    BY_PROCESS, /* a worker has it from its start to its end: rollout.h */
};

static const uint8_t how[CONFIG_SETTINGS] = {
    [CONFIG_AT_workers] = BY_COUNT,
    [CONFIG_AT_backlog] = BY_SOCKETS,
    [CONFIG_AT_bind] = BY_PROCESS,
    [CONFIG_AT_protocol] = BY_PROCESS,
    [CONFIG_AT_io] = BY_PROCESS,
    [CONFIG_AT_worker_connections] = BY_PROCESS,
    [CONFIG_AT_limit_request_fields] = BY_PROCESS,
    [CONFIG_AT_limit_address_connections] = BY_PROCESS,
    [CONFIG_AT_static_map] = BY_PROCESS,
    [CONFIG_AT_access_log_format] = BY_PROCESS,
    [CONFIG_AT_user] = BY_PROCESS,
    [CONFIG_AT_group] = BY_PROCESS,
    [CONFIG_AT_initgroups] = BY_PROCESS,
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
    [CONFIG_AT_secure_scheme_headers] = BY_WORKERS,
    [CONFIG_AT_websocket_max_message_size] = BY_WORKERS,
    [CONFIG_AT_ws_ping_interval] = BY_WORKERS,
    [CONFIG_AT_ws_ping_timeout] = BY_WORKERS,
    [CONFIG_AT_wsgi_app] = BY_CODE,
    [CONFIG_AT_paste] = BY_CODE,
    [CONFIG_AT_raw_paste_global_conf] = BY_CODE,
    [CONFIG_AT_worker_class] = BY_CODE,
    [CONFIG_AT_threads] = BY_CODE,
    [CONFIG_AT_max_requests] = BY_CODE,
    [CONFIG_AT_max_requests_jitter] = BY_CODE,
    [CONFIG_AT_max_worker_memory] = BY_CODE,
    [CONFIG_AT_timeout_soft] = BY_WORKERS,
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
    [CONFIG_AT_asgi_loop] = BY_CODE,
    [CONFIG_AT_asgi_lifespan] = BY_CODE,
    [CONFIG_AT_root_path] = BY_CODE,
    [CONFIG_AT_umask] = BY_CODE,
};

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
        return config_list_equal(a, b);
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

static enum how how_of(const struct config *old, const struct config *fresh,
                       enum config_setting setting)
{
    if (setting == CONFIG_AT_errorlog &&
        !log_can_move(old->errorlog, fresh->errorlog))
        return BY_UPGRADE;
    if (setting == CONFIG_AT_accesslog &&
        !log_can_move(old->accesslog, fresh->accesslog))
        return BY_PROCESS;
    return how[setting];
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
    enum config_source source;

    memcpy(kept, (char *)a + at, sizes[setting]);
    memcpy((char *)a + at, (char *)b + at, sizes[setting]);
    memcpy((char *)b + at, kept, sizes[setting]);
    source = a->source[setting];
    a->source[setting] = b->source[setting];
    b->source[setting] = source;
}

/* Says what changed; returns a bit of each `how` that has to act. */
static uint32_t compare(struct config *old, struct config *fresh)
{
    char names[512] = "";
    uint32_t acts = 0;

    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        const struct config_row *row = config_row(i);
        size_t n = strlen(names);
        enum how by;

        if (is_equal(old, fresh, i) || row->status == CONFIG_IGNORED)
            continue;
        by = how_of(old, fresh, i);
        if (by == BY_UPGRADE) {
            log_warning("Setting %s has changed: that takes effect with USR2 "
                        "(an upgrade loses nothing) or a restart",
                        row->name);
            value_swap(old, fresh, i);
            continue;
        }
        acts |= 1U << by;
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

/* What worker processes get when they are forked. */
static void processes_follow(struct master *master, const struct config *old)
{
    struct owner owner;

    if (owner_find(&owner, master->config->user, master->config->group) == 0) {
        owner.all_groups = master->config->initgroups;
        master->owner = owner;
        master->logs.owner = owner;
    }
    if (!log_can_move(old->accesslog, master->config->accesslog) &&
        strcmp(old->accesslog, master->config->accesslog) != 0)
        logs_switch_access(&master->logs, master->config);
    logs_format(&master->logs, master->config);
    if (master->logs.access_wants_cpu)
        master->board->cpu_every = 1;
    binds_apply(master);
}

static void backlog_set(const struct master *master)
{
    for (uint32_t i = 0; i < master->listener_count; i++)
        listener_backlog(&master->listeners[i],
                         (int)min_u64(master->config->backlog, INT32_MAX));
}

int apply_try(struct master *master, const struct config *fresh,
              struct config_error *error)
{
    int err = static_maps_check_all(fresh, error);

    if (err == 0)
        err = logs_check(fresh, error);
    return err == 0 ? binds_try(master, fresh, error) : err;
}

bool apply_settings(struct master *master, struct config *fresh)
{
    struct config old = *master->config;
    uint32_t acts = compare(&old, fresh);

    *master->config = *fresh;
    *fresh = old;
    master->name = master->config->proc_name[0] != '\0'
                       ? master->config->proc_name
                       : master->config->wsgi_app;
    if (acts & 1U << BY_PROCESS)
        processes_follow(master, fresh);
    logs_follow(&master->logs, master->config);
    level_follow(master);
    if (acts & 1U << BY_SOCKETS)
        backlog_set(master);
    if (acts & 1U << BY_LOGS) {
        logs_reopen(&master->logs);
        interp_signal_all(master, SIGUSR1);
        generation_signal(master, SIGUSR1);
    }
    if (acts & (1U << BY_LOGS | 1U << BY_WORKERS))
        workers_tell(master);
    count(master, acts);
    if (acts & 1U << BY_PROCESS)
        rollout_begin(master, fresh);
    return acts & 1U << BY_PROCESS;
}

void apply_take_back(struct master *master, struct config *before)
{
    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        if (how_of(before, master->config, i) == BY_PROCESS &&
            !is_equal(before, master->config, i))
            value_swap(before, master->config, i);
    }
    /* The other way round now: before has what was tried. */
    processes_follow(master, before);
}
