/* SPDX-License-Identifier: MIT */
#include "tools/topo/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "topology/size.h"

const char options_help[] =
    "usage: gcorn-topo [options]\n"
    "\n"
    "Shows this machine, how gcorn would share it out, and what to improve.\n"
    "\n"
    "what to look at\n"
    "  --xml FILE            an hwloc XML file instead of this machine\n"
    "  --synthetic TEXT      an hwloc synthetic description\n"
    "  --sysroot DIR         a directory with /sys and /proc in it\n"
    "\n"
    "what to plan for\n"
    "  --workers N           instead of the plan's own count\n"
    "  --worker-memory SIZE  peak of one worker (150M)\n"
    "  --shared-memory SIZE  counted once for all (0)\n"
    "  --safety PERCENT      part of its share a worker may plan with (80)\n"
    "  --pin POLICY          auto, core, l3, node or off\n"
    "  --quota CPUS          as if under this CPU quota, such as 2.5\n"
    "  --mem-limit SIZE      as if under this memory limit\n"
    "  --no-claims           as if no gcorn were running\n"
    "\n"
    "what to show\n"
    "  --plan                only the machine's limits and the plan\n"
    "  --all                 also kernel settings that are well\n"
    "  --fixes               only the commands that would improve things\n"
    "  --json                everything, for programs\n"
    "  --svg FILE            a picture; - is standard output\n"
    "  --html FILE           picture and tables in one page\n"
    "  --color WHEN          auto, always or never (auto respects NO_COLOR)\n"
    "  --width COLUMNS       80 to 200 (the terminal's)\n"
    "  --bench-io DIR        measure random reads there, for 5 seconds\n"
    "\n"
    "exit code\n"
    "  --check               1 when the tier is missed, 3 when unknown\n"
    "  --strict              with --check: unknown counts as missed\n"
    "\n"
    "  --help, --version\n"
    "\n"
    "Sizes take K, M, G and T, which are binary.\n";

enum option_id {
    OPT_XML = 256,
    OPT_SYNTHETIC,
    OPT_SYSROOT,
    OPT_WORKERS,
    OPT_WORKER_MEMORY,
    OPT_SHARED_MEMORY,
    OPT_SAFETY,
    OPT_PIN,
    OPT_QUOTA,
    OPT_MEM_LIMIT,
    OPT_PLAN,
    OPT_NO_CLAIMS,
    OPT_ALL,
    OPT_FIXES,
    OPT_JSON,
    OPT_SVG,
    OPT_HTML,
    OPT_COLOR,
    OPT_WIDTH,
    OPT_BENCH_IO,
    OPT_CHECK,
    OPT_STRICT,
    OPT_HELP,
    OPT_VERSION,
};

static const struct option names[] = {
    {"xml", required_argument, NULL, OPT_XML},
    {"synthetic", required_argument, NULL, OPT_SYNTHETIC},
    {"sysroot", required_argument, NULL, OPT_SYSROOT},
    {"workers", required_argument, NULL, OPT_WORKERS},
    {"worker-memory", required_argument, NULL, OPT_WORKER_MEMORY},
    {"shared-memory", required_argument, NULL, OPT_SHARED_MEMORY},
    {"safety", required_argument, NULL, OPT_SAFETY},
    {"pin", required_argument, NULL, OPT_PIN},
    {"quota", required_argument, NULL, OPT_QUOTA},
    {"mem-limit", required_argument, NULL, OPT_MEM_LIMIT},
    {"plan", no_argument, NULL, OPT_PLAN},
    {"no-claims", no_argument, NULL, OPT_NO_CLAIMS},
    {"all", no_argument, NULL, OPT_ALL},
    {"fixes", no_argument, NULL, OPT_FIXES},
    {"json", no_argument, NULL, OPT_JSON},
    {"svg", required_argument, NULL, OPT_SVG},
    {"html", required_argument, NULL, OPT_HTML},
    {"color", required_argument, NULL, OPT_COLOR},
    {"width", required_argument, NULL, OPT_WIDTH},
    {"bench-io", required_argument, NULL, OPT_BENCH_IO},
    {"check", no_argument, NULL, OPT_CHECK},
    {"strict", no_argument, NULL, OPT_STRICT},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

/* No sign, no blanks, nothing behind: strtoull() would take them. */
static bool parse_count(const char *text, uint64_t max, uint64_t *ret_count)
{
    unsigned long long value;
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || *end || value > max)
        return false;
    *ret_count = value;
    return true;
}

static bool parse_u32(const char *text, uint32_t min, uint32_t max,
                      uint32_t *ret_value)
{
    uint64_t value;

    if (!parse_count(text, max, &value) || value < min)
        return false;
    *ret_value = (uint32_t)value;
    return true;
}

/* "2", "2.5", "0.25" in thousandths. */
static bool parse_cpus(const char *text, uint32_t *ret_milli)
{
    char *end;
    double cpus = strtod(text, &end);

    if (end == text || *end || !(cpus >= 0.001 && cpus <= 100000))
        return false;
    *ret_milli = (uint32_t)(cpus * 1000 + 0.5);
    return true;
}

static bool parse_color(const char *text, enum topo_color *ret_color)
{
    static const char *const words[] = {[TOPO_COLOR_AUTO] = "auto",
                                        [TOPO_COLOR_ALWAYS] = "always",
                                        [TOPO_COLOR_NEVER] = "never"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(text, words[i]) == 0) {
            *ret_color = (enum topo_color)i;
            return true;
        }
    return false;
}

static bool take_demand(int option, struct plan_demand *demand)
{
    switch (option) {
    case OPT_WORKERS:
        return parse_u32(optarg, 1, UINT16_MAX, &demand->workers);
    case OPT_WORKER_MEMORY:
        return size_parse(optarg, &demand->worker_bytes) == 0 &&
               demand->worker_bytes > 0;
    case OPT_SHARED_MEMORY:
        return size_parse(optarg, &demand->shared_bytes) == 0;
    case OPT_SAFETY:
        return parse_u32(optarg, 1, 100, &demand->safety_percent);
    case OPT_PIN:
        return plan_pin_parse(optarg, &demand->pin) == 0;
    case OPT_QUOTA:
        return parse_cpus(optarg, &demand->quota_milli);
    case OPT_MEM_LIMIT:
        return size_parse(optarg, &demand->memory_limit) == 0;
    default:
        return false;
    }
}

/* All that is on or off is one table. */
static bool take_flag(int option, struct topo_options *o)
{
    bool *const flags[] = {
        [0] = &o->plan_only, /* OPT_PLAN itself */
        [OPT_NO_CLAIMS - OPT_PLAN] = &o->no_claims,
        [OPT_ALL - OPT_PLAN] = &o->all,
        [OPT_FIXES - OPT_PLAN] = &o->fixes,
        [OPT_JSON - OPT_PLAN] = &o->json,
        [OPT_CHECK - OPT_PLAN] = &o->check,
        [OPT_STRICT - OPT_PLAN] = &o->strict,
        [OPT_HELP - OPT_PLAN] = &o->help,
        [OPT_VERSION - OPT_PLAN] = &o->version,
    };
    int i = option - OPT_PLAN;

    if (i < 0 || i >= (int)ARRAY_SIZE(flags) || !flags[i])
        return false;
    *flags[i] = true;
    return true;
}

static bool take_option(int option, struct topo_options *o)
{
    uint32_t width;

    switch (option) {
    case OPT_XML:
        o->source.xml = optarg;
        return true;
    case OPT_SYNTHETIC:
        o->source.synthetic = optarg;
        return true;
    case OPT_SYSROOT:
        o->source.sysroot = optarg;
        return true;
    case OPT_SVG:
        o->svg = optarg;
        return true;
    case OPT_HTML:
        o->html = optarg;
        return true;
    case OPT_BENCH_IO:
        o->bench_dir = optarg;
        return true;
    case OPT_COLOR:
        return parse_color(optarg, &o->color);
    case OPT_WIDTH:
        if (!parse_u32(optarg, 80, 200, &width))
            return false;
        o->width = (int)width;
        return true;
    default:
        return take_flag(option, o) || take_demand(option, &o->demand);
    }
}

static int complain(const char *what, const char *about)
{
    fprintf(stderr, "gcorn-topo: %s %s (--help shows what there is)\n", what,
            about);
    return -EINVAL;
}

/* What is wrong only in combination. */
static int check_together(const struct topo_options *o)
{
    const struct machine_source *s = &o->source;
    bool elsewhere = s->xml || s->synthetic || s->sysroot;

    if ((s->xml != NULL) + (s->synthetic != NULL) + (s->sysroot != NULL) > 1)
        return complain("more than one of", "--xml, --synthetic, --sysroot");
    if (elsewhere && o->bench_dir)
        return complain("only this machine can be measured with", "--bench-io");
    return 0;
}

int options_parse(int argc, char **argv, struct topo_options *ret_options)
{
    struct topo_options o = {0};
    int option, index = 0;

    plan_demand_init(&o.demand);
    while ((option = getopt_long(argc, argv, "", names, &index)) != -1) {
        if (option == '?')
            return -EINVAL;
        if (!take_option(option, &o))
            return complain("bad value for", argv[optind - 1]);
    }
    if (optind < argc)
        return complain("unexpected", argv[optind]);
    *ret_options = o;
    return check_together(&o);
}
