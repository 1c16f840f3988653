/* SPDX-License-Identifier: MIT */
#include "forwarded_hops.h"

#include "http.h"
#include "http_scan.h"

/* One pair of a Forwarded element; the value without its quotes. */
struct pair {
    struct bytes name;
    struct bytes value;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct bytes forwarded_trim(struct bytes text)
{
    while (text.n > 0 && is_space(text.p[0])) {
        text.p++;
        text.n--;
    }
    while (text.n > 0 && is_space(text.p[text.n - 1]))
        text.n--;
    return text;
}

static void add(struct forwarded_hops *hops, struct forwarded_hop hop)
{
    hops->hop[hops->end++ % FORWARDED_HOPS_MAX] = hop;
    if (hops->end - hops->begin > FORWARDED_HOPS_MAX)
        hops->begin++;
}

void forwarded_hops_x(struct forwarded_hops *hops, struct bytes line)
{
    hops->lines++;
    for (;;) {
        const char *comma = memchr(line.p, ',', line.n);
        size_t n = comma ? (size_t)(comma - line.p) : line.n;
        struct bytes item = forwarded_trim((struct bytes){line.p, n});

        if (item.n > 0) /* RFC 9110 5.6.1: empty elements do not count */
            add(hops, (struct forwarded_hop){.node = item, .proto = {"", 0}});
        if (!comma)
            return;
        line.p += n + 1;
        line.n -= n + 1;
    }
}

static void skip(struct bytes *rest, size_t n)
{
    rest->p += n;
    rest->n -= n;
}

static void skip_blanks(struct bytes *rest)
{
    while (rest->n > 0 && is_space(rest->p[0]))
        skip(rest, 1);
}

static bool skip_one(struct bytes *rest, char c)
{
    if (rest->n == 0 || rest->p[0] != c)
        return false;
    skip(rest, 1);
    return true;
}

static struct bytes take_token(struct bytes *rest)
{
    struct bytes token = {rest->p, 0};

    while (token.n < rest->n &&
           http_is_class(rest->p[token.n], HTTP_CLASS_TOKEN))
        token.n++;
    skip(rest, token.n);
    return token;
}

/*
 * Up to the closing quote. What is escaped stays so: no address needs it, and
 * one with a backslash in it is none.
 */
static bool take_quoted(struct bytes *rest, struct bytes *ret_text)
{
    struct bytes text = {rest->p, 0};

    while (text.n < rest->n && text.p[text.n] != '"')
        text.n += text.p[text.n] == '\\' ? 2 : 1;
    if (text.n >= rest->n)
        return false;
    *ret_text = text;
    skip(rest, text.n + 1);
    return true;
}

/* token "=" ( token / quoted ), without blanks around the sign. */
static bool take_pair(struct bytes *rest, struct pair *pair)
{
    pair->name = take_token(rest);
    if (pair->name.n == 0 || !skip_one(rest, '='))
        return false;
    if (skip_one(rest, '"'))
        return take_quoted(rest, &pair->value);
    pair->value = take_token(rest);
    return pair->value.n > 0;
}

static bool take_element(struct bytes *rest, struct forwarded_hop *hop)
{
    *hop = (struct forwarded_hop){.node = {"", 0}, .proto = {"", 0}};
    do {
        struct pair pair;

        skip_blanks(rest);
        if (!take_pair(rest, &pair))
            return false;
        if (bytes_equal_nocase(pair.name, BYTES("for")))
            hop->node = pair.value;
        else if (bytes_equal_nocase(pair.name, BYTES("proto")))
            hop->proto = pair.value;
        skip_blanks(rest);
    } while (skip_one(rest, ';'));
    return true;
}

/* False when it is not what RFC 7239 4 says it must be. */
static bool take_line(struct forwarded_hops *hops, struct bytes rest)
{
    struct forwarded_hop hop;

    do {
        skip_blanks(&rest);
        if (rest.n == 0 || rest.p[0] == ',')
            continue; /* an empty element */
        if (!take_element(&rest, &hop))
            return false;
        add(hops, hop);
    } while (skip_one(&rest, ','));
    return rest.n == 0;
}

void forwarded_hops_rfc(struct forwarded_hops *hops, struct bytes line)
{
    struct forwarded_hop nothing = {.node = {"", 0}, .proto = {"", 0}};

    hops->lines++;
    if (!take_line(hops, line))
        add(hops, nothing);
}

/* "_hidden" as a port is legal, and says nothing. */
static int take_port(struct bytes text, struct forwarded_node *node)
{
    if (text.n > 1 && text.p[0] == '_')
        return 0;
    if (ip_parse_port(text, &node->port) != 0)
        return -EINVAL;
    node->has_port = true;
    return 0;
}

int forwarded_node_parse(struct bytes text, struct forwarded_node *ret_node)
{
    struct forwarded_node node = {.has_port = false};
    bool bracket = text.n > 0 && text.p[0] == '[';
    const char *colon = memchr(text.p, ':', text.n);
    struct bytes ip = text;
    size_t used;

    if (bracket) {
        const char *end = memchr(text.p, ']', text.n);

        if (!end)
            return -EINVAL;
        ip = (struct bytes){text.p + 1, (size_t)(end - text.p) - 1};
    } else if (colon && colon == memrchr(text.p, ':', text.n)) {
        ip.n = (size_t)(colon - text.p);
    }
    used = ip.n + (bracket ? 2 : 0);
    if (ip_parse(ip, &node.ip) != 0 || (bracket && !memchr(ip.p, ':', ip.n)))
        return -EINVAL;
    if (used < text.n) {
        struct bytes port = {text.p + used + 1, text.n - used - 1};

        if (text.p[used] != ':' || take_port(port, &node) != 0)
            return -EINVAL;
    }
    *ret_node = node;
    return 0;
}
