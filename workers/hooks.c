/* SPDX-License-Identifier: MIT */
#include "hooks.h"

#include "boot.h"
#include "channel.h"
#include "core/log.h"
#include "generation.h"

#include <string.h>

static const enum config_setting ours[] = {
    CONFIG_AT_on_starting, CONFIG_AT_when_ready, CONFIG_AT_nworkers_changed,
    CONFIG_AT_pre_fork,    CONFIG_AT_child_exit, CONFIG_AT_on_reload,
    CONFIG_AT_pre_exec,    CONFIG_AT_on_exit,
};

/* A template without them need not hear of anything. */
static bool are_set(const struct master *master,
                    const struct template *template)
{
    const struct config *config = template->config != NULL ? template->config
                                                           : master->config;

    if (master->checks_only || template->fd < 0 || !template->told)
        return false;
    for (uint32_t i = 0; i < ARRAY_SIZE(ours); i++) {
        if (config_is_given(config, ours[i]))
            return true;
    }
    return false;
}

static void tell(const struct master *master, const struct template *template,
                 enum template_hook hook, struct template_message word)
{
    int err;

    if (!are_set(master, template))
        return;
    word.op = TEMPLATE_HOOK;
    word.code = (int32_t)hook;
    err = channel_say(template->fd, &word);
    if (err < 0)
        log_warning("A hook is not called, the template does not listen: %s",
                    strerror(-err));
}

static void tell_plainly(const struct master *master,
                         const struct template *template,
                         enum template_hook hook)
{
    tell(master, template, hook, (struct template_message){.node = -1});
}

static void tell_workers(struct master *master, uint32_t count, int32_t before)
{
    tell(master, &master->current, TEMPLATE_NWORKERS_CHANGED,
         (struct template_message){.age = count, .before = before, .node = -1});
    master->workers_told = count;
}

int hooks_start(struct master *master, struct config_error *error)
{
    if (!master->current.configured)
        return 0; /* there is no configuration file */
    generation_tell(master);
    tell_workers(master, master->placement.workers, -1);
    if (!are_set(master, &master->current) ||
        !config_is_given(master->config, CONFIG_AT_on_starting))
        return 0;
    tell_plainly(master, &master->current, TEMPLATE_ON_STARTING);
    return boot_wait(master, TEMPLATE_HOOKED, error);
}

void hooks_when_ready(const struct master *master)
{
    tell_plainly(master, &master->current, TEMPLATE_WHEN_READY);
}

void hooks_settle(struct master *master)
{
    if (master->phase == MASTER_SERVING &&
        master->workers_told != master->wanted)
        tell_workers(master, master->wanted, (int32_t)master->workers_told);
}

void hooks_child_exit(const struct master *master, uint32_t generation,
                      pid_t pid)
{
    const struct template *from = &master->current;

    if (master->trial.generation == generation)
        from = &master->trial;
    else if (master->retired.generation == generation)
        from = &master->retired;
    tell(master, from, TEMPLATE_CHILD_EXIT,
         (struct template_message){.pid = pid, .node = -1});
}

/* As Gunicorn, which says the number on each reload. */
void hooks_on_reload(const struct master *master)
{
    tell(master, &master->trial, TEMPLATE_NWORKERS_CHANGED,
         (struct template_message){.age = master->wanted,
                                   .before = (int32_t)master->workers_told,
                                   .node = -1});
    tell_plainly(master, &master->trial, TEMPLATE_ON_RELOAD);
}

void hooks_pre_exec(const struct master *master)
{
    tell_plainly(master, &master->current, TEMPLATE_PRE_EXEC);
}

void hooks_on_exit(const struct master *master)
{
    tell_plainly(master, &master->current, TEMPLATE_ON_EXIT);
}
