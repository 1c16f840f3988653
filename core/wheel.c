/* SPDX-License-Identifier: MIT */
#include "wheel.h"

static uint32_t slot_of(uint64_t tick)
{
    return (uint32_t)(tick % WHEEL_SLOTS);
}

/* Rounded up, so that the tick is over when the deadline is. */
static uint64_t tick_of(uint64_t deadline_ms)
{
    return deadline_ms / WHEEL_TICK_MS + (deadline_ms % WHEEL_TICK_MS != 0);
}

static void push(struct wheel_node **head, struct wheel_node *node)
{
    node->next = *head;
    node->link = head;
    if (node->next != NULL)
        node->next->link = &node->next;
    *head = node;
}

static void unlink_node(struct wheel_node *node)
{
    *node->link = node->next;
    if (node->next != NULL)
        node->next->link = node->link;
    node->next = NULL;
    node->link = NULL;
}

static void hang(struct wheel *wheel, struct wheel_node *node)
{
    uint32_t slot;

    node->tick = max_u64(tick_of(node->deadline_ms), wheel->tick + 1);
    slot = slot_of(node->tick);
    push(&wheel->slots[slot], node);
    wheel->occupied[slot / 64] |= 1ULL << slot % 64;
}

/* The slot may be another one's already when the node was due; no harm. */
static void take_down(struct wheel *wheel, struct wheel_node *node)
{
    uint32_t slot = slot_of(node->tick);

    unlink_node(node);
    if (wheel->slots[slot] == NULL)
        wheel->occupied[slot / 64] &= ~(1ULL << slot % 64);
}

/* Moves the content of a slot to the due list. */
static void pass_slot(struct wheel *wheel, uint32_t slot)
{
    struct wheel_node *node;

    while ((node = wheel->slots[slot]) != NULL) {
        unlink_node(node);
        push(&wheel->due, node);
    }
    wheel->occupied[slot / 64] &= ~(1ULL << slot % 64);
}

/* After a long sleep every slot is passed once, however long it was. */
static void advance(struct wheel *wheel, uint64_t now_ms)
{
    uint64_t now = now_ms / WHEEL_TICK_MS;
    uint64_t last;

    if (now <= wheel->tick)
        return;
    last = min_u64(now, wheel->tick + WHEEL_SLOTS);
    for (uint64_t tick = wheel->tick + 1; tick <= last; tick++)
        pass_slot(wheel, slot_of(tick));
    wheel->tick = now;
}

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    *wheel = (struct wheel){.tick = now_ms / WHEEL_TICK_MS};
}

void wheel_add(struct wheel *wheel, struct wheel_node *node,
               uint64_t deadline_ms)
{
    node->deadline_ms = deadline_ms;
    if (node->link == NULL) {
        wheel->count++;
        hang(wheel, node);
    } else if (tick_of(deadline_ms) < node->tick) {
        take_down(wheel, node);
        hang(wheel, node);
    }
}

void wheel_remove(struct wheel *wheel, struct wheel_node *node)
{
    if (node->link == NULL)
        return;
    take_down(wheel, node);
    wheel->count--;
}

struct wheel_node *wheel_expire(struct wheel *wheel, uint64_t now_ms)
{
    struct wheel_node *node;

    advance(wheel, now_ms);
    while ((node = wheel->due) != NULL) {
        take_down(wheel, node);
        if (node->deadline_ms <= now_ms) {
            wheel->count--;
            return node;
        }
        hang(wheel, node);
    }
    return NULL;
}

/* Distance from a slot to the next occupied one, at most WHEEL_SLOTS. */
static uint32_t distance(const struct wheel *wheel, uint32_t from)
{
    uint32_t word = from / 64;
    uint64_t bits = wheel->occupied[word] & (~0ULL << from % 64);

    for (uint32_t i = 0; i <= ARRAY_SIZE(wheel->occupied); i++) {
        uint32_t slot = word * 64;

        if (bits != 0) {
            slot += (uint32_t)__builtin_ctzll(bits);
            return (slot - from) % WHEEL_SLOTS;
        }
        word = (word + 1) % ARRAY_SIZE(wheel->occupied);
        bits = wheel->occupied[word];
    }
    return WHEEL_SLOTS;
}

uint64_t wheel_next_ms(const struct wheel *wheel)
{
    uint64_t next = wheel->tick + 1;

    if (wheel->count == 0)
        return UINT64_MAX;
    if (wheel->due != NULL)
        return wheel->tick * WHEEL_TICK_MS;
    return (next + distance(wheel, slot_of(next))) * WHEEL_TICK_MS;
}
