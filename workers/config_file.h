/* SPDX-License-Identifier: MIT */
/*
 * config_file - settings that come from the configuration file, and go to the
 * templates. The file itself is Python: a template runs it and says what it
 * sets (core/template.h); the master never does.
 */
#ifndef GCORN_WORKERS_CONFIG_FILE_H
#define GCORN_WORKERS_CONFIG_FILE_H

#include "core/settings.h"
#include "workers/config.h"

/*
 * -c of the command line, else of GUNICORN_CMD_ARGS, else gunicorn.conf.py in
 * directory if there is one, else "".
 */
const char *config_file_name(const struct config *config,
                             const char *directory);

/* For ASK: python, where gcorn was started, the file, and what it may set. */
int config_file_ask(const struct config *config,
                    const struct config_input *input, const char *python,
                    struct settings *ret_ask);

/*
 * What the file sets, unless something stronger did. Then config_settle() is
 * due. 0, or -EINVAL with a message.
 */
int config_file_take(struct config *config, const struct settings *file,
                     struct config_error *error);

/*
 * HUP: reads all sources anew, with what the new template found in the file.
 * Relative names count from where gcorn was started. Returns 0, or -EINVAL
 * with a message; config_done() is due in both cases, and nothing of the old
 * settings was touched.
 */
int config_reload(struct config *config, const struct config_input *input,
                  const struct settings *file, struct config_error *error);

/* For GO: all values, chdir as a whole path. 0 or -errno. */
int config_pass(const struct config *config, const struct config_input *input,
                struct settings *ret_settings);
#endif
