/* SPDX-License-Identifier: MIT */
#include "census.h"

#include "process_memory.h"

#include <stdlib.h>

#define FRESH_NS (10 * NS_PER_S)
#define BUDGET_NS (3 * NS_PER_MS)

int census_init(struct census *census, uint32_t places)
{
    census->entries = calloc(places, sizeof(*census->entries));
    census->count = census->entries != NULL ? places : 0;
    census->until_ns = 0;
    return census->entries != NULL ? 0 : -ENOMEM;
}

void census_done(struct census *census)
{
    free(census->entries);
    *census = (struct census){.entries = NULL};
}

void census_begin(struct census *census, uint64_t now)
{
    census->until_ns = now + BUDGET_NS;
}

uint64_t census_pss(struct census *census, uint32_t place, pid_t pid)
{
    struct census_entry *entry = &census->entries[place];
    struct process_memory memory;
    uint64_t now = now_ns();

    must(place < census->count);
    if (entry->pid != pid)
        *entry = (struct census_entry){.pid = pid};
    if (pid <= 0 || now >= census->until_ns ||
        (entry->taken_ns != 0 && now - entry->taken_ns < FRESH_NS))
        return entry->pss_bytes;
    entry->taken_ns = now;
    if (process_memory_read(pid, &memory) == 0)
        entry->pss_bytes = memory.pss;
    return entry->pss_bytes;
}
