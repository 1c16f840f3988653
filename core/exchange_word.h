/* SPDX-License-Identifier: MIT */
/*
 * exchange_word - the state word: who has an exchange, and what it is for.
 *
 *   FREE -> READING      worker: a slot for a request being received
 *   READING -> READY     worker: head (and body, see exchange.h) is there
 *   READY -> RUNNING     compare-and-swap by interpreter k (word names it)
 *   RUNNING -> RESPONDING  interpreter: first part of the response published
 *   RUNNING|RESPONDING -> DONE  interpreter: last part published, let go
 *   RUNNING|RESPONDING -> READY or DONE  worker, only when interpreter k died
 *   DONE -> FREE         worker: sent, or nobody to send to
 *
 * The word is state:8 | interpreter:16 | sequence:40; the sequence grows with
 * each use of the slot. Only whoever won READY -> RUNNING clears the slot's
 * bit in the ready bitmap.
 */
#ifndef GCORN_CORE_EXCHANGE_WORD_H
#define GCORN_CORE_EXCHANGE_WORD_H

#include "base.h"

enum exchange_state {
    EXCHANGE_FREE,
    EXCHANGE_READING,
    EXCHANGE_READY,
    EXCHANGE_RUNNING,
    EXCHANGE_RESPONDING,
    EXCHANGE_DONE,
};

static inline enum exchange_state exchange_word_state(uint64_t word)
{
    return (enum exchange_state)(word & 0xff);
}

static inline uint32_t exchange_word_interp(uint64_t word)
{
    return (uint32_t)(word >> 8) & 0xffff;
}

static inline uint64_t exchange_word_sequence(uint64_t word)
{
    return word >> 24;
}
#endif
