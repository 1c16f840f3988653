/* SPDX-License-Identifier: MIT */
#include "ws.h"

#include <string.h>

#define FIN 0x80
#define RESERVED 0x70
#define COMPRESSED 0x40 /* of a message's first frame, where agreed */
#define MASKED 0x80
#define UTF8_ERROR UINT32_MAX

/*
 * The state is how many bytes are to follow, and which the next one may be:
 * more:8 | low:8 | high:8.
 */
static uint32_t expect(uint32_t more, uint32_t low, uint32_t high)
{
    return more << 16 | low << 8 | high;
}

/* Neither overlong forms, nor surrogates, nor beyond U+10FFFF (RFC 3629). */
static uint32_t lead(uint8_t c)
{
    if (c < 0x80)
        return 0;
    if (c >= 0xc2 && c <= 0xdf)
        return expect(1, 0x80, 0xbf);
    if (c == 0xe0)
        return expect(2, 0xa0, 0xbf);
    if (c == 0xed)
        return expect(2, 0x80, 0x9f);
    if (c >= 0xe1 && c <= 0xef)
        return expect(2, 0x80, 0xbf);
    if (c == 0xf0)
        return expect(3, 0x90, 0xbf);
    if (c >= 0xf1 && c <= 0xf3)
        return expect(3, 0x80, 0xbf);
    return c == 0xf4 ? expect(3, 0x80, 0x8f) : UTF8_ERROR;
}

/* Eight bytes of ASCII at a time: most text is nothing else. */
static size_t skip_ascii(const char *text, size_t len)
{
    uint64_t word;
    size_t i = 0;

    for (; i + sizeof(word) <= len; i += sizeof(word)) {
        memcpy(&word, text + i, sizeof(word));
        if (word & 0x8080808080808080ULL)
            break;
    }
    return i;
}

uint32_t ws_utf8(uint32_t state, const char *text, size_t len)
{
    size_t i = 0;

    while (i < len && state != UTF8_ERROR) {
        uint8_t c;

        if (state == 0) {
            i += skip_ascii(text + i, len - i);
            if (i == len)
                break;
        }
        c = (uint8_t)text[i++];
        if (state == 0)
            state = lead(c);
        else if (c < (state >> 8 & 0xff) || c > (state & 0xff))
            state = UTF8_ERROR;
        else
            state = state >> 16 > 1 ? expect((state >> 16) - 1, 0x80, 0xbf) : 0;
    }
    return state;
}

bool ws_code_is_valid(uint32_t code)
{
    if (code >= 3000 && code <= 4999)
        return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
           code != 1006;
}

static bool is_control(uint8_t opcode)
{
    return opcode & 0x08;
}

/* Bytes of the head, as far as its first two tell. */
static uint32_t head_size(const struct ws_parser *p)
{
    uint32_t len = p->head[1] & 0x7f;

    if (p->have < 2)
        return 2;
    return 6 + (len == 126 ? 2 : len == 127 ? 8 : 0);
}

static int check_start(const struct ws_parser *p)
{
    uint8_t opcode = p->head[0] & 0x0f;
    bool known = opcode <= WS_BINARY ||
                 (opcode >= WS_CLOSE && opcode <= WS_PONG);
    int reserved = RESERVED;

    if (p->deflate && (opcode == WS_TEXT || opcode == WS_BINARY))
        reserved &= ~COMPRESSED;
    if (p->head[0] & reserved || !known || !(p->head[1] & MASKED))
        return -WS_PROTOCOL_ERROR;
    if (is_control(opcode))
        return p->head[0] & FIN && (p->head[1] & 0x7f) <= WS_CONTROL_MAX
                   ? 0
                   : -WS_PROTOCOL_ERROR;
    /* A continuation needs a message, and a message no other in it. */
    return (opcode == WS_CONTINUATION) == (p->opcode != 0) ? 0
                                                           : -WS_PROTOCOL_ERROR;
}

static uint64_t length_of(const struct ws_parser *p)
{
    uint32_t count = head_size(p) - 6;
    uint64_t len = 0;
    uint32_t i;

    if (count == 0)
        return p->head[1] & 0x7f;
    for (i = 0; i < count; i++)
        len = len << 8 | p->head[2 + i];
    return len;
}

static bool is_shortest(const struct ws_parser *p, uint64_t len)
{
    switch (head_size(p) - 6) {
    case 2:
        return len > 125;
    case 8:
        return len > 0xffff && len <= INT64_MAX;
    }
    return true;
}

/* Compressed data may be a little more than what it stands for. */
static bool is_too_big(const struct ws_parser *p)
{
    uint64_t most = p->max_bytes;

    if (p->compressed)
        most += most / 8 + 1024;
    return p->max_bytes && p->left > most - min_u64(p->message, most);
}

static int begin_frame(struct ws_parser *p)
{
    uint8_t opcode = p->head[0] & 0x0f;

    p->left = length_of(p);
    if (!is_shortest(p, p->left))
        return -WS_PROTOCOL_ERROR;
    p->in_frame = 1;
    p->phase = 0;
    if (is_control(opcode)) {
        p->control_len = 0;
        return 0;
    }
    if (opcode != WS_CONTINUATION) {
        p->opcode = opcode;
        p->message = 0;
        p->utf8 = 0;
        p->compressed = (p->head[0] & COMPRESSED) != 0;
    }
    return is_too_big(p) ? -WS_TOO_BIG : 0;
}

/* Returns how much was used; the head may not be complete then. */
static int take_head(struct ws_parser *p, struct bytes piece)
{
    size_t used = 0;
    int error;

    while (p->have < head_size(p) && used < piece.n) {
        p->head[p->have++] = (uint8_t)piece.p[used++];
        if (p->have != 2)
            continue;
        error = check_start(p);
        if (error)
            return error;
    }
    if (p->have >= 2 && p->have == head_size(p)) {
        error = begin_frame(p);
        if (error)
            return error;
    }
    return (int)used;
}

/* The compiler makes vectors of the middle loop. */
static void unmask(struct ws_parser *p, const char *from, char *to, size_t n)
{
    const uint8_t *mask = p->head + p->have - 4;
    uint8_t turned[8];
    size_t i;

    for (i = 0; i < 8; i++)
        turned[i] = mask[(p->phase + i) % 4];
    for (i = 0; i + 8 <= n; i += 8) {
        uint64_t word, key;

        memcpy(&word, from + i, 8);
        memcpy(&key, turned, 8);
        word ^= key;
        memcpy(to + i, &word, 8);
    }
    for (; i < n; i++)
        to[i] = (char)(from[i] ^ turned[i % 8]);
    p->phase = (uint8_t)((p->phase + n) % 4);
}

static void end_frame(struct ws_parser *p)
{
    p->in_frame = 0;
    p->have = 0;
}

static int on_close(struct ws_parser *p, struct ws_event *event)
{
    event->code = WS_NO_STATUS;
    if (p->control_len == 0)
        return 0;
    if (p->control_len == 1)
        return -WS_PROTOCOL_ERROR;
    event->code = (uint16_t)(p->control[0] << 8 | p->control[1]);
    if (!ws_code_is_valid(event->code))
        return -WS_PROTOCOL_ERROR;
    if (ws_utf8(0, (const char *)p->control + 2, p->control_len - 2U) != 0)
        return -WS_INVALID_DATA;
    return 0;
}

static int take_control(struct ws_parser *p, struct bytes piece,
                        struct ws_event *event)
{
    size_t n = min_u64(p->left, piece.n);

    unmask(p, piece.p, (char *)p->control + p->control_len, n);
    p->control_len = (uint8_t)(p->control_len + n);
    p->left -= n;
    if (p->left > 0)
        return (int)n;
    event->kind = WS_EVENT_CONTROL;
    event->opcode = (enum ws_opcode)(p->head[0] & 0x0f);
    end_frame(p);
    if (event->opcode == WS_CLOSE) {
        int error = on_close(p, event);

        if (error)
            return error;
    }
    return (int)n;
}

static int take_data(struct ws_parser *p, struct bytes piece, char *to,
                     size_t room, struct ws_event *event)
{
    size_t n = min_u64(min_u64(p->left, piece.n), room);

    if (n == 0 && p->left > 0)
        return 0;
    unmask(p, piece.p, to, n);
    p->left -= n;
    p->message += n;
    event->kind = WS_EVENT_DATA;
    event->opcode = (enum ws_opcode)p->opcode;
    event->bytes = n;
    event->last = p->left == 0 && p->head[0] & FIN;
    event->compressed = p->compressed;
    if (p->opcode == WS_TEXT && !p->compressed) {
        p->utf8 = ws_utf8(p->utf8, to, n);
        if (p->utf8 == UTF8_ERROR || (event->last && p->utf8 != 0))
            return -WS_INVALID_DATA;
    }
    if (event->last)
        p->opcode = 0;
    if (p->left == 0)
        end_frame(p);
    return (int)n;
}

int ws_next(struct ws_parser *parser, struct bytes piece, char *to, size_t room,
            struct ws_event *ret_event)
{
    int used = 0;
    int n;

    *ret_event = (struct ws_event){.kind = WS_EVENT_NONE};
    if (!parser->in_frame) {
        used = take_head(parser, piece);
        if (used < 0 || !parser->in_frame)
            return used;
        piece.p += used;
        piece.n -= (size_t)used;
    }
    if (is_control(parser->head[0] & 0x0f))
        n = take_control(parser, piece, ret_event);
    else
        n = take_data(parser, piece, to, room, ret_event);
    return n < 0 ? n : used + n;
}

size_t ws_head(char head[WS_HEAD_MAX], enum ws_opcode opcode, uint64_t len)
{
    uint32_t count = len > 0xffff ? 8 : len > 125 ? 2 : 0;
    uint32_t i;

    head[0] = (char)(FIN | opcode);
    head[1] = (char)(count == 8 ? 127 : count == 2 ? 126 : len);
    for (i = 0; i < count; i++)
        head[2 + i] = (char)(len >> 8 * (count - 1 - i));
    return 2 + count;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool ws_key_is_valid(struct bytes key)
{
    size_t i;

    if (key.n != 24 || key.p[22] != '=' || key.p[23] != '=')
        return false;
    for (i = 0; i < 22; i++)
        if (base64_digit(key.p[i]) < 0)
            return false;
    return true;
}

static uint32_t rotated(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

/* One block of SHA-1 (FIPS 180-4); the handshake is its only use here. */
static void sha1_block(uint32_t h[5], const uint8_t block[64])
{
    uint32_t v[5];
    uint32_t w[80];
    int i;

    for (i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (; i < 80; i++)
        w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    memcpy(v, h, sizeof(v));
    for (i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? (v[1] & v[2]) | (~v[1] & v[3])
                     : i < 40 ? v[1] ^ v[2] ^ v[3]
                     : i < 60 ? (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3])
                              : v[1] ^ v[2] ^ v[3];
        uint32_t k = i < 20   ? 0x5a827999
                     : i < 40 ? 0x6ed9eba1
                     : i < 60 ? 0x8f1bbcdc
                              : 0xca62c1d6;
        uint32_t next = rotated(v[0], 5) + f + v[4] + k + w[i];

        v[4] = v[3];
        v[3] = v[2];
        v[2] = rotated(v[1], 30);
        v[1] = v[0];
        v[0] = next;
    }
    for (i = 0; i < 5; i++)
        h[i] += v[i];
}

/* Key and GUID are 60 bytes: two blocks with the padding. */
static void accept_digest(struct bytes key, uint8_t digest[20])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
                     0xc3d2e1f0};
    uint8_t blocks[128] = {0};
    size_t i;

    memcpy(blocks, key.p, 24);
    memcpy(blocks + 24, guid, 36);
    blocks[60] = 0x80;
    blocks[126] = 60 * 8 >> 8;
    blocks[127] = (60 * 8) & 0xff;
    sha1_block(h, blocks);
    sha1_block(h, blocks + 64);
    for (i = 0; i < 20; i++)
        digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

void ws_accept(struct bytes key, char accept[WS_ACCEPT_LEN])
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t digest[21] = {0};
    size_t i;

    must(key.n == 24);
    accept_digest(key, digest);
    for (i = 0; i < 7; i++) {
        uint32_t three = (uint32_t)digest[3 * i] << 16 |
                         (uint32_t)digest[3 * i + 1] << 8 | digest[3 * i + 2];

        accept[4 * i] = digits[three >> 18];
        accept[4 * i + 1] = digits[three >> 12 & 63];
        accept[4 * i + 2] = digits[three >> 6 & 63];
        accept[4 * i + 3] = digits[three & 63];
    }
    accept[WS_ACCEPT_LEN - 1] = '=';
}
