/* SPDX-License-Identifier: MIT */
#include "topology/size.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* 0 for "", 10 for "K", "KB" and "KiB", and so on; -1 for all else. */
static int shift_of(const char *unit)
{
    static const char units[] = "KMGT";
    const char *found;

    if (*unit == '\0')
        return 0;
    /* A blank would become the end of the list. */
    found = *unit == ' ' ? NULL : strchr(units, *unit & ~0x20);
    if (!found || (unit[1] != '\0' && strcasecmp(unit + 1, "b") != 0 &&
                   strcasecmp(unit + 1, "ib") != 0))
        return -1;
    return 10 * (int)(found - units + 1);
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
    unsigned long long number;
    char *end;
    int shift;

    /* No sign, no blanks: strtoull() would take them. */
    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    number = strtoull(text, &end, 10);
    shift = shift_of(end);
    if (shift < 0)
        return -EINVAL;
    if (errno || number > UINT64_MAX >> shift)
        return -ERANGE;
    *ret_bytes = (uint64_t)number << shift;
    return 0;
}
