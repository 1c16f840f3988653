/* SPDX-License-Identifier: MIT */
#include "ws_offer.h"

#include "http.h"

#include <stdio.h>

static void skip_blanks(struct bytes *text)
{
    while (text->n > 0 && (*text->p == ' ' || *text->p == '\t')) {
        text->p++;
        text->n--;
    }
}

static bool take(struct bytes *text, char c)
{
    skip_blanks(text);
    if (text->n == 0 || *text->p != c)
        return false;
    text->p++;
    text->n--;
    skip_blanks(text);
    return true;
}

static struct bytes take_until(struct bytes *text, const char *ends)
{
    struct bytes word = {text->p, 0};

    /* strchr() finds the NUL, too. */
    while (text->n > 0 && (*text->p == '\0' || !strchr(ends, *text->p))) {
        word.n++;
        text->p++;
        text->n--;
    }
    return word;
}

/* Quoted strings have to be tokens inside (RFC 6455 9.1). */
static struct bytes take_word(struct bytes *text)
{
    struct bytes word;

    if (!take(text, '"'))
        return take_until(text, " \t;,=\"");
    word = take_until(text, "\"");
    if (!take(text, '"'))
        word.n = 0;
    return word;
}

struct parameter {
    struct bytes name;
    struct bytes value;
    bool has_value;
};

/* False: not what the grammar has. */
static bool take_parameter(struct bytes *text, struct parameter *ret)
{
    ret->name = take_until(text, " \t;,=\"");
    ret->has_value = take(text, '=');
    ret->value = ret->has_value ? take_word(text) : (struct bytes){"", 0};
    skip_blanks(text);
    return http_is_token(ret->name) &&
           (!ret->has_value || http_is_token(ret->value));
}

/* A window size, without leading zeroes; 0: it is none. */
static uint8_t bits_of(struct bytes value)
{
    if (value.n == 1 && (value.p[0] == '8' || value.p[0] == '9'))
        return (uint8_t)(value.p[0] - '0');
    if (value.n == 2 && value.p[0] == '1' && value.p[1] >= '0' &&
        value.p[1] <= '5')
        return (uint8_t)(10 + value.p[1] - '0');
    return 0;
}

static bool set_once(bool *flag, const struct parameter *parameter)
{
    bool first = !*flag;

    *flag = true;
    return first && !parameter->has_value;
}

static bool accept(struct ws_agreed *agreed, const struct parameter *p,
                   bool *server_seen)
{
    if (bytes_equal_nocase(p->name, BYTES("server_no_context_takeover")))
        return set_once(&agreed->server_forgets, p);
    if (bytes_equal_nocase(p->name, BYTES("client_no_context_takeover")))
        return set_once(&agreed->client_forgets, p);
    if (bytes_equal_nocase(p->name, BYTES("server_max_window_bits"))) {
        uint8_t bits = bits_of(p->value);

        if (*server_seen || bits < WS_BITS_MIN)
            return false;
        *server_seen = true;
        agreed->server_bits = (uint8_t)min_u64(bits, WS_BITS_OURS);
        return true;
    }
    if (bytes_equal_nocase(p->name, BYTES("client_max_window_bits"))) {
        uint8_t bits = p->has_value ? bits_of(p->value) : WS_BITS_MAX;

        if (agreed->client_limited || bits == 0)
            return false;
        agreed->client_limited = true;
        agreed->client_bits = (uint8_t)min_u64(bits, WS_BITS_OURS);
        return true;
    }
    return false;
}

/* One offer, to its end whatever it is. */
static bool choose_one(struct bytes *text, struct ws_agreed *ret)
{
    struct bytes name = take_until(text, " \t;,");
    bool good = bytes_equal_nocase(name, BYTES("permessage-deflate"));
    bool server_seen = false;

    *ret = (struct ws_agreed){.server_bits = WS_BITS_OURS,
                              .client_bits = WS_BITS_MAX};
    while (take(text, ';')) {
        struct parameter parameter;

        if (!take_parameter(text, &parameter) ||
            !accept(ret, &parameter, &server_seen))
            good = false;
    }
    if (text->n > 0 && *text->p != ',') {
        take_until(text, ",");
        good = false;
    }
    return good;
}

bool ws_offer_choose(struct bytes value, struct ws_agreed *ret_agreed)
{
    struct ws_agreed agreed;

    skip_blanks(&value);
    while (value.n > 0) {
        if (choose_one(&value, &agreed)) {
            agreed.deflate = true;
            *ret_agreed = agreed;
            return true;
        }
        while (take(&value, ','))
            continue;
    }
    return false;
}

size_t ws_offer_answer(const struct ws_agreed *agreed, char to[WS_ANSWER_MAX])
{
    int n = snprintf(
        to, WS_ANSWER_MAX, "permessage-deflate%s%s; server_max_window_bits=%u",
        agreed->server_forgets ? "; server_no_context_takeover" : "",
        agreed->client_forgets ? "; client_no_context_takeover" : "",
        agreed->server_bits);

    if (agreed->client_limited)
        n += snprintf(to + n, WS_ANSWER_MAX - (size_t)n,
                      "; client_max_window_bits=%u", agreed->client_bits);
    must(n > 0 && n < WS_ANSWER_MAX);
    return (size_t)n;
}
