/* SPDX-License-Identifier: MIT */
#include "nodes.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory_node.h"

#include "core/board.h"
#include "core/board_worker.h"
#include "core/template.h"

#define NODES_MAX 64
/* Exit code for a template that could not even be forked. */
#define EXIT_FORK 1

struct node {
    int32_t id; /* OS index */
    pid_t pid;  /* 0: ended */
    int fd;     /* our end of its socket, -1: closed */
};

struct relay {
    struct host *host;
    uint32_t count;
    uint32_t ready;
    int signal_fd;
    bool leaving; /* the master told us to go, or is gone */
    struct node nodes[NODES_MAX];
};

static struct node *node_find(struct relay *relay, int32_t id)
{
    for (uint32_t i = 0; i < relay->count; i++)
        if (relay->nodes[i].id == id)
            return &relay->nodes[i];
    return NULL;
}

/* The nodes that interpreters have been planned for. */
static void nodes_find(struct relay *relay)
{
    const struct board *board = relay->host->board;

    for (uint32_t i = 0; i < board->worker_slots; i++) {
        int32_t id = board_worker(board, i)->node;

        if (id < 0 || node_find(relay, id) || relay->count == NODES_MAX)
            continue;
        relay->nodes[relay->count++] = (struct node){.id = id, .fd = -1};
    }
}

/* In the new template: the master's socket is the one to the relay now. */
static void become_template(struct relay *relay, const struct node *node,
                            int fd, pid_t parent)
{
    struct host *host = relay->host;
    bool strict = strcmp(host_text(host, "numa"), "strict") == 0;

    dup2(fd, host->channel_fd);
    close(fd);
    for (uint32_t i = 0; i < relay->count; i++)
        if (relay->nodes[i].fd >= 0)
            close(relay->nodes[i].fd);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    memory_node_set(node->id, strict);
    /* Python itself was started before, wherever that was. */
    memory_node_copy(node->id);
    title_set(&host->title, "gcorn: template [%s] of node %d", host->name,
              (int)node->id);
    PyOS_AfterFork_Child();
}

/* 1 in the new template, 0 here, or -errno. */
static int start(struct relay *relay, struct node *node)
{
    pid_t parent = getpid();
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    loader_flush(&relay->host->loader);
    PyOS_BeforeFork();
    node->pid = fork();
    if (node->pid == 0) {
        close(fds[0]);
        become_template(relay, node, fds[1], parent);
        return 1;
    }
    PyOS_AfterFork_Parent();
    close(fds[1]);
    node->fd = fds[0];
    return node->pid < 0 ? -errno : 0;
}

/* End of file is the order to quit. */
static void quit_all(struct relay *relay)
{
    relay->leaving = true;
    for (uint32_t i = 0; i < relay->count; i++) {
        if (relay->nodes[i].fd >= 0)
            close(relay->nodes[i].fd);
        relay->nodes[i].fd = -1;
    }
}

static void pass_order(struct relay *relay)
{
    struct template_message order;
    struct node *node;
    ssize_t n = recv(relay->host->channel_fd, &order, sizeof(order), 0);

    if (n < 0 && errno == EINTR)
        return;
    if (n != sizeof(order) || order.op == TEMPLATE_QUIT) {
        quit_all(relay);
        return;
    }
    /* What floats, or was moved by a new plan, is of any template; hooks are
     * called in one only. */
    node = order.op == TEMPLATE_FORK ? node_find(relay, order.node) : NULL;
    if (!node)
        node = &relay->nodes[0];
    if (send(node->fd, &order, sizeof(order), MSG_NOSIGNAL) < 0)
        log_error("The template of node %d takes no orders: %s", (int)node->id,
                  strerror(errno));
}

static void tell(const struct relay *relay, const struct template_message *what)
{
    if (send(relay->host->channel_fd, what, sizeof(*what), MSG_NOSIGNAL) < 0)
        log_debug("The master does not hear: %s", strerror(errno));
}

static void pass_word(struct relay *relay, struct node *node)
{
    struct template_message word;
    ssize_t n = recv(node->fd, &word, sizeof(word), 0);

    if (n < 0 && errno == EINTR)
        return;
    if (n != sizeof(word)) {
        /* It is ending: SIGCHLD says how. */
        close(node->fd);
        node->fd = -1;
        return;
    }
    if (word.op != TEMPLATE_READY || ++relay->ready == relay->count)
        tell(relay, &word);
}

static void signal_all(const struct relay *relay, int number)
{
    for (uint32_t i = 0; i < relay->count; i++)
        if (relay->nodes[i].pid > 0)
            kill(relay->nodes[i].pid, number);
}

static void block(int how, sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGCHLD);
    sigaddset(ret_set, SIGUSR1);
    sigprocmask(how, ret_set, NULL);
}

/* Our own log file is opened anew by the handler that is installed. */
static void pass_signal(struct relay *relay)
{
    struct signalfd_siginfo info;
    sigset_t set;

    if (read(relay->signal_fd, &info, sizeof(info)) != sizeof(info) ||
        info.ssi_signo != SIGUSR1)
        return;
    signal_all(relay, SIGUSR1);
    block(SIG_UNBLOCK, &set);
    raise(SIGUSR1);
    block(SIG_BLOCK, &set);
}

/* Whether one failed; its status. Only ours: the application may have some. */
static bool reap(struct relay *relay, int *ret_status)
{
    bool failed = false;
    int status;

    for (uint32_t i = 0; i < relay->count; i++) {
        struct node *node = &relay->nodes[i];

        if (node->pid <= 0 || waitpid(node->pid, &status, WNOHANG) <= 0)
            continue;
        node->pid = 0;
        if (!failed)
            *ret_status = status;
        failed = true;
    }
    return failed && !relay->leaving;
}

static bool any_lives(const struct relay *relay)
{
    for (uint32_t i = 0; i < relay->count; i++)
        if (relay->nodes[i].pid > 0)
            return true;
    return false;
}

static void wait_and_pass(struct relay *relay)
{
    struct pollfd fds[NODES_MAX + 2];

    fds[0] = (struct pollfd){.fd = relay->signal_fd, .events = POLLIN};
    fds[1] = (struct pollfd){
        .fd = relay->leaving ? -1 : relay->host->channel_fd, .events = POLLIN};
    for (uint32_t i = 0; i < relay->count; i++)
        fds[i + 2] = (struct pollfd){.fd = relay->nodes[i].fd,
                                     .events = POLLIN};
    if (poll(fds, relay->count + 2, -1) < 0)
        return;
    if (fds[0].revents)
        pass_signal(relay);
    for (uint32_t i = 0; i < relay->count; i++)
        if (fds[i + 2].revents)
            pass_word(relay, &relay->nodes[i]);
    if (fds[1].revents)
        pass_order(relay);
}

/* Ends as it did: the master looks at that, not at words. */
static int end_like(struct relay *relay, int status)
{
    if (WIFEXITED(status)) {
        signal_all(relay, SIGKILL);
        return WEXITSTATUS(status);
    }
    log_error("A template of one memory node was ended by signal %d",
              WTERMSIG(status));
    signal_all(relay, SIGKILL);
    kill(getpid(), SIGKILL);
    return 1;
}

static int run(struct relay *relay)
{
    sigset_t set;
    int status = 0;

    block(SIG_BLOCK, &set);
    relay->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (relay->signal_fd < 0)
        return EXIT_FORK;
    /* What has ended before the signal was blocked is seen at once. */
    while (!reap(relay, &status)) {
        if (!any_lives(relay))
            return 0;
        wait_and_pass(relay);
    }
    return end_like(relay, status);
}

bool nodes_split(struct host *host, int *ret_code)
{
    struct relay relay = {.host = host};
    int started = 0;

    *ret_code = 0;
    if (!host_flag(host, "preload_app"))
        return false;
    nodes_find(&relay);
    if (relay.count < 2)
        return false;
    for (uint32_t i = 0; i < relay.count && started == 0; i++)
        started = start(&relay, &relay.nodes[i]);
    if (started > 0)
        return false;
    if (started < 0) {
        log_error("The templates of the memory nodes cannot be forked: %s",
                  strerror(-started));
        signal_all(&relay, SIGKILL);
        *ret_code = EXIT_FORK;
        return true;
    }
    title_set(&host->title, "gcorn: template relay [%s]", host->name);
    *ret_code = run(&relay);
    return true;
}
