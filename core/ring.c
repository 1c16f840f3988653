/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include "ring_backend.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The sysctl that forbids io_uring (Linux 6.6), or -1 where there is none. */
static int sysctl_disabled(void)
{
    char digit = 0;
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -1;
    n = read(fd, &digit, 1);
    close(fd);
    return n == 1 && digit >= '0' && digit <= '9' ? digit - '0' : -1;
}

static uint64_t memlock_kib(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return 0;
    return (uint64_t)limit.rlim_cur / 1024;
}

static void explain_forbidden(char text[RING_WHY_BYTES])
{
    int disabled = sysctl_disabled();

    if (disabled > 0)
        snprintf(text, RING_WHY_BYTES,
                 "io_uring is forbidden: kernel.io_uring_disabled is %d",
                 disabled);
    else
        snprintf(text, RING_WHY_BYTES,
                 "io_uring is forbidden, most likely by the container's "
                 "seccomp profile");
}

void ring_explain(int error, char text[RING_WHY_BYTES])
{
    switch (-error) {
    case EPERM:
    case EACCES:
        explain_forbidden(text);
        break;
    case ENOSYS:
        snprintf(text, RING_WHY_BYTES,
                 "io_uring is not there: the kernel has none, or a seccomp "
                 "profile hides it");
        break;
    case EINVAL:
        snprintf(text, RING_WHY_BYTES,
                 "this kernel's io_uring is too old: Linux 6.1 is needed");
        break;
    case ENOMEM:
        snprintf(text, RING_WHY_BYTES,
                 "RLIMIT_MEMLOCK (%llu KiB) is too small for io_uring",
                 (unsigned long long)memlock_kib());
        break;
    case ENOTSUP:
        snprintf(text, RING_WHY_BYTES,
                 "io_uring behaves otherwise than expected on this kernel");
        break;
    default:
        snprintf(text, RING_WHY_BYTES, "io_uring: %s", strerror(-error));
    }
}

static int open_checked(struct ring **ret_ring,
                        const struct ring_config *config)
{
    struct ring *ring;
    int rc = ring_uring_open(&ring, config);

    if (rc != 0)
        return rc;
    rc = ring_check(ring);
    if (rc != 0)
        ring_free(ring);
    else
        *ret_ring = ring;
    return rc;
}

static uint32_t or_default(uint32_t value, uint32_t standard)
{
    return value != 0 ? value : standard;
}

static bool is_power_of_two(uint32_t n)
{
    return (n & (n - 1)) == 0;
}

int ring_open(struct ring **ret_ring, const struct ring_config *config)
{
    struct ring_config full = {
        .backend = config->backend,
        .submit_entries = or_default(config->submit_entries, 256),
        .completion_entries = or_default(config->completion_entries, 2048),
        .buffers = or_default(config->buffers, 256),
        .buffer_bytes = or_default(config->buffer_bytes, 8192),
    };
    int why = 0;
    int rc;

    if (!is_power_of_two(full.buffers) || full.buffers > 32768)
        return -EINVAL;
    if (full.backend != RING_EPOLL) {
        why = open_checked(ret_ring, &full);
        if (why == 0 || full.backend == RING_URING)
            return why;
    }
    rc = ring_epoll_open(ret_ring, &full);
    if (rc == 0 && why != 0)
        ring_explain(why, (*ret_ring)->why);
    return rc;
}

void ring_free(struct ring *ring)
{
    ring->ops->free(ring);
}

const char *ring_name(const struct ring *ring)
{
    return ring->ops->name;
}

const char *ring_why(const struct ring *ring)
{
    return ring->why;
}

void ring_accept(struct ring *ring, int listen_fd, uint64_t token)
{
    ring->ops->accept(ring, listen_fd, token);
}

void ring_recv(struct ring *ring, int fd, uint64_t token)
{
    ring->ops->recv(ring, fd, token);
}

void ring_recv_into(struct ring *ring, int fd, void *to, size_t len,
                    uint64_t token)
{
    ring->ops->recv_into(ring, fd, to, len, token);
}

void ring_send(struct ring *ring, int fd, const struct iovec *iov,
               uint32_t count, uint64_t token)
{
    ring->ops->send(ring, fd, iov, count, token);
}

void ring_read(struct ring *ring, int fd, void *to, size_t len, uint64_t offset,
               uint64_t token)
{
    ring->ops->read(ring, fd, &(struct iovec){to, len}, offset, token);
}

void ring_write(struct ring *ring, int fd, const void *from, size_t len,
                uint64_t offset, uint64_t token)
{
    struct iovec iov = {(void *)(uintptr_t)from, len};

    ring->ops->write(ring, fd, &iov, offset, token);
}

void ring_poll(struct ring *ring, int fd, uint64_t token)
{
    ring->ops->poll(ring, fd, token);
}

void ring_notify(struct ring *ring, int event_fd)
{
    ring->ops->notify(ring, event_fd);
}

void ring_cancel(struct ring *ring, uint64_t token)
{
    ring->ops->cancel(ring, token);
}

void ring_shutdown(struct ring *ring, int fd, int how)
{
    ring->ops->shutdown(ring, fd, how);
}

void ring_close(struct ring *ring, int fd)
{
    ring->ops->close(ring, fd);
}

void ring_buffer_put(struct ring *ring, int32_t buffer)
{
    ring->ops->buffer_put(ring, buffer);
}

uint32_t ring_buffers_free(const struct ring *ring)
{
    return ring->ops->buffers_free(ring);
}

int ring_wait(struct ring *ring, struct ring_event *events, uint32_t max,
              uint64_t timeout_ns)
{
    return ring->ops->wait(ring, events, max, timeout_ns);
}

void ring_submit(struct ring *ring)
{
    ring->ops->submit(ring);
}

bool ring_has_events(const struct ring *ring)
{
    return ring->ops->has_events(ring);
}
