/* SPDX-License-Identifier: MIT */
#include "config_rule.h"

#include "core/syslog.h"

#include <string.h>

/* What can be told without asking a name service. */
static bool is_host(const char *text)
{
    const char *port = strrchr(text, ':');

    if (port == NULL || strchr(port, ']') != NULL)
        return text[0] != '\0';
    return port[1] != '\0' &&
           strspn(port + 1, "0123456789") == strlen(port + 1);
}

int rule_syslog_addr(const char *text, struct config_error *error)
{
    if (strncmp(text, "tcp://", 6) == 0 || strstr(text, "#stream") != NULL)
        return config_fail(error, 1,
                           "syslog over a stream is not supported: '%s' (use "
                           "udp://HOST:PORT or unix://PATH)",
                           text);
    if (strncmp(text, "unix://", 7) == 0 && text[7] != '\0')
        return 0;
    if (strncmp(text, "udp://", 6) == 0 && is_host(text + 6))
        return 0;
    return config_fail(error, 1,
                       "invalid syslog address: '%s' (udp://HOST:PORT or "
                       "unix://PATH)",
                       text);
}

int rule_syslog_facility(const char *text, struct config_error *error)
{
    if (syslog_facility(text) >= 0)
        return 0;
    return config_fail(error, 1, "Invalid syslog facility: '%s'", text);
}

int rule_statsd_host(const char *text, struct config_error *error)
{
    bool is_unix = strncmp(text, "unix://", 7) == 0;

    if (is_unix ? text[7] != '\0' : is_host(text))
        return 0;
    return config_fail(error, 1,
                       "Invalid statsd address: '%s' (HOST:PORT or "
                       "unix://PATH)",
                       text);
}
