/* SPDX-License-Identifier: MIT */
#include "ring_uring.h"

#include <stdlib.h>
#include <sys/mman.h>

/* Newer than liburing 2.3; the values are the kernel's ABI. */
#define ENTER_NO_IOWAIT (1U << 7)
#define FEATURE_NO_IOWAIT (1U << 17)

/*
 * DEFER_TASKRUN (Linux 6.1) halves the CPU time of a request and never
 * interrupts other calls; without it epoll is better. NO_SQARRAY and others
 * that liburing 2.3 does not know corrupt its ring: never add them here.
 * Rings count against RLIMIT_MEMLOCK (again since about 6.14), for all
 * processes of the user together, so a smaller one may still be had.
 */
static int set_up(struct uring *uring, const struct ring_config *config)
{
    uint32_t sq = config->submit_entries;
    uint32_t cq = config->completion_entries;
    struct io_uring_params params;
    int rc;

    for (;;) {
        params = (struct io_uring_params){
            .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
                     IORING_SETUP_CQSIZE | IORING_SETUP_TASKRUN_FLAG |
                     IORING_SETUP_R_DISABLED,
            .cq_entries = cq,
        };
        rc = io_uring_queue_init_params(sq, &uring->io, &params);
        if (rc != -ENOMEM || cq <= 256)
            break;
        cq /= 2;
        sq = sq > 64 ? sq / 2 : sq;
    }
    uring->sq_entries = params.sq_entries;
    uring->cq_entries = params.cq_entries;
    return rc;
}

static int check_features(struct uring *uring)
{
    uint32_t needed = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
                      IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;

    uring->wait_flags = IORING_ENTER_GETEVENTS;
    /* Else an idle worker's core shows 100 % iowait (Linux 6.1.39 - 6.14). */
    if (uring->io.features & FEATURE_NO_IOWAIT)
        uring->wait_flags |= ENTER_NO_IOWAIT;
    return (uring->io.features & needed) == needed ? 0 : -EINVAL;
}

/* The list of offered buffers and the buffers, in one mapping of our own. */
static int map_buffers(struct uring *uring, const struct ring_config *config)
{
    size_t list = config->buffers * sizeof(struct io_uring_buf);
    size_t total;

    list = (list + 4095) / 4096 * 4096;
    total = list + (size_t)config->buffers * config->buffer_bytes;
    uring->offered = mmap(NULL, total, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (uring->offered == MAP_FAILED) {
        uring->offered = NULL;
        return -ENOMEM;
    }
    /* A forked child that maps it would keep the connections open. */
    madvise(uring->offered, total, MADV_DONTFORK);
    uring->buffers = (char *)uring->offered + list;
    uring->mapped_bytes = total;
    uring->buffer_count = config->buffers;
    uring->buffer_bytes = config->buffer_bytes;
    return 0;
}

/* io_uring_setup_buf_ring() came with liburing 2.4. */
static int offer_buffers(struct uring *uring)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)uring->offered,
        .ring_entries = uring->buffer_count,
        .bgid = RING_URING_GROUP,
    };
    int rc = io_uring_register_buf_ring(&uring->io, &reg, 0);

    if (rc != 0)
        return rc;
    io_uring_buf_ring_init(uring->offered);
    for (uint32_t i = 0; i < uring->buffer_count; i++)
        ring_buffer_put(&uring->ring, (int32_t)i);
    return 0;
}

static const uint8_t allowed_ops[] = {
    IORING_OP_RECV,     IORING_OP_SEND,         IORING_OP_SENDMSG,
    IORING_OP_READ,     IORING_OP_WRITE,        IORING_OP_CLOSE,
    IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
};

static const uint8_t allowed_registers[] = {
    IORING_REGISTER_ENABLE_RINGS,
    IORING_REGISTER_RING_FDS,
    IORING_REGISTER_IOWQ_MAX_WORKERS,
};

/*
 * Least privilege: a ring taken over by an attacker opens no files. Where the
 * kernel refuses, the ring is as good as without. Raw, since liburing 2.3
 * declares the function and does not export it.
 */
static void restrict_ring(struct uring *uring)
{
    struct io_uring_restriction
        list[ARRAY_SIZE(allowed_ops) + ARRAY_SIZE(allowed_registers) + 1] = {
            {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
             .sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS}};
    uint32_t n = 1;

    for (size_t i = 0; i < ARRAY_SIZE(allowed_ops); i++, n++) {
        list[n].opcode = IORING_RESTRICTION_SQE_OP;
        list[n].sqe_op = allowed_ops[i];
    }
    for (size_t i = 0; i < ARRAY_SIZE(allowed_registers); i++, n++) {
        list[n].opcode = IORING_RESTRICTION_REGISTER_OP;
        list[n].register_op = allowed_registers[i];
    }
    io_uring_register((unsigned)uring->io.ring_fd, IORING_REGISTER_RESTRICTIONS,
                      list, n);
}

/* Makes the calling thread the ring's only issuer. */
static int enable(struct uring *uring)
{
    uint32_t helpers[2] = {2, 2}; /* threads for reads from cold files */
    int rc = io_uring_register((unsigned)uring->io.ring_fd,
                               IORING_REGISTER_ENABLE_RINGS, NULL, 0);

    if (rc != 0)
        return rc;
    io_uring_register_iowq_max_workers(&uring->io, helpers); /* may fail */
    if (io_uring_register_ring_fd(&uring->io) == 1)
        uring->enter_flags = IORING_ENTER_REGISTERED_RING;
    io_uring_ring_dontfork(&uring->io);
    return 0;
}

/*
 * Entries are submitted in the order they lie in. Newer versions of liburing
 * (2.9 does) set NO_SQARRAY unasked where the kernel has it (6.6): then there
 * is no array, and the kernel takes entries in that order anyway.
 */
static void index_entries(struct uring *uring)
{
    for (uint32_t i = 0; uring->io.sq.array && i < uring->sq_entries; i++)
        uring->io.sq.array[i] = i;
}

static int prepare(struct uring *uring, const struct ring_config *config)
{
    int rc = check_features(uring);

    if (rc != 0)
        return rc;
    uring->messages = calloc(uring->sq_entries + 1, sizeof(struct msghdr));
    if (uring->messages == NULL)
        return -ENOMEM;
    index_entries(uring);
    rc = map_buffers(uring, config);
    if (rc != 0)
        return rc;
    rc = offer_buffers(uring);
    if (rc != 0)
        return rc;
    restrict_ring(uring);
    return enable(uring);
}

int ring_uring_open(struct ring **ret_ring, const struct ring_config *config)
{
    struct uring *uring = calloc(1, sizeof(*uring));
    int rc;

    if (uring == NULL)
        return -ENOMEM;
    uring->ring.ops = &ring_uring_ops;
    rc = set_up(uring, config);
    if (rc != 0) {
        free(uring);
        return rc;
    }
    rc = prepare(uring, config);
    if (rc != 0)
        ring_free(&uring->ring);
    else
        *ret_ring = &uring->ring;
    return rc;
}
