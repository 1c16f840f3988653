/* SPDX-License-Identifier: MIT */
/*
 * A name is found by its length and one letter, which leave one candidate, and
 * then compared once: no hash to compute and no chain to walk.
 */
#include "http_names.h"

#include "http.h"

#define LONGEST 25

static const char spellings[HTTP_NAME_COUNT][LONGEST + 7] = {
#define X(id, spelling, key) [HTTP_NAME_##id] = spelling,
    HTTP_NAMES(X)
#undef X
};

static const uint8_t lengths[HTTP_NAME_COUNT] = {
#define X(id, spelling, key) [HTTP_NAME_##id] = sizeof(spelling) - 1,
    HTTP_NAMES(X)
#undef X
};

/* Which letter tells the names of this length apart: mostly the first. */
static const uint8_t letter_at[LONGEST + 1] = {
    [14] = 10,
    [15] = 12,
    [16] = 12,
};

/*
 * The only candidate for a length and a letter (its low five bits, which upper
 * and lower case share).
 */
#define AT(length, letter) [length][(letter)&31]
static const uint8_t candidates[LONGEST + 1][32] = {
    AT(2, 't') = HTTP_NAME_TE,
    AT(4, 'd') = HTTP_NAME_DATE,
    AT(4, 'h') = HTTP_NAME_HOST,
    AT(5, 'r') = HTTP_NAME_RANGE,
    AT(6, 'a') = HTTP_NAME_ACCEPT,
    AT(6, 'c') = HTTP_NAME_COOKIE,
    AT(6, 'e') = HTTP_NAME_EXPECT,
    AT(6, 'o') = HTTP_NAME_ORIGIN,
    AT(6, 's') = HTTP_NAME_SERVER,
    AT(7, 'r') = HTTP_NAME_REFERER,
    AT(7, 't') = HTTP_NAME_TRAILER,
    AT(7, 'u') = HTTP_NAME_UPGRADE,
    AT(8, 'p') = HTTP_NAME_PRIORITY,
    AT(9, 'f') = HTTP_NAME_FORWARDED,
    AT(9, 's') = HTTP_NAME_SEC_CH_UA,
    AT(9, 'x') = HTTP_NAME_X_REAL_IP,
    AT(10, 'c') = HTTP_NAME_CONNECTION,
    AT(10, 'k') = HTTP_NAME_KEEP_ALIVE,
    AT(10, 'u') = HTTP_NAME_USER_AGENT,
    AT(12, 'c') = HTTP_NAME_CONTENT_TYPE,
    AT(12, 'x') = HTTP_NAME_X_REQUEST_ID,
    AT(13, 'a') = HTTP_NAME_AUTHORIZATION,
    AT(13, 'c') = HTTP_NAME_CACHE_CONTROL,
    AT(13, 'i') = HTTP_NAME_IF_NONE_MATCH,
    AT(14, 'd') = HTTP_NAME_SEC_FETCH_DEST,
    AT(14, 'm') = HTTP_NAME_SEC_FETCH_MODE,
    AT(14, 'n') = HTTP_NAME_CONTENT_LENGTH,
    AT(14, 's') = HTTP_NAME_SEC_FETCH_SITE,
    AT(14, 'u') = HTTP_NAME_SEC_FETCH_USER,
    AT(15, 'a') = HTTP_NAME_ACCEPT_LANGUAGE,
    AT(15, 'f') = HTTP_NAME_X_FORWARDED_FOR,
    AT(15, 'i') = HTTP_NAME_ACCEPT_ENCODING,
    AT(15, 's') = HTTP_NAME_X_FORWARDED_SSL,
    AT(16, 'b') = HTTP_NAME_SEC_CH_UA_MOBILE,
    AT(16, 'd') = HTTP_NAME_CONTENT_ENCODING,
    AT(16, 'h') = HTTP_NAME_X_FORWARDED_HOST,
    AT(16, 'p') = HTTP_NAME_X_FORWARDED_PORT,
    AT(17, 'i') = HTTP_NAME_IF_MODIFIED_SINCE,
    AT(17, 't') = HTTP_NAME_TRANSFER_ENCODING,
    AT(17, 'x') = HTTP_NAME_X_FORWARDED_PROTO,
    AT(18, 's') = HTTP_NAME_SEC_CH_UA_PLATFORM,
    AT(20, 'x') = HTTP_NAME_X_FORWARDED_PROTOCOL,
    AT(25, 'u') = HTTP_NAME_UPGRADE_INSECURE_REQUESTS,
};
#undef AT

/*
 * True if a word differs from the spelling's in the case of letters at most.
 * In a spelling only letters have bit 6, and only they may differ, in bit 5:
 * so CR, which is '-' but for that bit, is not taken for it.
 */
static inline bool same_word(uint64_t word, uint64_t spelling)
{
    return ((word ^ spelling) & ~((spelling & 0x4040404040404040) >> 1)) == 0;
}

static inline bool same_8(const char *name, const char *spelling)
{
    uint64_t a;
    uint64_t b;

    memcpy(&a, name, sizeof(a));
    memcpy(&b, spelling, sizeof(b));
    return same_word(a, b);
}

static inline bool same_4(const char *name, const char *spelling)
{
    uint32_t a;
    uint32_t b;

    memcpy(&a, name, sizeof(a));
    memcpy(&b, spelling, sizeof(b));
    return same_word(a, b);
}

/* The last word of a name overlaps the one before. */
static bool same_name(const char *name, const char *spelling, size_t n)
{
    size_t i;

    if (n >= 8) {
        for (i = 0; i + 8 < n; i += 8) {
            if (!same_8(name + i, spelling + i))
                return false;
        }
        return same_8(name + n - 8, spelling + n - 8);
    }
    if (n >= 4)
        return same_4(name, spelling) && same_4(name + n - 4, spelling + n - 4);
    for (i = 0; i < n; i++) {
        if (!same_word((uint8_t)name[i], (uint8_t)spelling[i]))
            return false;
    }
    return true;
}

enum http_name http_name_find(struct bytes name)
{
    uint8_t id;

    if (name.n == 0 || name.n > LONGEST)
        return HTTP_NAME_OTHER;
    id = candidates[name.n][(uint8_t)name.p[letter_at[name.n]] & 31];
    if (!id || !same_name(name.p, spellings[id], name.n))
        return HTTP_NAME_OTHER;
    return (enum http_name)id;
}

struct bytes http_name_spelling(enum http_name name)
{
    must((unsigned)name < HTTP_NAME_COUNT);
    return (struct bytes){spellings[name], lengths[name]};
}

int http_error_status(enum http_error error)
{
    static const uint16_t statuses[HTTP_ERROR_COUNT] = {[HTTP_ERROR_NONE] = 500,
#define X(id, status, text) [HTTP_ERROR_##id] = status,
                                                        HTTP_ERRORS(X)
#undef X
    };

    must((unsigned)error < HTTP_ERROR_COUNT);
    return statuses[error];
}

const char *http_error_text(enum http_error error)
{
    static const char *const texts[HTTP_ERROR_COUNT] = {[HTTP_ERROR_NONE] = "",
#define X(id, status, text) [HTTP_ERROR_##id] = text,
                                                        HTTP_ERRORS(X)
#undef X
    };

    must((unsigned)error < HTTP_ERROR_COUNT);
    return texts[error];
}
