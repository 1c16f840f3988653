/* SPDX-License-Identifier: MIT */
#include "conn_local.h"

#include "conn_health.h"
#include "conn_static.h"

/* Asked in this order; the bit in config->local switches one on. */
static const struct {
    uint32_t bit;
    conn_local_fn *answer;
} kinds[] = {
    {CONN_LOCAL_HEALTH, conn_health},
    {CONN_LOCAL_STATIC, conn_static},
};

bool conn_local(struct conn_set *set, struct conn *c, const char *head)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (set->config->local & kinds[i].bit && kinds[i].answer(set, c, head))
            return true;
    return false;
}
