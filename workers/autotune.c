/* SPDX-License-Identifier: MIT */
#include "autotune.h"

#include "autotune_print.h"
#include "config_machine.h"

#include <string.h>

#define MIB (UINT64_C(1) << 20)
/* Less growth than this is noise of the allocator. */
#define GROWTH_MIN 64

static uint64_t add_percent(uint64_t bytes, uint64_t percent)
{
    return bytes + bytes / 100 * percent;
}

static uint64_t whole_mib(uint64_t bytes)
{
    return (bytes + MIB - 1) / MIB * MIB;
}

static uint64_t growth_of(const struct probe_result *measured)
{
    return measured->growth_bytes >= GROWTH_MIN ? measured->growth_bytes : 0;
}

/* What each further worker adds: the pages that only its pair has. */
static uint64_t pair_bytes(const struct probe_memory *memory)
{
    return memory->interp + memory->worker + memory->arena;
}

struct placement_need autotune_need(const struct probe_result *measured,
                                    uint64_t max_requests)
{
    uint64_t pair = max_u64(pair_bytes(&measured->loaded),
                            pair_bytes(&measured->used));
    uint64_t shared = measured->used.total > pair ? measured->used.total - pair
                                                  : 0;
    uint64_t bytes = add_percent(pair, AUTOTUNE_HEADROOM_PERCENT);
    uint64_t grown = pair;

    if (!__builtin_mul_overflow(growth_of(measured), max_requests, &grown) &&
        grown < UINT64_MAX / 4)
        bytes = max_u64(bytes, pair + grown);
    return (struct placement_need){
        .worker_bytes = max_u64(whole_mib(bytes), MIB),
        .shared_bytes = whole_mib(shared),
    };
}

uint64_t autotune_lifetime(const struct probe_result *measured,
                           uint64_t safe_bytes)
{
    uint64_t growth = growth_of(measured);
    uint64_t pair = pair_bytes(&measured->used);

    if (growth == 0 || safe_bytes <= pair)
        return 0;
    return max_u64((safe_bytes - pair) / growth, 1);
}

static int show(const struct config *config, const struct placement *placement,
                const struct probe_result *measured, bool prints)
{
    const struct plan *plan = placement->plan;
    struct autotune_report report = {
        .config = config,
        .measured = measured,
        .placement = placement,
        .lifetime = autotune_lifetime(measured, plan->alarm_bytes),
    };

    if (prints && config->json)
        autotune_print_json(&report, stdout);
    else
        autotune_print_text(&report, prints ? stdout : stderr);
    fflush(NULL);
    return plan->n_mem == 0 ? 1 : 0;
}

static bool is_seen(const struct placement *placement, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (placement->places[k].memory_node ==
            placement->places[i].memory_node)
            return true;
    return false;
}

/* What is preloaded is there once for each memory node: python/nodes.h. */
static uint32_t count_templates(const struct config *config,
                                const struct placement *placement)
{
    uint32_t count = 0;

    for (uint32_t i = 0; config->preload_app && i < placement->workers; i++)
        count += placement->places[i].memory_node >= 0 &&
                 !is_seen(placement, i);
    return count;
}

static int make_plan(struct placement *placement, const struct config *config,
                     struct placement_need *need, struct config_error *error)
{
    uint32_t templates;
    int err = placement_make(placement, config, need, false, error);

    if (err < 0)
        return err;
    templates = count_templates(config, placement);
    if (templates < 2)
        return 0;
    need->shared_bytes *= templates;
    placement_done(placement);
    return placement_make(placement, config, need, false, error);
}

int autotune_run(const struct config *config, const struct config_input *input,
                 const struct title *title, struct placement_need *ret_need)
{
    enum config_autotune mode = CONFIG_AUTOTUNE_SERVE;
    struct config asked = *config;
    struct probe_result measured;
    struct placement placement = {.claim = {.fd = -1}};
    struct config_error error;
    struct placement_need need;
    int code = probe_run(config, input, title, &measured);

    if (code != 0)
        return code;
    config_autotune_parse(config->autotune, &mode);
    asked.workers = measured.asked.workers;
    asked.preload_app = measured.asked.preload_app;
    asked.wsgi_app = measured.asked.application;
    need = autotune_need(&measured, measured.asked.max_requests);
    if (make_plan(&placement, &asked, &need, &error) < 0) {
        fprintf(stderr, "\nError: %s\n", error.text);
        code = error.exit_code;
    } else {
        code = show(&asked, &placement, &measured,
                    mode == CONFIG_AUTOTUNE_PRINT);
        /* Who serves is warned, and gets one worker. */
        if (mode != CONFIG_AUTOTUNE_PRINT)
            code = 0;
    }
    placement_done(&placement);
    *ret_need = need;
    return code;
}
