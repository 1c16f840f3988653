/* SPDX-License-Identifier: MIT */
/*
 * config_rule - what a setting's text must satisfy beyond its kind. Each
 * returns 0, or -EINVAL with Gunicorn's message.
 */
#ifndef GCORN_WORKERS_CONFIG_RULE_H
#define GCORN_WORKERS_CONFIG_RULE_H

#include "workers/config.h"

int rule_bind(const char *text, struct config_error *error);
int rule_workers(const char *text, struct config_error *error);
int rule_threads(const char *text, struct config_error *error);
int rule_worker_class(const char *text, struct config_error *error);
int rule_chdir(const char *text, struct config_error *error);
int rule_static_map(const char *text, struct config_error *error);
int rule_pin(const char *text, struct config_error *error);
int rule_numa(const char *text, struct config_error *error);
int rule_autotune(const char *text, struct config_error *error);
int rule_autotune_url(const char *text, struct config_error *error);
int rule_memory_size(const char *text, struct config_error *error);
int rule_io(const char *text, struct config_error *error);
int rule_user(const char *text, struct config_error *error);
int rule_group(const char *text, struct config_error *error);
int rule_allow_ips(const char *text, struct config_error *error);
int rule_proxy_headers(const char *text, struct config_error *error);
int rule_header_map(const char *text, struct config_error *error);
int rule_proxy_protocol(const char *text, struct config_error *error);
int rule_protocol(const char *text, struct config_error *error);
int rule_asgi_loop(const char *text, struct config_error *error);
int rule_asgi_lifespan(const char *text, struct config_error *error);
int rule_true_false(const char *text, struct config_error *error);
int rule_http_parser(const char *text, struct config_error *error);
int rule_http_protocols(const char *text, struct config_error *error);
int rule_http2_cleartext(const char *text, struct config_error *error);
int rule_http2_streams(const char *text, struct config_error *error);
int rule_http2_window(const char *text, struct config_error *error);
int rule_http2_frame(const char *text, struct config_error *error);
int rule_reload_engine(const char *text, struct config_error *error);
int rule_reload_file(const char *text, struct config_error *error);
int rule_warmup_url(const char *text, struct config_error *error);
int rule_scheme_headers(const char *text, struct config_error *error);
int rule_env(const char *text, struct config_error *error);
int rule_own_path(const char *text, struct config_error *error);
int rule_log_format(const char *text, struct config_error *error);
int rule_syslog_addr(const char *text, struct config_error *error);
int rule_syslog_facility(const char *text, struct config_error *error);
int rule_statsd_host(const char *text, struct config_error *error);
#endif
