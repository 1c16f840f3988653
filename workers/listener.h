/* SPDX-License-Identifier: MIT */
/*
 * listener - the listening sockets of one bind address, held by the master.
 *
 * TCP: one SO_REUSEPORT socket for each worker slot, so that the kernel
 * spreads connections and a worker that is started again finds its queue
 * intact. Slots are opened in order and retired from the end, so a socket's
 * place in the kernel's group is its slot. Unix sockets and inherited
 * descriptors are shared by all workers.
 */
#ifndef GCORN_WORKERS_LISTENER_H
#define GCORN_WORKERS_LISTENER_H

#include "workers/address.h"
#include "core/owner.h"

#include <sys/socket.h>

struct board_listener;

struct listener {
    struct address address;
    struct sockaddr_storage bound;
    socklen_t bound_len;
    bool shared;
    bool unlinks;     /* the path is ours to remove */
    bool trial;       /* of a reload that has not proved itself */
    bool leaving;     /* not bound any more: workers finish what is queued */
    uint32_t adopted; /* slots whose sockets another master opened */
    uint32_t slots;   /* entries of fds; 0: a free place */
    int *fds;         /* one for each worker slot; shared: only the first */
};

struct listener_options {
    uint32_t slots;
    int backlog;
    mode_t umask;
    struct owner owner; /* of Unix sockets */
    int *inherited;     /* from the master before; what is taken becomes -1 */
    uint32_t inherited_count;
    bool trial;
    bool beside; /* another socket of ours may have the port */
};

/*
 * Opens the address for slot 0, or takes the sockets of that address, for as
 * many slots as there are, from those that were inherited. Returns 0, or -EINVAL with a message such as
 * that the port is in use. To be closed in both cases.
 */
int listener_open(struct listener *listener, const struct address *address,
                  const struct listener_options *options,
                  struct config_error *error);

/* Another slot's socket, the next in order. 0 or -errno. */
int listener_open_slot(struct listener *listener, uint32_t slot, int backlog);

/* The descriptor that the slot's worker accepts from, or -1. */
int listener_fd(const struct listener *listener, uint32_t slot);

/* New connections go to slots below count only. 0 or -errno. */
int listener_confine(struct listener *listener, uint32_t count);

/* All slots that are open get connections again. */
void listener_unconfine(struct listener *listener);

/*
 * Lets nobody begin a connection any more, while those that have begun still
 * reach the queue: what is accepted until then is all there is, and closing
 * resets nobody.
 */
void listener_refuse(const struct listener *listener);

/* The same address is wanted again: takes that back. */
void listener_admit(const struct listener *listener);

/* For all its sockets. */
void listener_backlog(const struct listener *listener, int backlog);

/* Is it open, and here to stay? */
bool listener_counts(const struct listener *listener);

/* Whether a Unix socket's file goes with us, or stays for another master. */
void listener_own(struct listener *listener, bool ours);

void listener_close_slot(struct listener *listener, uint32_t slot);

/* In a child: all but the slot's own; all, when it does not count. */
void listener_close_others(struct listener *listener, uint32_t slot);

/* All; removes a Unix socket's file. */
void listener_close(struct listener *listener);

/* "http://127.0.0.1:8000", "unix:/run/app.sock". */
void listener_url(const struct listener *listener, char *out, size_t size);

/* As interpreters see it. */
void listener_describe(const struct listener *listener,
                       struct board_listener *ret_listener);
#endif
