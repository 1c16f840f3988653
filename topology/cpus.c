/* SPDX-License-Identifier: MIT */
#include "topology/cpus.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t cpus_count(const struct cpus *set)
{
    uint32_t count = 0;

    for (size_t i = 0; i < CPUS_WORDS; i++)
        count += (uint32_t)__builtin_popcountll(set->word[i]);
    return count;
}

bool cpus_is_empty(const struct cpus *set)
{
    return cpus_next(set, 0) < 0;
}

bool cpus_equal(const struct cpus *a, const struct cpus *b)
{
    return memcmp(a->word, b->word, sizeof(a->word)) == 0;
}

bool cpus_intersect(const struct cpus *a, const struct cpus *b)
{
    for (size_t i = 0; i < CPUS_WORDS; i++)
        if (a->word[i] & b->word[i])
            return true;
    return false;
}

bool cpus_contain(const struct cpus *whole, const struct cpus *part)
{
    for (size_t i = 0; i < CPUS_WORDS; i++)
        if (part->word[i] & ~whole->word[i])
            return false;
    return true;
}

int cpus_next(const struct cpus *set, uint32_t from)
{
    for (uint32_t i = from / 64; i < CPUS_WORDS; i++) {
        uint64_t word = set->word[i];

        if (i == from / 64)
            word &= ~UINT64_C(0) << (from % 64);
        if (word)
            return (int)(i * 64) + __builtin_ctzll(word);
    }
    return -1;
}

int cpus_last(const struct cpus *set)
{
    for (int i = CPUS_WORDS - 1; i >= 0; i--)
        if (set->word[i])
            return i * 64 + 63 - __builtin_clzll(set->word[i]);
    return -1;
}

void cpus_and(struct cpus *set, const struct cpus *other)
{
    for (size_t i = 0; i < CPUS_WORDS; i++)
        set->word[i] &= other->word[i];
}

void cpus_or(struct cpus *set, const struct cpus *other)
{
    for (size_t i = 0; i < CPUS_WORDS; i++)
        set->word[i] |= other->word[i];
}

void cpus_remove(struct cpus *set, const struct cpus *other)
{
    for (size_t i = 0; i < CPUS_WORDS; i++)
        set->word[i] &= ~other->word[i];
}

static const char *skip_blanks(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

/* Returns where the number ends, or NULL. */
/* strtoul() would take signs and blanks. */
static const char *parse_number(const char *p, unsigned long *ret_number)
{
    char *end;

    if (!isdigit((unsigned char)*p))
        return NULL;
    *ret_number = strtoul(p, &end, 10);
    return end;
}

/* Returns where the range ends, or NULL. */
static const char *parse_range(const char *p, unsigned long *ret_first,
                               unsigned long *ret_last)
{
    p = parse_number(p, ret_first);
    if (!p)
        return NULL;
    *ret_last = *ret_first;
    if (*p == '-')
        p = parse_number(p + 1, ret_last);
    return p && *ret_last >= *ret_first ? p : NULL;
}

int cpus_parse(const char *text, struct cpus *ret_set)
{
    struct cpus set = {0};
    const char *p = skip_blanks(text);
    unsigned long first, last;

    while (*p) {
        p = parse_range(p, &first, &last);
        if (!p)
            return -EINVAL;
        if (last >= CPUS_MAX)
            return -ERANGE;
        for (; first <= last; first++)
            cpus_add(&set, (uint32_t)first);
        p = skip_blanks(p);
        if (*p && *p++ != ',')
            return -EINVAL;
    }
    *ret_set = set;
    return 0;
}

/* The last CPU of the run that begins at @first. */
static int run_end(const struct cpus *set, int first)
{
    while (cpus_has(set, (uint32_t)first + 1))
        first++;
    return first;
}

size_t cpus_format(const struct cpus *set, char *text, size_t size)
{
    size_t used = 0;
    int first = cpus_next(set, 0);

    if (size == 0)
        return 0;
    text[0] = '\0';
    while (first >= 0) {
        char range[24];
        int last = run_end(set, first);
        int n = last > first
                    ? snprintf(range, sizeof(range), "%d-%d", first, last)
                    : snprintf(range, sizeof(range), "%d", first);
        /* Five more bytes: a comma before, room for ",..." behind. */
        if (used + (size_t)n + 6 > size) {
            used += (size_t)snprintf(text + used, size - used, "...");
            return used < size ? used : size - 1;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s",
                                 used ? "," : "", range);
        first = cpus_next(set, (uint32_t)last + 1);
    }
    return used;
}
