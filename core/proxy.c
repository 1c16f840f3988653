/* SPDX-License-Identifier: MIT */
#include "proxy.h"

#include <strings.h>
#include <sys/socket.h>

#define V1_LINE_MAX 107 /* with CRLF: what the standard says is enough */
#define V1_WORDS 6
#define V2_HEAD_BYTES 16
#define V2_PORTS_BYTES 4

static const char v1_mark[] = "PROXY ";
static const char v2_mark[] = "\r\n\r\n\0\r\nQUIT\n";
#define V1_MARK_BYTES (sizeof(v1_mark) - 1)
#define V2_MARK_BYTES (sizeof(v2_mark) - 1)

int proxy_mode_parse(const char *text, enum proxy_mode *ret_mode)
{
    static const struct {
        const char *name;
        enum proxy_mode mode;
    } names[] = {
        {"off", PROXY_OFF},   {"v1", PROXY_V1},     {"v2", PROXY_V2},
        {"auto", PROXY_AUTO}, {"true", PROXY_AUTO}, {"1", PROXY_AUTO},
        {"false", PROXY_OFF}, {"none", PROXY_OFF},  {"0", PROXY_OFF},
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcasecmp(text, names[i].name) == 0) {
            *ret_mode = names[i].mode;
            return 0;
        }
    }
    return -EINVAL;
}

static uint16_t be16(const char *p)
{
    return (uint16_t)((uint8_t)p[0] << 8 | (uint8_t)p[1]);
}

/* One space between two words; more make empty words, which nothing takes. */
static uint32_t split(struct bytes line, struct bytes word[V1_WORDS])
{
    uint32_t count = 0;

    for (;;) {
        const char *space = memchr(line.p, ' ', line.n);
        size_t n = space ? (size_t)(space - line.p) : line.n;

        if (count == V1_WORDS)
            return 0;
        word[count++] = (struct bytes){line.p, n};
        if (!space)
            return count;
        line.p += n + 1;
        line.n -= n + 1;
    }
}

static bool v1_address(struct bytes text, uint16_t family, struct ip *ip)
{
    bool colons = memchr(text.p, ':', text.n) != NULL;

    return colons == (family == AF_INET6) && ip_parse(text, ip) == 0;
}

static int v1_line(struct bytes line, struct proxy_info *info)
{
    struct bytes word[V1_WORDS];
    struct bytes unknown = {line.p, min_u64(line.n, 13)};

    /* Anything may follow, for those who know what it means. */
    if (bytes_equal(unknown, BYTES("PROXY UNKNOWN")) &&
        (line.n == 13 || line.p[13] == ' '))
        return 0;
    if (split(line, word) != V1_WORDS)
        return -EPROTO;
    if (bytes_equal(word[1], BYTES("TCP4")))
        info->family = AF_INET;
    else if (bytes_equal(word[1], BYTES("TCP6")))
        info->family = AF_INET6;
    else
        return -EPROTO;
    if (!v1_address(word[2], info->family, &info->from) ||
        !v1_address(word[3], info->family, &info->to) ||
        ip_parse_port(word[4], &info->from_port) != 0 ||
        ip_parse_port(word[5], &info->to_port) != 0)
        return -EPROTO;
    return 0;
}

static int v1_parse(struct bytes data, struct proxy_info *info, size_t *ret_len)
{
    size_t room = min_u64(data.n, V1_LINE_MAX);
    const char *end = memchr(data.p, '\r', room);
    const char *feed = memchr(data.p, '\n', room);
    size_t len;

    if (!end || end + 1 == data.p + data.n)
        return room == V1_LINE_MAX || feed ? -EPROTO : -EAGAIN;
    len = (size_t)(end - data.p);
    if (feed != end + 1)
        return -EPROTO;
    *ret_len = len + 2;
    return v1_line((struct bytes){data.p, len}, info);
}

static int v2_addresses(const char *p, size_t len, struct proxy_info *info)
{
    size_t bytes = info->family == AF_INET ? 4 : 16;

    if (len < 2 * bytes + V2_PORTS_BYTES)
        return -EPROTO;
    if (info->family == AF_INET) {
        info->from = ip_from_v4(p);
        info->to = ip_from_v4(p + bytes);
    } else {
        info->from = ip_from_v6(p);
        info->to = ip_from_v6(p + bytes);
    }
    info->from_port = be16(p + 2 * bytes);
    info->to_port = be16(p + 2 * bytes + 2);
    return 0;
}

/* Command and family are known; len bytes of addresses and TLVs at p. */
static int v2_body(uint8_t command, uint8_t family, const char *p, size_t len,
                   struct proxy_info *info)
{
    if (command == 0x20) /* LOCAL: the balancer's own, a health check */
        return 0;
    switch (family) {
    case 0x00: /* not known, or no address of the internet: */
    case 0x01:
    case 0x31: /* a Unix socket */
        return 0;
    case 0x11:
        info->family = AF_INET;
        return v2_addresses(p, len, info);
    case 0x21:
        info->family = AF_INET6;
        return v2_addresses(p, len, info);
    }
    return -EPROTO;
}

static int v2_parse(struct bytes data, struct proxy_info *info, size_t *ret_len)
{
    uint8_t command;
    size_t len;

    if (data.n <= V2_MARK_BYTES)
        return -EAGAIN;
    command = (uint8_t)data.p[12];
    if (command != 0x20 && command != 0x21)
        return -EPROTO;
    if (data.n < V2_HEAD_BYTES)
        return -EAGAIN;
    len = be16(data.p + 14);
    if (data.n < V2_HEAD_BYTES + len)
        return -EAGAIN;
    *ret_len = V2_HEAD_BYTES + len;
    return v2_body(command, (uint8_t)data.p[13], data.p + V2_HEAD_BYTES, len,
                   info);
}

/* As much of the mark as could have arrived has. */
static bool begins(struct bytes data, const char *mark, size_t mark_len)
{
    return memcmp(data.p, mark, min_u64(data.n, mark_len)) == 0;
}

int proxy_parse(enum proxy_mode mode, struct bytes data,
                struct proxy_info *ret_info, size_t *ret_len)
{
    struct proxy_info info = {.family = 0};
    size_t len = 0;
    int err = 0;

    if (data.n == 0)
        return -EAGAIN;
    if ((mode == PROXY_V1 || mode == PROXY_AUTO) &&
        begins(data, v1_mark, V1_MARK_BYTES))
        err = data.n < V1_MARK_BYTES ? -EAGAIN : v1_parse(data, &info, &len);
    else if ((mode == PROXY_V2 || mode == PROXY_AUTO) &&
             begins(data, v2_mark, V2_MARK_BYTES))
        err = v2_parse(data, &info, &len);
    if (err)
        return err;
    *ret_info = info;
    *ret_len = len;
    return 0;
}
