/* SPDX-License-Identifier: MIT */
/*
 * gcorn-ctl: what "gcorn ctl" and "gcorn reload" run. A program of its own, so
 * that the server does not carry a line editor about.
 */
#include "control_path.h"
#include "ctl_client.h"
#include "ctl_show.h"

#include <editline/readline.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_MAX 512
#define HISTORY_MAX 1000

struct ctl {
    struct ctl_client client;
    char path[CONTROL_PATH_MAX];
    bool json;
};

static const char usage[] =
    "usage: gcorn ctl [-s SOCKET] [--json] [COMMAND ...]\n"
    "       gcorn reload [-s SOCKET] [--json]\n\n"
    "Asks a running gcorn, or tells it to do something. Without a command it\n"
    "reads commands; \"gcorn ctl help\" lists them. The status is 0 when the\n"
    "command worked; that of reload is 1 when the new code does not work.\n\n"
    "  -s, --socket PATH  the server's control socket (its --control-socket)\n"
    "  -j, --json         print what the server answers, as it is\n"
    "  -h, --help         show this text\n";

/* Some answers say of themselves that it did not work. */
static int status_of(const json_t *data)
{
    return json_is_false(json_object_get(data, "success")) ? 1 : 0;
}

static void print(const struct ctl *ctl, const json_t *data)
{
    if (ctl->json) {
        json_dumpf(data, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else {
        ctl_show(data, stdout);
    }
    fflush(stdout);
}

/* People, and scripts, want to know what became of it. */
static const char *completed(const char *command)
{
    return strcmp(command, "reload") == 0 ? "reload wait" : command;
}

static int run(struct ctl *ctl, const char *command)
{
    char *why = NULL;
    json_t *data = ctl_ask(&ctl->client, completed(command), &why);
    int status;

    if (data == NULL) {
        fprintf(stderr, "Error: %s\n", why != NULL ? why : "out of memory");
        free(why);
        return 1;
    }
    print(ctl, data);
    status = status_of(data);
    json_decref(data);
    return status;
}

static int connect_to(struct ctl *ctl)
{
    int err = ctl_connect(&ctl->client, ctl->path);

    if (err == 0)
        return 0;
    fprintf(stderr, "Error: no server answers at %s: %s\n", ctl->path,
            strerror(-err));
    ctl_close(&ctl->client);
    return 1;
}

static void history_path(char out[PATH_MAX])
{
    const char *home = getenv("HOME");

    snprintf(out, PATH_MAX, "%s/.gcorn_history", home != NULL ? home : ".");
}

static bool is_end(const char *line)
{
    return strcmp(line, "quit") == 0 || strcmp(line, "exit") == 0 ||
           strcmp(line, "q") == 0;
}

/* After a restart of the server the next command finds the new one. */
static void run_line(struct ctl *ctl, const char *line)
{
    if (ctl->client.fd < 0 && connect_to(ctl) != 0)
        return;
    if (run(ctl, line) != 0) {
        ctl_close(&ctl->client);
        ctl_connect(&ctl->client, ctl->path);
    }
}

static int interact(struct ctl *ctl)
{
    char path[PATH_MAX];
    char *line;

    history_path(path);
    using_history();
    stifle_history(HISTORY_MAX);
    read_history(path);
    printf("Connected to %s\nhelp lists the commands, quit leaves.\n",
           ctl->path);
    while ((line = readline("gcorn> ")) != NULL && !is_end(line)) {
        if (line[strspn(line, " \t")] != '\0') {
            add_history(line);
            run_line(ctl, line);
        }
        free(line);
    }
    free(line);
    write_history(path);
    return 0;
}

/* Commands from a pipe, one a line; it stops at the first that fails. */
static int run_lines(struct ctl *ctl)
{
    char line[COMMAND_MAX];
    int status = 0;

    while (status == 0 && fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (is_end(line))
            break;
        if (line[strspn(line, " \t")] != '\0')
            status = run(ctl, line);
    }
    return status;
}

static bool join(int argc, char **argv, char out[COMMAND_MAX])
{
    size_t n = 0;

    out[0] = '\0';
    for (int i = optind; i < argc && n < COMMAND_MAX; i++)
        n += (size_t)snprintf(out + n, COMMAND_MAX - n, "%s%s",
                              i > optind ? " " : "", argv[i]);
    return n < COMMAND_MAX;
}

/* -1: go on; else the exit status. */
static int options(struct ctl *ctl, int argc, char **argv)
{
    static const struct option known[] = {
        {"socket", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *socket = "";
    int option;

    while ((option = getopt_long(argc, argv, "s:jh", known, NULL)) != -1) {
        if (option == 's')
            socket = optarg;
        else if (option == 'j')
            ctl->json = true;
        else {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    if (control_path_find(socket, ctl->path) < 0) {
        fputs("Error: the socket's path is too long\n", stderr);
        return 2;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {0};
    char command[COMMAND_MAX];
    bool reloads = argc > 1 && strcmp(argv[1], "reload") == 0;
    bool named = argc > 1 && (reloads || strcmp(argv[1], "ctl") == 0);
    int status = options(&ctl, argc - named, argv + named);

    if (status >= 0)
        return status;
    if (!join(argc - named, argv + named, command) ||
        (reloads && command[0] != '\0')) {
        fputs(usage, stderr);
        return 2;
    }
    if (connect_to(&ctl) != 0)
        return 1;
    if (reloads || command[0] != '\0')
        status = run(&ctl, reloads ? "reload" : command);
    else
        status = isatty(STDIN_FILENO) ? interact(&ctl) : run_lines(&ctl);
    ctl_close(&ctl.client);
    return status;
}
