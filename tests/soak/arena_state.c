/* SPDX-License-Identifier: MIT */
/*
 * arena_state PATH...: what is in use in these arenas (/proc/PID/fd/N of a
 * worker): exchanges and chunks, one line each. Looks and touches nothing.
 */
#include "core/exchange.h"
#include "core/exchange_word.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint32_t slots_used(const struct arena *arena)
{
    uint32_t seen = atomic_load(&arena->header->slots_used);
    uint32_t used = 0;

    for (uint32_t slot = 0; slot < arena->slots && slot < seen; slot++)
        used += exchange_word_state(atomic_load(
                    &exchange_at(arena, slot)->word)) != EXCHANGE_FREE;
    return used;
}

static int show(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int error = fd < 0 ? -errno : 0;
    struct arena arena;

    if (!error)
        error = arena_map(&arena, fd, 0);
    if (error) {
        fprintf(stderr, "arena_state: %s: %s\n", path, strerror(-error));
        return 1;
    }
    printf("exchanges %u chunks %u\n", slots_used(&arena),
           arena_chunks_used(&arena));
    munmap(arena.base, arena_bytes(arena.slots, arena.chunks));
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;

    for (int i = 1; i < argc; i++)
        failed |= show(argv[i]);
    return failed;
}
