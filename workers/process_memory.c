/* SPDX-License-Identifier: MIT */
#include "process_memory.h"

#include "core/base.h"
#include "topology/sysfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "\nPss:    123 kB": the bytes, or 0 without such a line. */
static uint64_t line_bytes(const char *text, const char *name)
{
    const char *line = strstr(text, name);

    return line == NULL ? 0 : strtoull(line + strlen(name), NULL, 10) * 1024;
}

int process_memory_read(pid_t pid, struct process_memory *ret_memory)
{
    char path[64], text[4096];
    uint64_t swap;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    if (!sysfile_text("", path, text, sizeof(text)))
        return errno > 0 ? -errno : -EIO;
    swap = line_bytes(text, "\nSwapPss:");
    *ret_memory = (struct process_memory){
        .pss = line_bytes(text, "\nPss:") + swap,
        .shmem = line_bytes(text, "\nPss_Shmem:"),
        .own = line_bytes(text, "\nPrivate_Clean:") +
               line_bytes(text, "\nPrivate_Dirty:") + swap,
        .dirty = line_bytes(text, "\nPrivate_Dirty:") + swap,
    };
    return 0;
}

int process_memory_resident(pid_t pid, uint64_t *ret_bytes)
{
    char path[64], text[128];
    char *pages;

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    if (!sysfile_text("", path, text, sizeof(text)))
        return -ESRCH;
    pages = strchr(text, ' ');
    if (pages == NULL)
        return -EIO;
    *ret_bytes = strtoull(pages, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
    return 0;
}
