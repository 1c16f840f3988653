/* SPDX-License-Identifier: MIT */
#include "log_remote.h"

#include <string.h>

static bool open_one(struct datagram *to, const char *what, const char *address,
                     uint16_t port)
{
    int err = datagram_parse(to, address, port);

    if (err == 0)
        err = datagram_open(to);
    if (err < 0)
        log_warning("No %s: %s: %s", what, address,
                    err == -ENOENT ? "that host is not known" : strerror(-err));
    return err == 0;
}

void log_remote_open(struct log_remote *remote,
                     const struct log_remote_config *config)
{
    const char *name = config->syslog_prefix;

    if (config->syslog && open_one(&remote->syslog.to, "syslog",
                                   config->syslog_addr, SYSLOG_PORT)) {
        syslog_init(&remote->syslog, syslog_facility(config->syslog_facility),
                    name[0] != '\0' ? name : config->name);
        log_add_sink(syslog_on_log, &remote->syslog);
        remote->has_syslog = true;
    }
    if (config->statsd_host[0] != '\0' &&
        open_one(&remote->statsd.to, "statsd", config->statsd_host,
                 STATSD_PORT)) {
        statsd_init(&remote->statsd, config->statsd_prefix,
                    config->dogstatsd_tags);
        log_add_sink(statsd_on_log, &remote->statsd);
        remote->has_statsd = true;
    }
}
