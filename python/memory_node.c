/* SPDX-License-Identifier: MIT */
#include "memory_node.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/log.h"

#define NODES_MAX 1024
#define NODE_WORDS (NODES_MAX / 64)
/* In /proc/self/pagemap. */
#define PAGE_IS_PRESENT (1ULL << 63)
#define PAGE_IS_OF_FILE (1ULL << 61) /* or shared memory */
#define BATCH 512
/* What is larger is a sanitizer's map of the address space. */
#define AREA_MAX (1ULL << 36)

struct area {
    uintptr_t start, end;
    bool writable;
};

/* The kernel reads one bit less than it is told. */
static long set_policy(int32_t node, bool strict)
{
    uint64_t nodes[NODE_WORDS] = {0};

    if (node < 0)
        return syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
    nodes[node / 64] = 1ULL << node % 64;
    return syscall(SYS_set_mempolicy, strict ? MPOL_BIND : MPOL_PREFERRED,
                   nodes, NODES_MAX + 1);
}

void memory_node_set(int32_t node, bool strict)
{
    if (node >= NODES_MAX)
        return;
    if (set_policy(node, strict) < 0 && node >= 0)
        log_warning("The interpreter's memory cannot be put on node %d: %s",
                    (int)node, strerror(errno));
}

/*
 * Written to, a page that is shared with the parent is copied. It may be one
 * that a sanitizer has fenced off.
 */
__attribute__((no_sanitize("address"))) static void copy(volatile char *page)
{
    *page = *page;
}

/* Private memory that can be read, of a line of /proc/self/maps. */
static bool parse_area(const char *line, struct area *ret_area)
{
    char rights[5];

    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &ret_area->start,
               &ret_area->end, rights) != 3)
        return false;
    ret_area->writable = rights[1] == 'w';
    return rights[0] == 'r' && rights[2] == '-' && rights[3] == 'p' &&
           strstr(line, "[v") == NULL &&
           ret_area->end - ret_area->start <= AREA_MAX;
}

/* The pages from @start on that are ours and on another node. */
static size_t find_elsewhere(int pagemap, uintptr_t start, size_t count,
                             int32_t node, void *pages[BATCH])
{
    const uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);
    uint64_t entries[BATCH];
    int status[BATCH];
    size_t found = 0, kept = 0;
    ssize_t n = pread(pagemap, entries, count * sizeof(entries[0]),
                      (off_t)(start / size * sizeof(entries[0])));

    for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(entries[0]); i++)
        if ((entries[i] & PAGE_IS_PRESENT) && !(entries[i] & PAGE_IS_OF_FILE))
            pages[found++] = (void *)(start + i * size);
    /* Without nodes to go to it says where they are. */
    if (found == 0 ||
        syscall(SYS_move_pages, 0, found, pages, NULL, status, 0) < 0)
        return 0;
    for (size_t i = 0; i < found; i++)
        if (status[i] != node)
            pages[kept++] = pages[i];
    return kept;
}

/* What was made read-only after it was filled in is made so again. */
static void copy_pages(const struct area *area, void *const *pages, size_t n)
{
    const size_t size = (size_t)sysconf(_SC_PAGESIZE);

    for (size_t i = 0; i < n; i++) {
        if (!area->writable &&
            mprotect(pages[i], size, PROT_READ | PROT_WRITE) < 0)
            return;
        copy(pages[i]);
        if (!area->writable)
            mprotect(pages[i], size, PROT_READ);
    }
}

static void copy_area(const struct area *area, int pagemap, int32_t node)
{
    const uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);
    void *pages[BATCH];

    for (uintptr_t at = area->start; at < area->end; at += BATCH * size) {
        size_t left = (area->end - at) / size;
        size_t n = find_elsewhere(pagemap, at, left < BATCH ? left : BATCH,
                                  node, pages);

        copy_pages(area, pages, n);
    }
}

/* Whole, before any of it changes. */
static char *read_maps(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen("/proc/self/maps", "re");

    if (file && getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = NULL;
    }
    if (file)
        fclose(file);
    return text;
}

void memory_node_copy(int32_t node)
{
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    char *maps = read_maps(), *rest = maps, *line;
    struct area area;

    while (pagemap >= 0 && maps && (line = strsep(&rest, "\n")))
        if (parse_area(line, &area))
            copy_area(&area, pagemap, node);
    free(maps);
    if (pagemap >= 0)
        close(pagemap);
}
