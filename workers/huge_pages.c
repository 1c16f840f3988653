/* SPDX-License-Identifier: MIT */
#include "huge_pages.h"

#include "topology/sysfile.h"

#include <string.h>
#include <sys/prctl.h>

bool huge_pages_always(void)
{
    char text[64];

    return sysfile_text("", "/sys/kernel/mm/transparent_hugepage/enabled", text,
                        sizeof(text)) &&
           strstr(text, "[always]") != NULL;
}

void huge_pages_avoid(void)
{
    if (huge_pages_always())
        prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}
