/* SPDX-License-Identifier: MIT */
#include "logs.h"

#include "core/access_line.h"
#include "core/log.h"
#include "shared.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* NULL when it names no file. */
static const char *path_of(const char *name)
{
    return name[0] != '\0' && strcmp(name, "-") != 0 ? name : NULL;
}

static int file_open(const char *path, const struct owner *owner, int *ret_fd)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0)
        return -errno;
    /* Processes with another user open it again themselves after USR1. */
    if ((owner->uid != geteuid() || owner->gid != getegid()) &&
        fchown(fd, owner->uid, owner->gid) < 0)
        log_warning("Can't give %s to its user: %s", path, strerror(errno));
    *ret_fd = fd;
    return 0;
}

static int log_to(const char *path, const struct owner *owner,
                  struct config_error *error, int *ret_fd)
{
    int err = path != NULL ? file_open(path, owner, ret_fd) : 0;

    if (err < 0)
        return config_fail(error, 1, "'%s' isn't writable: %s", path,
                           strerror(-err));
    return 0;
}

/* Only a file takes what is printed, as in Gunicorn. */
static void capture(const struct logs *logs)
{
    if (!logs->capture)
        return;
    fflush(NULL);
    dup2(logs->error_fd, STDOUT_FILENO);
    dup2(logs->error_fd, STDERR_FILENO);
}

static void remote_open(struct logs *logs, const struct config *config)
{
    struct log_remote_config remote = {
        .syslog = config->syslog,
        .syslog_addr = config->syslog_addr,
        .syslog_facility = config->syslog_facility,
        .syslog_prefix = config->syslog_prefix,
        .name = config->proc_name[0] != '\0' ? config->proc_name
                                             : config->wsgi_app,
        .statsd_host = config->statsd_host,
        .statsd_prefix = config->statsd_prefix,
        .dogstatsd_tags = config->dogstatsd_tags,
    };

    log_remote_open(&logs->remote, &remote);
    logs->access_to_syslog = logs->remote.has_syslog &&
                             !config->disable_redirect_access_to_syslog;
}

/* Whether the format asks for CPU times; or -EINVAL, -ENOMEM. */
static int format_look(const struct config *config)
{
    struct access_format *format = calloc(1, sizeof(*format));
    int err = format != NULL
                  ? access_format_init(format, config->access_log_format)
                  : -ENOMEM;

    if (err == 0) {
        err = format->wants_cpu;
        access_format_done(format);
    }
    free(format);
    return err;
}

void logs_format(struct logs *logs, const struct config *config)
{
    logs->access_wants_cpu = format_look(config) > 0;
}

static int format_failed(const struct config *config,
                         struct config_error *error)
{
    return config_fail(error, 1,
                       "Invalid access_log_format: '%s' (atoms are like "
                       "%%(h)s; %%%% is a percent sign)",
                       config->access_log_format);
}

int logs_check(const struct config *config, struct config_error *error)
{
    return format_look(config) >= 0 ? 0 : format_failed(config, error);
}

int logs_open(struct logs *logs, const struct config *config,
              const struct owner *owner, struct config_error *error)
{
    enum log_level level = LOG_LEVEL_INFO;
    int err;

    *logs = (struct logs){
        .error_fd = STDERR_FILENO,
        .access_fd = config->accesslog[0] != '\0' ? STDOUT_FILENO : -1,
        .error_path = path_of(config->errorlog),
        .access_path = path_of(config->accesslog),
        .owner = *owner,
    };
    logs->capture = config->capture_output && logs->error_path != NULL;
    err = log_to(logs->error_path, owner, error, &logs->error_fd);
    if (err < 0)
        return err;
    logs->error_fd = shared_lift(logs->error_fd);
    /* As in Gunicorn, a level it does not know is info. */
    log_level_parse(config->loglevel, &level);
    log_open(logs->error_fd, level);
    log_json(strcmp(config->log_format, "json") == 0);
    err = format_look(config);
    logs->access_wants_cpu = err > 0;
    err = err < 0 ? format_failed(config, error) : 0;
    if (err == 0)
        err = log_to(logs->access_path, owner, error, &logs->access_fd);
    if (err < 0)
        return err;
    capture(logs);
    remote_open(logs, config);
    return 0;
}

static void replace(const char *path, int fd, const struct owner *owner)
{
    int fresh;
    int err;

    if (path == NULL)
        return;
    err = file_open(path, owner, &fresh);
    if (err < 0) {
        log_error("Can't open %s again: %s", path, strerror(-err));
        return;
    }
    dup3(fresh, fd, O_CLOEXEC);
    close(fresh);
}

void logs_follow(struct logs *logs, const struct config *config)
{
    if (logs->error_path != NULL)
        logs->error_path = path_of(config->errorlog);
    if (logs->access_path != NULL)
        logs->access_path = path_of(config->accesslog);
}

void logs_switch_access(struct logs *logs, const struct config *config)
{
    const char *path = path_of(config->accesslog);
    int fd = config->accesslog[0] != '\0' ? STDOUT_FILENO : -1;
    int err = path != NULL ? file_open(path, &logs->owner, &fd) : 0;

    if (err < 0) {
        log_error("Can't open %s: %s", path, strerror(-err));
        return;
    }
    if (logs->access_path != NULL)
        close(logs->access_fd);
    logs->access_path = path;
    logs->access_fd = fd;
}

void logs_reopen(const struct logs *logs)
{
    replace(logs->error_path, logs->error_fd, &logs->owner);
    replace(logs->access_path, logs->access_fd, &logs->owner);
    capture(logs);
}
