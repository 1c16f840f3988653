/* SPDX-License-Identifier: MIT */
#include "static_ask.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct bytes trim(struct bytes text)
{
    while (text.n > 0 && is_blank(text.p[0]))
        text.p++, text.n--;
    while (text.n > 0 && is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

/* Cuts off what stands before the first `at`; the rest is behind it. */
static struct bytes cut(struct bytes *rest, char at)
{
    const char *end = memchr(rest->p, at, rest->n);
    struct bytes first = *rest;

    if (end)
        first.n = (size_t)(end - rest->p);
    rest->p += first.n + (end != NULL);
    rest->n -= first.n + (end != NULL);
    return trim(first);
}

/* The next field with this name from *at on; false when there is none. */
static bool next_field(const struct static_ask *ask, struct bytes name,
                       uint32_t *at, struct bytes *ret_value)
{
    while (*at < ask->request->field_count) {
        const struct http_field *field = &ask->fields[(*at)++];
        struct bytes its = {ask->head + field->name_off, field->name_len};

        if (field->flags == 0 && bytes_equal_nocase(its, name)) {
            *ret_value = (struct bytes){ask->head + field->value_off,
                                        field->value_len};
            return true;
        }
    }
    return false;
}

/* The field of which there may be one; more than that are as none. */
static bool only_field(const struct static_ask *ask, struct bytes name,
                       struct bytes *ret_value)
{
    struct bytes other;
    uint32_t at = 0;

    return next_field(ask, name, &at, ret_value) &&
           !next_field(ask, name, &at, &other);
}

static bool first_field(const struct static_ask *ask, struct bytes name,
                        struct bytes *ret_value)
{
    uint32_t at = 0;

    return next_field(ask, name, &at, ret_value);
}

/* "0.5" in thousandths; what is no weight counts as 1. */
static int weight(struct bytes text)
{
    int value = 0;
    int unit = 1000;

    for (size_t i = 0; i < text.n && i < 5; i++) {
        if (i == 1 && text.p[i] == '.')
            continue;
        if (text.p[i] < '0' || text.p[i] > '9')
            return 1000;
        value += (text.p[i] - '0') * unit;
        unit /= 10;
    }
    return text.n > 0 && value < 1000 ? value : 1000;
}

/* Of one element: "gzip;q=0.5". */
static int weight_of(struct bytes parameters)
{
    while (parameters.n > 0) {
        struct bytes one = cut(&parameters, ';');
        struct bytes name = cut(&one, '=');

        if (bytes_equal_nocase(name, BYTES("q")))
            return weight(trim(one));
    }
    return 1000;
}

uint32_t static_ask_codings(const struct static_ask *ask,
                            enum static_coding codings[STATIC_CODINGS])
{
    static const struct bytes names[] = {{"*", 1}, {"br", 2}, {"gzip", 4}};
    int weights[] = {0, -1, -1}; /* -1: not named */
    struct bytes value;
    uint32_t at = 0;
    uint32_t count = 0;

    while (next_field(ask, BYTES("Accept-Encoding"), &at, &value)) {
        while (value.n > 0) {
            struct bytes element = cut(&value, ',');
            struct bytes name = cut(&element, ';');

            for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (bytes_equal_nocase(name, names[i]))
                    weights[i] = weight_of(element);
        }
    }
    for (size_t i = STATIC_BROTLI; i <= STATIC_GZIP; i++)
        if (weights[i] < 0)
            weights[i] = weights[STATIC_IDENTITY]; /* that of "*" */
    if (weights[STATIC_GZIP] > weights[STATIC_BROTLI])
        codings[count++] = STATIC_GZIP;
    if (weights[STATIC_BROTLI] > 0)
        codings[count++] = STATIC_BROTLI;
    if (weights[STATIC_GZIP] > 0 && count == (weights[STATIC_BROTLI] > 0))
        codings[count++] = STATIC_GZIP;
    codings[count++] = STATIC_IDENTITY;
    return count;
}

static bool is_weak(struct bytes tag)
{
    return tag.n > 2 && memcmp(tag.p, "W/", 2) == 0;
}

/* The next element of a list of entity tags, whose text may have commas. */
static struct bytes next_tag(struct bytes *rest)
{
    struct bytes tag;
    const char *end;
    size_t open;

    *rest = trim(*rest);
    while (rest->n > 0 && (rest->p[0] == ',' || is_blank(rest->p[0])))
        rest->p++, rest->n--;
    open = is_weak(*rest) ? 3 : 1;
    if (rest->n <= open || rest->p[open - 1] != '"')
        return cut(rest, ',');
    end = memchr(rest->p + open, '"', rest->n - open);
    if (!end)
        return cut(rest, ',');
    tag = (struct bytes){rest->p, (size_t)(end - rest->p) + 1};
    rest->p += tag.n;
    rest->n -= tag.n;
    return tag;
}

/* RFC 9110 8.8.3.2. Our own tag is strong. */
static bool lists_tag(struct bytes list, struct bytes etag, bool strong)
{
    if (bytes_equal(trim(list), BYTES("*")))
        return true;
    while (list.n > 0) {
        struct bytes tag = next_tag(&list);

        if (is_weak(tag)) {
            if (strong)
                continue;
            tag.p += 2;
            tag.n -= 2;
        }
        if (bytes_equal(tag, etag))
            return true;
    }
    return false;
}

enum listed { NOT_ASKED, NOT_LISTED, LISTED };

static enum listed is_listed(const struct static_ask *ask, struct bytes name,
                             struct bytes etag, bool strong)
{
    enum listed found = NOT_ASKED;
    struct bytes value;
    uint32_t at = 0;

    while (found != LISTED && next_field(ask, name, &at, &value))
        found = lists_tag(value, etag, strong) ? LISTED : NOT_LISTED;
    return found;
}

/* A date that cannot be read is as if it were not there. */
static bool has_date(const struct static_ask *ask, struct bytes name,
                     int64_t *ret_when)
{
    struct bytes value;

    return first_field(ask, name, &value) &&
           http_date_parse(value, ret_when) == 0;
}

/* RFC 9110 13.2.2, but for If-Range. 0: go on. */
static int precondition(const struct static_ask *ask,
                        const struct static_state *state)
{
    enum listed match = is_listed(ask, BYTES("If-Match"), state->etag, true);
    int64_t when;

    if (match == NOT_LISTED)
        return 412;
    if (match == NOT_ASKED &&
        has_date(ask, BYTES("If-Unmodified-Since"), &when) &&
        state->modified_s > when)
        return 412;
    match = is_listed(ask, BYTES("If-None-Match"), state->etag, false);
    if (match == LISTED)
        return 304;
    if (match == NOT_ASKED &&
        has_date(ask, BYTES("If-Modified-Since"), &when) &&
        state->modified_s <= when)
        return 304;
    return 0;
}

/* The ranges are of what the client has seen before. */
static bool is_same(const struct static_ask *ask,
                    const struct static_state *state)
{
    struct bytes value;
    int64_t when;

    if (!first_field(ask, BYTES("If-Range"), &value))
        return true;
    if (http_date_parse(value, &when) == 0)
        return when == state->modified_s;
    return bytes_equal(value, state->etag);
}

/* Digits only; a number that is too large is as good as the largest. */
static bool number(struct bytes text, uint64_t *ret_number)
{
    uint64_t value = 0;

    if (text.n == 0)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        if (value > (UINT64_MAX - 9) / 10)
            value = (UINT64_MAX - 9) / 10;
        value = value * 10 + (uint64_t)(text.p[i] - '0');
    }
    *ret_number = value;
    return true;
}

/* One of "0-99", "100-" and "-100". False: it is none of these. A range of
 * which nothing is there has no length. */
static bool range_of(struct bytes text, uint64_t size,
                     struct static_range *ret_range)
{
    struct bytes from = cut(&text, '-');
    struct bytes to = trim(text);
    uint64_t first = 0;
    uint64_t last = UINT64_MAX;

    if (from.n == 0) {
        if (!number(to, &last))
            return false;
        first = size - min_u64(size, last);
        last = UINT64_MAX;
    } else if (!number(from, &first) || (to.n > 0 && !number(to, &last)) ||
               last < first) {
        return false;
    }
    ret_range->off = first;
    ret_range->len = first < size ? min_u64(last, size - 1) - first + 1 : 0;
    return true;
}

/* The number of ranges; 0: as if there were none; -ERANGE: none of them can
 * be had. */
static int ranges_of(struct bytes value, uint64_t size,
                     struct static_range ranges[STATIC_RANGES_MAX])
{
    struct bytes unit = cut(&value, '=');
    uint64_t total = 0;
    int count = 0;
    bool any = false;

    if (!bytes_equal_nocase(unit, BYTES("bytes")))
        return 0;
    while (value.n > 0) {
        struct bytes one = cut(&value, ',');
        struct static_range range;

        if (one.n == 0)
            continue;
        if (!memchr(one.p, '-', one.n) || !range_of(one, size, &range))
            return 0;
        any = true;
        if (range.len == 0)
            continue;
        total += range.len;
        if (count == STATIC_RANGES_MAX || total > size)
            return 0;
        ranges[count++] = range;
    }
    return any && count == 0 ? -ERANGE : count;
}

int static_ask_status(const struct static_ask *ask,
                      const struct static_state *state,
                      struct static_range ranges[STATIC_RANGES_MAX],
                      uint32_t *ret_count)
{
    int status = precondition(ask, state);
    struct bytes value;
    int count;

    if (status)
        return status;
    if (ask->request->method_id != HTTP_METHOD_GET ||
        !only_field(ask, BYTES("Range"), &value) || !is_same(ask, state))
        return 200;
    count = ranges_of(value, state->size, ranges);
    if (count < 0)
        return 416;
    *ret_count = (uint32_t)count;
    return count > 0 ? 206 : 200;
}
