/* SPDX-License-Identifier: MIT */
#include "control.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/log.h"
#include "report.h"
#include "worker_slot.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define WORDS_MAX 8
#define WORD_BYTES 64
#define LENGTH_BYTES 4
/* Who hangs is not waited for. */
#define ROLL_PATIENCE_NS (NS_PER_S / 2)

/* One command being carried out. */
struct call {
    struct observer *observer;
    struct gate_client *client;
    uint32_t words;
    char word[WORDS_MAX][WORD_BYTES];
    uint32_t args;   /* the word behind the command's own */
    bool later;      /* the answer is not known yet */
    char error[256]; /* why there is none */
};

typedef json_t *command_fn(struct call *call);

static json_t *fail(struct call *call, const char *text)
{
    snprintf(call->error, sizeof(call->error), "%s", text);
    return NULL;
}

static const char *arg(const struct call *call)
{
    return call->args < call->words ? call->word[call->args] : NULL;
}

/* The number given, or 1. */
static bool number(struct call *call, long *ret_number)
{
    const char *text = arg(call);
    char *end;

    *ret_number = 1;
    if (text == NULL)
        return true;
    *ret_number = strtol(text, &end, 10);
    if (*end == '\0' && *ret_number > 0 && *ret_number < INT32_MAX)
        return true;
    snprintf(call->error, sizeof(call->error), "Invalid argument: %s", text);
    return false;
}

static json_t *show_all(struct call *call)
{
    return report_all(call->observer);
}

static json_t *show_workers(struct call *call)
{
    return report_workers(call->observer);
}

static json_t *show_stats(struct call *call)
{
    return report_stats(call->observer);
}

static json_t *show_config(struct call *call)
{
    return report_config(call->observer);
}

static json_t *show_listeners(struct call *call)
{
    return report_listeners(call->observer);
}

/* The client's note is until when the workers have time to tell. */
static json_t *show_connections(struct call *call)
{
    struct master *master = call->observer->master;
    struct gate_client *client = call->client;
    uint64_t now = now_ns();

    if (client->note == 0) {
        roll_ask(&master->roll, master->board);
        client->note = now + ROLL_PATIENCE_NS;
    }
    call->later = now < client->note &&
                  !roll_is_complete(&master->roll, master->board);
    if (call->later)
        return NULL;
    client->note = 0;
    return report_connections(call->observer);
}

static json_t *show_keepalive(struct call *call)
{
    return report_keepalive(call->observer);
}

static json_t *show_dirty(struct call *call)
{
    (void)call;
    return json_pack("{s:b, s:n, s:[], s:[]}", "enabled", 0, "pid", "workers",
                     "apps");
}

static json_t *scale(struct call *call, const char *what, int by)
{
    struct master *master = call->observer->master;
    uint32_t before = master->wanted;
    long count;

    if (!number(call, &count))
        return NULL;
    for (long i = 0; i < count && i < BOARD_WORKERS_MAX; i++)
        worker_slot_scale(master, by);
    return json_pack("{s:i, s:i, s:i}", what,
                     abs((int)(master->wanted - before)), "previous", before,
                     "total", master->wanted);
}

static json_t *worker_add(struct call *call)
{
    return scale(call, "added", 1);
}

static json_t *worker_remove(struct call *call)
{
    return scale(call, "removed", -1);
}

/* Its replacement is there before it goes: RETIRING asks the master for one. */
static bool retire(const struct master *master, int pid)
{
    for (uint32_t i = 0; i < master->board->interp_slots; i++) {
        struct board_interp *interp = board_interp(master->board, i);
        uint32_t serving = BOARD_INTERP_SERVING;

        if (atomic_load(&interp->pid) != pid)
            continue;
        atomic_compare_exchange_strong(&interp->state, &serving,
                                       BOARD_INTERP_RETIRING);
        return board_interp_serves(atomic_load(&interp->state));
    }
    return false;
}

static json_t *worker_kill(struct call *call)
{
    const char *text = arg(call);
    char message[64];
    long pid;

    if (text == NULL)
        return fail(call, "Invalid argument: Missing PID for worker kill");
    if (!number(call, &pid))
        return NULL;
    if (retire(call->observer->master, (int)pid))
        return json_pack("{s:b, s:i}", "success", 1, "killed", (int)pid);
    snprintf(message, sizeof(message), "Worker %ld not found", pid);
    return json_pack("{s:b, s:s}", "success", 0, "error", message);
}

/* It is read in a moment, and handled as one from outside. */
static void signal_self(int signal)
{
    kill(getpid(), signal);
}

static json_t *reload_answer(const struct reload *reload)
{
    uint64_t took_ms = (reload->ended_ns - reload->began_ns) / NS_PER_MS;
    bool done = reload->state == RELOAD_DONE;

    return json_pack("{s:s, s:b, s:s, s:f}", "status",
                     done ? "reloaded" : "failed", "success", done, "why",
                     reload->why, "seconds", (double)took_ms / 1000);
}

/* The client's note is the number of the reload it waits for. */
static json_t *reload(struct call *call)
{
    const struct master *master = call->observer->master;
    struct gate_client *client = call->client;
    bool waits = arg(call) != NULL && strcasecmp(arg(call), "wait") == 0;

    if (master->phase != MASTER_SERVING) {
        client->note = 0;
        return fail(call, "Command failed: the server is stopping");
    }
    if (client->note == 0) {
        signal_self(SIGHUP);
        if (!waits)
            return json_pack("{s:s}", "status", "reloading");
        client->note = (uint64_t)master->reload.serial + 1;
    }
    if (master->reload.serial > client->note) {
        client->note = 0;
        return fail(call, "Command failed: another reload was asked for");
    }
    call->later = master->reload.serial < client->note ||
                  !reload_is_over(&master->reload);
    if (call->later)
        return NULL;
    client->note = 0;
    return reload_answer(&master->reload);
}

static json_t *reopen(struct call *call)
{
    (void)call;
    signal_self(SIGUSR1);
    return json_pack("{s:s}", "status", "reopening");
}

static json_t *shutdown_server(struct call *call)
{
    const char *mode = arg(call) != NULL ? arg(call) : "graceful";

    signal_self(strcasecmp(mode, "quick") == 0 ? SIGINT : SIGTERM);
    return json_pack("{s:s, s:s}", "status", "shutting_down", "mode", mode);
}

static json_t *help(struct call *call);

/* "show workers": the words that choose it; then what may follow. */
static const struct command {
    const char *words;
    const char *rest;
    command_fn *run;
    const char *help;
} commands[] = {
    {"show all", "", show_all, "Show all processes"},
    {"show workers", "", show_workers,
     "List interpreters, which Gunicorn calls workers"},
    {"show dirty", "", show_dirty, "There are no dirty workers"},
    {"show config", "", show_config, "Show the settings in effect"},
    {"show stats", "", show_stats, "Show counters and times"},
    {"show listeners", "", show_listeners, "Show bound sockets"},
    {"show connections", "", show_connections,
     "List connections, and the queues of each I/O worker"},
    {"show keepalive", "", show_keepalive,
     "Recommend a --keep-alive from the gaps between requests"},
    {"worker add", " [N]", worker_add, "Start N more workers (default 1)"},
    {"worker remove", " [N]", worker_remove, "Remove N workers (default 1)"},
    {"worker kill", " <PID>", worker_kill,
     "Replace one interpreter, gracefully"},
    {"reload", " [wait]", reload,
     "Load the code anew (HUP); wait: until it is known whether it worked"},
    {"reopen", "", reopen, "Reopen log files (USR1)"},
    {"shutdown", " [graceful|quick]", shutdown_server,
     "Stop the server (TERM or INT)"},
    {"help", "", help, "Show this list"},
};

static json_t *help(struct call *call)
{
    json_t *list = json_object();
    char usage[64];

    (void)call;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        snprintf(usage, sizeof(usage), "%s%s", commands[i].words,
                 commands[i].rest);
        json_object_set_new(list, usage, json_string(commands[i].help));
    }
    return json_pack("{s:o}", "commands", list);
}

/* How many of the call's words are the command's; 0: it is another. */
static uint32_t match(const struct call *call, const char *words)
{
    uint32_t n = 0;

    for (; *words != '\0'; n++) {
        size_t len = strcspn(words, " ");

        if (n == call->words || strlen(call->word[n]) != len ||
            strncasecmp(call->word[n], words, len) != 0)
            return 0;
        words += len;
        words += strspn(words, " ");
    }
    return n;
}

static json_t *run(struct call *call)
{
    if (call->words == 0)
        return fail(call, "Empty command");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        call->args = match(call, commands[i].words);
        if (call->args > 0)
            return commands[i].run(call);
    }
    snprintf(call->error, sizeof(call->error),
             "Invalid argument: Unknown command: %s%s%s (see help)",
             call->word[0], call->words > 1 ? " " : "",
             call->words > 1 ? call->word[1] : "");
    return NULL;
}

static void words_add(struct call *call, const char *text)
{
    text += strspn(text, " \t");
    while (*text != '\0' && call->words < WORDS_MAX) {
        size_t len = strcspn(text, " \t");

        snprintf(call->word[call->words++], WORD_BYTES, "%.*s", (int)len, text);
        text += len;
        text += strspn(text, " \t");
    }
}

static void args_add(struct call *call, const json_t *args)
{
    for (size_t i = 0; i < json_array_size(args); i++) {
        const json_t *item = json_array_get(args, i);
        char text[32];

        if (json_is_string(item))
            words_add(call, json_string_value(item));
        if (!json_is_integer(item))
            continue;
        snprintf(text, sizeof(text), "%lld",
                 (long long)json_integer_value(item));
        words_add(call, text);
    }
}

static void send_json(struct gate_client *client, json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT | JSON_REAL_PRECISION(6));
    uint32_t len = text != NULL ? htonl((uint32_t)strlen(text)) : 0;

    if (text == NULL) {
        client->over = true;
        return;
    }
    gate_say(client, &len, sizeof(len));
    gate_say(client, text, strlen(text));
    free(text);
}

/* False when the answer has to wait. */
static bool answer(struct observer *observer, struct gate_client *client,
                   const json_t *request)
{
    const char *command =
        json_string_value(json_object_get(request, "command"));
    json_t *id = json_object_get(request, "id");
    struct call call = {.observer = observer, .client = client};
    json_t *message = json_object();
    json_t *data;

    words_add(&call, command != NULL ? command : "");
    args_add(&call, json_object_get(request, "args"));
    data = run(&call);
    if (call.later) {
        json_decref(message);
        return false;
    }
    json_object_set_new(message, "id", id ? json_incref(id) : json_integer(0));
    json_object_set_new(message, "status", json_string(data ? "ok" : "error"));
    if (data != NULL)
        json_object_set_new(message, "data", data);
    else
        json_object_set_new(message, "error", json_string(call.error));
    send_json(client, message);
    json_decref(message);
    return true;
}

int64_t control_take(void *context, struct gate_client *client,
                     struct bytes said)
{
    json_error_t error;
    json_t *request;
    uint32_t len;
    bool done;

    if (said.n < LENGTH_BYTES)
        return 0;
    memcpy(&len, said.p, LENGTH_BYTES);
    len = ntohl(len);
    if (len > GATE_IN_MAX - LENGTH_BYTES)
        return -1;
    if (said.n < LENGTH_BYTES + len)
        return 0;
    request = json_loadb(said.p + LENGTH_BYTES, len, 0, &error);
    if (!json_is_object(request)) {
        json_decref(request);
        return -1;
    }
    done = answer(context, client, request);
    json_decref(request);
    return done ? LENGTH_BYTES + (int64_t)len : 0;
}
