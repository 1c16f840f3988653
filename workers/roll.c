/* SPDX-License-Identifier: MIT */
#include "roll.h"

#include "core/board.h"
#include "core/board_worker.h"
#include "core/conn_set.h"

#include <sys/mman.h>

static size_t pages_bytes(uint32_t slots)
{
    return slots * sizeof(struct roll_page);
}

int roll_init(struct roll *roll, uint32_t worker_slots)
{
    void *at = mmap(NULL, pages_bytes(worker_slots), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        return -ENOMEM;
    *roll = (struct roll){at, worker_slots};
    return 0;
}

void roll_done(struct roll *roll)
{
    if (roll->pages != NULL)
        munmap(roll->pages, pages_bytes(roll->slots));
    *roll = (struct roll){.pages = NULL};
}

static bool is_there(const struct board *board, uint32_t slot)
{
    return atomic_load(&board_worker(board, slot)->state) ==
           BOARD_WORKER_SERVING;
}

void roll_ask(struct roll *roll, struct board *board)
{
    for (uint32_t i = 0; i < roll->slots; i++) {
        if (!is_there(board, i))
            continue;
        atomic_fetch_add(&roll->pages[i].asked, 1);
        board_wake_worker(board_worker(board, i));
    }
}

bool roll_is_complete(const struct roll *roll, const struct board *board)
{
    for (uint32_t i = 0; i < roll->slots; i++)
        if (is_there(board, i) && roll_is_asked(roll, i))
            return false;
    return true;
}

const struct conn_line *roll_lines(const struct roll *roll, uint32_t slot,
                                   uint32_t *ret_count)
{
    const struct roll_page *page = &roll->pages[slot];
    uint32_t answered = atomic_load_explicit(&page->answered,
                                             memory_order_acquire);

    if (answered == 0 || answered != atomic_load(&page->asked))
        return NULL;
    *ret_count = (uint32_t)min_u64(page->count, ROLL_LINES);
    return page->line;
}

void roll_answer(struct roll *roll, uint32_t slot, const struct conn_set *conns,
                 const struct board *board)
{
    struct roll_page *page = &roll->pages[slot];
    uint32_t asked = atomic_load(&page->asked);

    page->count = conn_list(conns, page->line, ROLL_LINES);
    atomic_store_explicit(&page->answered, asked, memory_order_release);
    board_wake_master(board);
}
