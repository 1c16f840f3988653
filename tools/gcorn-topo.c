/* SPDX-License-Identifier: MIT */
/*
 * gcorn-topo - shows the machine, the plan and what to improve.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tools/topo/report.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_TIER_MISSED = 1,
    EXIT_USAGE = 2,
    EXIT_TIER_UNKNOWN = 3,
    EXIT_UNREADABLE = 4,
    EXIT_INTERNAL = 5,
};

static bool wants_color(enum topo_color color)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    switch (color) {
    case TOPO_COLOR_ALWAYS:
        return true;
    case TOPO_COLOR_NEVER:
        return false;
    case TOPO_COLOR_AUTO:
        break;
    }
    return isatty(STDOUT_FILENO) && !(no && *no) &&
           !(term && strcmp(term, "dumb") == 0);
}

static int width_of(const struct topo_options *options)
{
    struct winsize size = {0};

    if (options->width)
        return options->width;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 100;
    return size.ws_col < 80 ? 80 : size.ws_col > 120 ? 120 : size.ws_col;
}

static bool write_picture(const struct report *report, const char *path,
                          void (*write_one)(const struct report *, FILE *))
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    bool good;

    if (!file) {
        fprintf(stderr, "gcorn-topo: %s: %s\n", path, strerror(errno));
        return false;
    }
    write_one(report, file);
    good = fflush(file) == 0 && !ferror(file);
    if (file != stdout)
        good &= fclose(file) == 0;
    if (!good)
        fprintf(stderr, "gcorn-topo: %s: cannot write it\n", path);
    return good;
}

static bool print(const struct report *report)
{
    const struct topo_options *o = report->options;

    if (o->svg && !write_picture(report, o->svg, report_svg))
        return false;
    if (o->html && !write_picture(report, o->html, report_html))
        return false;
    if (o->json)
        report_json(report, stdout);
    else if (o->fixes)
        report_fixes(report, stdout);
    else if (!o->svg && !o->html)
        report_text(report, stdout, wants_color(o->color), width_of(o));
    return fflush(stdout) == 0;
}

static int verdict(const struct report *report)
{
    const struct checks_summary *s = &report->summary;

    if (!report->options->check)
        return EXIT_DONE;
    if (s->count[CHECK_FAIL] > 0)
        return EXIT_TIER_MISSED;
    if (s->count[CHECK_UNKNOWN] == 0)
        return EXIT_DONE;
    return report->options->strict ? EXIT_TIER_MISSED : EXIT_TIER_UNKNOWN;
}

static int explain(const struct topo_options *options, int rc)
{
    const struct machine_source *s = &options->source;
    const char *what = s->xml               ? s->xml
                       : s->synthetic       ? s->synthetic
                       : s->sysroot         ? s->sysroot
                       : options->bench_dir ? options->bench_dir
                                            : "this machine";

    fprintf(stderr, "gcorn-topo: %s: %s\n", what,
            rc == -EINVAL && (s->xml || s->synthetic)
                ? "not a topology that hwloc understands"
                : strerror(-rc));
    return s->xml || s->synthetic || s->sysroot || options->bench_dir
               ? EXIT_UNREADABLE
               : EXIT_INTERNAL;
}

int main(int argc, char **argv)
{
    struct topo_options options;
    struct report report;
    bool written;
    int rc;

    if (options_parse(argc, argv, &options) < 0)
        return EXIT_USAGE;
    if (options.help || options.version) {
        fputs(options.help ? options_help : "gcorn-topo " GCORN_VERSION "\n",
              stdout);
        return EXIT_DONE;
    }
    rc = report_make(&options, &report);
    if (rc < 0)
        return explain(&options, rc);
    written = print(&report);
    rc = verdict(&report);
    report_done(&report);
    return written ? rc : EXIT_INTERNAL;
}
