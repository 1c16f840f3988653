/* SPDX-License-Identifier: MIT */
/*
 * cmdline - flags into settings, as Python's argparse reads them: unambiguous
 * prefixes of long flags, --flag=value, -w4, -- before arguments.
 *
 * The one argument is the application; it becomes wsgi_app.
 */
#ifndef GCORN_WORKERS_CMDLINE_H
#define GCORN_WORKERS_CMDLINE_H

#include "workers/config.h"

/* argv[0] is the program. Returns 0, or -EINVAL with the error filled in. */
int cmdline_parse(struct config *config, int argc, char **argv,
                  enum config_source source, struct config_error *error);

/*
 * GUNICORN_CMD_ARGS: words split as a shell does, without expansion. An
 * argument in it is ignored, as Gunicorn does.
 */
int cmdline_parse_text(struct config *config, const char *text,
                       struct config_error *error);
#endif
