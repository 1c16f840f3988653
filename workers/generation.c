/* SPDX-License-Identifier: MIT */
#include "generation.h"

#include "apply.h"
#include "binds.h"
#include "channel.h"
#include "config_file.h"
#include "core/board_interp.h"
#include "core/log.h"
#include "core/template.h"
#include "hooks.h"
#include "interp.h"
#include "spawn.h"
#include "stop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Deaths by signal in a row, with nothing served ever, before giving up. */
#define BOOT_DEATHS_MAX 5
#define QUIT_NS (2 * NS_PER_S)
/* From the stacks' signal to the kill: time to write them to the log. */
#define STACKS_NS NS_PER_S

const struct template *generation_wanted(const struct master *master)
{
    return master->trial.pid != 0 && master->trial.ready ? &master->trial
                                                         : &master->current;
}

/* With the board, if there is one, so that its errors go to the log. */
static int template_spawn(struct master *master, struct template *template)
{
    struct epoll_event event = {.events = EPOLLIN};
    pid_t pid;
    int err = 0;

    template->configured = false;
    template->told = false;
    template->ready = false;
    template->quitting = false;
    template->late = false;
    template->kill_ns = 0;
    template->started_ns = master->now;
    pid = spawn_template(master, &template->fd);
    if (pid < 0)
        return pid;
    template->pid = pid;
    event.data.fd = template->fd;
    must(epoll_ctl(master->epoll_fd, EPOLL_CTL_ADD, template->fd, &event) == 0);
    if (master->board != NULL)
        err = channel_files(master, template->fd);
    if (err == 0)
        err = channel_ask(master, template->fd);
    if (err < 0)
        kill(pid, SIGKILL);
    return err;
}

static void template_start(struct master *master, struct template *template)
{
    int err = template_spawn(master, template);

    if (err == 0)
        return;
    log_error("Can't start the template: %s", strerror(-err));
    template->retry_ns = master->now + master_backoff_ns(++template->failures);
}

int generation_start(struct master *master)
{
    return template_spawn(master, &master->current);
}

void generation_abandon(struct master *master)
{
    struct template *current = &master->current;

    kill(current->pid, SIGKILL);
    waitpid(current->pid, NULL, 0);
    close(current->fd);
    current->fd = -1;
    current->pid = 0;
}

static void template_close(struct template *template)
{
    if (template->fd >= 0)
        close(template->fd);
    template->fd = -1;
    template->ready = false;
}

/* Its slot is free again. */
static void template_clear(struct template *template)
{
    template_close(template);
    if (template->config != NULL)
        config_done(template->config);
    free(template->config);
    *template = (struct template){.fd = -1};
}

/*
 * It has run the configuration file and gets the settings. The first one was
 * started before there was anything to share.
 */
static void template_go(struct master *master, struct template *template)
{
    const struct config *config = template->config != NULL ? template->config
                                                           : master->config;
    int err = 0;

    if (template == &master->current && !master->board_given)
        err = channel_files(master, template->fd);
    master->board_given = true;
    if (err == 0)
        err = channel_go(master, template->fd, config);
    template->told = err == 0;
    if (err == 0)
        return;
    log_error("Can't talk to the template: %s", strerror(-err));
    must(template->pid > 0);
    kill(template->pid, SIGKILL);
}

void generation_tell(struct master *master)
{
    if (master->current.configured && !master->current.told)
        template_go(master, &master->current);
}

/* End of file on its socket is its order to quit. */
static void template_quit(struct template *template, uint64_t kill_ns)
{
    template_close(template);
    template->quitting = true;
    template->kill_ns = kill_ns;
}

static void template_kill_overdue(struct master *master,
                                  struct template *template)
{
    if (template->pid == 0 || template->kill_ns == 0)
        return;
    if (master->now < template->kill_ns) {
        master_wake_at(master, template->kill_ns);
        return;
    }
    kill(template->pid, SIGKILL);
    template->kill_ns = 0;
}

/* Its stacks first: they say which import it is that hangs. */
static void template_check_time(struct master *master,
                                struct template *template)
{
    uint64_t patience_ns = master->config->boot_timeout * NS_PER_S;

    if (template->pid == 0 || template->ready || template->quitting ||
        template->late || patience_ns == 0)
        return;
    if (master->now < template->started_ns + patience_ns) {
        master_wake_at(master, template->started_ns + patience_ns);
        return;
    }
    log_error("The template (pid:%d) is not ready after %llu s; giving it up "
              "(see --boot-timeout)",
              (int)template->pid,
              (unsigned long long)master->config->boot_timeout);
    template->late = true;
    template->kill_ns = master->now + STACKS_NS;
    kill(template->pid, BOARD_STACKS_SIGNAL);
}

/* An earlier one has had its time. */
static void put_aside(struct master *master, struct template *template)
{
    if (master->retired.pid != 0)
        kill(master->retired.pid, SIGKILL);
    template_clear(&master->retired);
    master->retired = *template;
    *template = (struct template){.fd = -1};
}

static void retire(struct master *master, struct template *template)
{
    put_aside(master, template);
    template_quit(&master->retired, master->now + QUIT_NS);
}

/* The old template goes when nothing that was forked from it is left. */
static void settle_replacing(struct master *master)
{
    if (interp_older(master, master->current.generation) > 0)
        return;
    if (master->retired.pid != 0 && !master->retired.quitting)
        template_quit(&master->retired, master->now + QUIT_NS);
    if (master->reload.state != RELOAD_REPLACING || master->rollout.active)
        return;
    reload_end(&master->reload, RELOAD_DONE, "", master->now);
    log_info("Reload: done");
}

void generation_settle(struct master *master)
{
    struct template *current = &master->current;

    if (atomic_exchange(&master->board->reload_wanted, 0))
        generation_reload(master);
    if (current->pid == 0 && master->phase < MASTER_LEAVING) {
        if (master->now >= current->retry_ns)
            template_start(master, current);
        else
            master_wake_at(master, current->retry_ns);
    }
    generation_tell(master);
    settle_replacing(master);
    template_check_time(master, &master->current);
    template_check_time(master, &master->trial);
    template_kill_overdue(master, &master->current);
    template_kill_overdue(master, &master->trial);
    template_kill_overdue(master, &master->retired);
    atomic_store(&master->board->template_up, current->ready);
}

static void trial_give_up(struct master *master, const char *why)
{
    uint32_t generation = master->trial.generation;

    log_error("Reload failed: %s%s The code that was running goes on.", why,
              why[strlen(why) - 1] == '.' ? "" : ".");
    reload_end(&master->reload, RELOAD_FAILED, why, master->now);
    binds_give_up(master);
    interp_kill_starting(master, generation);
    interp_forget_orders(master, generation);
    if (master->trial.pid != 0)
        retire(master, &master->trial);
    template_clear(&master->trial);
}

void generation_reload(struct master *master)
{
    if (master->phase != MASTER_SERVING)
        return;
    if (master->trial.pid != 0)
        trial_give_up(master, "another reload was asked for");
    master->trial = (struct template){
        .fd = -1,
        .generation = ++master->generations,
    };
    reload_begin(&master->reload, master->now);
    template_start(master, &master->trial);
    if (master->trial.pid == 0)
        trial_give_up(master, "no process could be started");
}

/* All settings anew, with what the trial found in the file. */
static void trial_configure(struct master *master, const struct settings *file)
{
    struct template *trial = &master->trial;
    struct config_error error = {0, ""};

    trial->config = calloc(1, sizeof(*trial->config));
    if (trial->config == NULL) {
        trial_give_up(master, "out of memory");
        return;
    }
    if (config_reload(trial->config, master->input, file, &error) < 0) {
        log_error("%s", error.text);
        trial_give_up(master, "the settings are not valid");
        return;
    }
    if (apply_try(master, trial->config, &error) < 0) {
        trial_give_up(master, error.text);
        return;
    }
    trial->configured = true;
    template_go(master, trial);
    hooks_on_reload(master);
}

/* A template that takes a lost one's place has the settings of that. */
static void on_file(struct master *master, struct template *template,
                    const struct settings *file)
{
    if (template == &master->trial)
        trial_configure(master, file);
    else
        template->configured = true;
}

static void template_read(struct master *master, struct template *template,
                          union channel_message *message)
{
    while (template->fd >= 0 && channel_hear(template->fd, message) > 0) {
        if (message->op == TEMPLATE_FILE)
            on_file(master, template, &message->settings);
        if (message->op != TEMPLATE_READY)
            continue; /* FAILED: its exit code says the same */
        template->ready = true;
        template->failures = 0;
    }
}

void generation_on_message(struct master *master)
{
    union channel_message message;

    template_read(master, &master->current, &message);
    template_read(master, &master->trial, &message);
}

/* Nothing ever served, and it is the code's fault: Gunicorn's exit codes. */
static void give_up(struct master *master, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 3;

    if (code == 4)
        stop_fail(master, code, "App failed to load.");
    else
        stop_fail(master, code == 1 ? 1 : 3, "Worker failed to boot.");
}

static bool is_hopeless(const struct master *master, uint32_t failures,
                        int status)
{
    if (master->ever_served)
        return false;
    return WIFEXITED(status) || failures >= BOOT_DEATHS_MAX;
}

static void on_current_exit(struct master *master, int status)
{
    struct template *current = &master->current;

    current->pid = 0;
    current->configured = false;
    template_close(current);
    interp_forget_orders(master, current->generation);
    if (current->quitting || master->phase != MASTER_SERVING)
        return;
    current->retry_ns = master->now + master_backoff_ns(current->failures++);
    if (current->late)
        log_error("The template was killed: it did not load in time");
    else if (WIFSIGNALED(status))
        log_error("The template was ended by signal %d; starting another",
                  WTERMSIG(status));
    else
        log_error("The template exited with code %d", WEXITSTATUS(status));
    if (is_hopeless(master, current->late ? BOOT_DEATHS_MAX : current->failures,
                    status))
        give_up(master, status);
}

static const char *why_ended(const struct template *trial)
{
    if (!trial->configured)
        return trial->late ? "the configuration file did not end in time"
                           : "the configuration file could not be read";
    return trial->late ? "the application did not load in time"
                       : "the application could not be loaded";
}

bool generation_on_exit(struct master *master, pid_t pid, int status)
{
    if (pid == master->current.pid) {
        on_current_exit(master, status);
    } else if (pid == master->trial.pid) {
        master->trial.pid = 0;
        template_close(&master->trial);
        if (master->phase == MASTER_SERVING)
            trial_give_up(master, why_ended(&master->trial));
    } else if (pid == master->retired.pid) {
        template_clear(&master->retired);
    } else {
        return false;
    }
    return true;
}

void generation_on_serving(struct master *master, uint32_t generation)
{
    if (master->checks_only) {
        stop_start(master, 0);
        return;
    }
    if (master->trial.pid == 0 || generation != master->trial.generation)
        return;
    log_info("Reload: the new code serves; replacing the other workers");
    put_aside(master, &master->current);
    master->current = master->trial;
    master->trial = (struct template){.fd = -1};
    if (master->current.config != NULL) {
        /* Those that were before go with the template that was. */
        must(master->retired.config == NULL);
        if (!apply_settings(master, master->current.config))
            master->retired.config = master->current.config;
        master->current.config = NULL;
    }
    master->reload.state = RELOAD_REPLACING;
}

bool generation_on_boot_failure(struct master *master,
                                const struct interp *interp, int status)
{
    if (master->trial.pid != 0 &&
        interp->generation == master->trial.generation) {
        trial_give_up(master, interp->late
                                  ? "the first new worker did not load in time"
                                  : "the first new worker could not start");
        return true;
    }
    if (master->ever_served)
        return false;
    /* A code of its own making is final; a kill may be bad luck. */
    if (!WIFEXITED(status) && !interp->late &&
        ++master->boot_deaths < BOOT_DEATHS_MAX)
        return false;
    give_up(master, status);
    return true;
}

void generation_quit(struct master *master, uint64_t kill_ns)
{
    struct template *all[] = {&master->current, &master->trial,
                              &master->retired};

    for (uint32_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i]->pid != 0 && !all[i]->quitting)
            template_quit(all[i], kill_ns);
        else if (all[i]->pid != 0)
            all[i]->kill_ns = min_u64(all[i]->kill_ns, kill_ns);
    }
}

void generation_signal(const struct master *master, int signal)
{
    /* Before it is ready it may have no handler yet, and would die. */
    if (master->current.pid != 0 && master->current.ready)
        kill(master->current.pid, signal);
    if (master->trial.pid != 0 && master->trial.ready)
        kill(master->trial.pid, signal);
}

bool generation_is_gone(const struct master *master)
{
    return master->current.pid == 0 && master->trial.pid == 0 &&
           master->retired.pid == 0;
}
