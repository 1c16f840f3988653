/* SPDX-License-Identifier: MIT */
#include "forwarded.h"

#include "forwarded_hops.h"

static struct bytes name_of(const struct forwarded_head *head,
                            const struct http_field *field)
{
    return (struct bytes){head->text + field->name_off, field->name_len};
}

static struct bytes value_of(const struct forwarded_head *head,
                             const struct http_field *field)
{
    return (struct bytes){head->text + field->value_off, field->value_len};
}

/* Whether a list "A,B" has the name, whatever its case. */
static bool list_has(struct bytes list, struct bytes name)
{
    while (list.n > 0) {
        const char *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        struct bytes item = forwarded_trim((struct bytes){list.p, n});

        if (bytes_equal_nocase(item, name) || bytes_equal(item, BYTES("*")))
            return true;
        n += comma != NULL;
        list.p += n;
        list.n -= n;
    }
    return false;
}

/* The parser has dropped it; those who may are let in again. */
static enum http_error look_underscore(const struct forwarded_config *config,
                                       bool trusted,
                                       const struct forwarded_head *head,
                                       struct http_field *field)
{
    if ((trusted && list_has(config->headers, name_of(head, field))) ||
        config->map == FORWARDED_DANGEROUS)
        field->flags &= (uint8_t)~HTTP_FIELD_DROPPED;
    else if (config->map == FORWARDED_REFUSE)
        return HTTP_ERROR_FIELD_NAME;
    return HTTP_ERROR_NONE;
}

static enum http_error look_underscores(const struct forwarded_config *config,
                                        bool trusted,
                                        const struct forwarded_head *head)
{
    for (uint32_t i = 0; i < head->request->field_count; i++) {
        struct http_field *field = &head->fields[i];
        enum http_error error;

        if (!(field->flags & HTTP_FIELD_DROPPED))
            continue;
        error = look_underscore(config, trusted, head, field);
        if (error)
            return error;
    }
    return HTTP_ERROR_NONE;
}

static enum http_error claim(enum forwarded_scheme *scheme, bool secure)
{
    enum forwarded_scheme said = secure ? FORWARDED_SCHEME_HTTPS
                                        : FORWARDED_SCHEME_HTTP;

    if (*scheme != FORWARDED_SCHEME_UNKNOWN && *scheme != said)
        return HTTP_ERROR_SCHEME;
    *scheme = said;
    return HTTP_ERROR_NONE;
}

/* Gunicorn's secure_scheme_headers: another value than this means http. */
static const struct {
    enum http_name name;
    struct bytes text;
    struct bytes value;
} scheme_headers[FORWARDED_SCHEMES] = {
    [FORWARDED_X_PROTOCOL] = {HTTP_NAME_X_FORWARDED_PROTOCOL,
                              {"X-FORWARDED-PROTOCOL", 20},
                              {"ssl", 3}},
    [FORWARDED_X_PROTO] = {HTTP_NAME_X_FORWARDED_PROTO,
                           {"X-FORWARDED-PROTO", 17},
                           {"https", 5}},
    [FORWARDED_X_SSL] = {HTTP_NAME_X_FORWARDED_SSL,
                         {"X-FORWARDED-SSL", 15},
                         {"on", 2}},
};

static enum http_error look_scheme(const struct forwarded_config *config,
                                   const struct forwarded_head *head,
                                   const struct http_field *field,
                                   struct forwarded *to)
{
    for (size_t i = 0; i < ARRAY_SIZE(scheme_headers); i++) {
        struct bytes secure = config->schemes_set ? config->scheme[i]
                                                  : scheme_headers[i].value;

        if (field->name_id == scheme_headers[i].name && secure.n > 0)
            return claim(&to->scheme,
                         bytes_equal(value_of(head, field), secure));
    }
    return HTTP_ERROR_NONE;
}

int forwarded_schemes_parse(struct forwarded_config *config, const char *lines)
{
    config->schemes_set = true;
    for (size_t i = 0; i < FORWARDED_SCHEMES; i++)
        config->scheme[i] = (struct bytes){"", 0};
    while (*lines != '\0') {
        struct bytes name = {lines, strcspn(lines, "=\n")};
        const char *value = lines + name.n + (lines[name.n] == '=' ? 1 : 0);
        size_t i = 0;

        while (i < FORWARDED_SCHEMES &&
               !bytes_equal_nocase(name, scheme_headers[i].text))
            i++;
        if (i == FORWARDED_SCHEMES)
            return -EINVAL;
        config->scheme[i] = (struct bytes){value, strcspn(value, "\n")};
        lines = value + config->scheme[i].n;
        lines += *lines == '\n' ? 1 : 0;
    }
    return 0;
}

/* "/" at its end would be missing at the start of PATH_INFO. */
static struct http_span script_name_of(const struct http_field *field,
                                       const char *text)
{
    struct http_span span = {field->value_off, field->value_len};

    while (span.len > 0 && text[span.off + span.len - 1] == '/')
        span.len--;
    return span;
}

/* The path as sent has to begin with it, and to end or go on with "/". */
static enum http_error look_script_name(const struct forwarded_head *head,
                                        const struct forwarded *to)
{
    struct http_span *path = &head->request->path;
    struct http_span script = to->script_name;

    if (script.len == 0)
        return HTTP_ERROR_NONE;
    if (path->len < script.len ||
        memcmp(head->text + path->off, head->text + script.off, script.len) !=
            0 ||
        (path->len > script.len && head->text[path->off + script.len] != '/'))
        return HTTP_ERROR_SCRIPT_NAME;
    path->off += script.len;
    path->len -= script.len;
    return HTTP_ERROR_NONE;
}

/* Scheme and SCRIPT_NAME, which only a trusted peer is asked for. */
static enum http_error look_fields(const struct forwarded_config *config,
                                   const struct forwarded_head *head,
                                   struct forwarded *to)
{
    for (uint32_t i = 0; i < head->request->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        enum http_error error = look_scheme(config, head, field, to);

        if (error)
            return error;
        if (field->name_id == HTTP_NAME_OTHER &&
            !(field->flags & HTTP_FIELD_DROPPED) &&
            bytes_equal_nocase(name_of(head, field), BYTES("SCRIPT_NAME")))
            to->script_name = script_name_of(field, head->text);
    }
    return look_script_name(head, to);
}

/* The lines of one field, in order: they are one list (RFC 9110 5.3). */
static void collect(const struct forwarded_head *head, enum http_name name,
                    struct forwarded_hops *hops)
{
    *hops = (struct forwarded_hops){.begin = 0};
    for (uint32_t i = 0; i < head->request->field_count; i++) {
        const struct http_field *field = &head->fields[i];

        if (field->name_id != name)
            continue;
        if (name == HTTP_NAME_FORWARDED)
            forwarded_hops_rfc(hops, value_of(head, field));
        else
            forwarded_hops_x(hops, value_of(head, field));
    }
}

static bool is_trusted(const struct forwarded_config *config,
                       const struct ip *ip)
{
    return trust_has(&config->allow, ip);
}

/*
 * From the last hop, whom the peer saw, to the first that is not trusted.
 * What says nothing ends the walk: who was seen before it cannot be known.
 */
static bool walk(const struct forwarded_config *config,
                 const struct forwarded_hops *hops,
                 struct forwarded_node *ret_node, struct bytes *ret_proto)
{
    bool found = false;

    for (uint32_t i = hops->end; i > hops->begin; i--) {
        const struct forwarded_hop *hop = forwarded_hops_at(hops, i - 1);
        struct forwarded_node node;

        if (forwarded_node_parse(hop->node, &node) != 0)
            break;
        *ret_node = node;
        *ret_proto = hop->proto;
        found = true;
        if (!is_trusted(config, &node.ip))
            break;
    }
    return found;
}

struct answer {
    bool there; /* the field was */
    bool found;
    struct forwarded_node node;
    struct bytes proto;
};

static struct answer ask(const struct forwarded_config *config,
                         const struct forwarded_head *head, enum http_name name)
{
    struct forwarded_hops hops;
    struct answer answer = {.proto = {"", 0}};

    collect(head, name, &hops);
    answer.there = hops.lines > 0;
    answer.found = walk(config, &hops, &answer.node, &answer.proto);
    return answer;
}

static bool agree(const struct answer *a, const struct answer *b)
{
    if (!a->there || !b->there)
        return true;
    return a->found == b->found &&
           (!a->found || ip_equal(&a->node.ip, &b->node.ip));
}

/*
 * A proxy looks after one of the two fields and may let the other one pass
 * as the client wrote it. Unless told which, both have to say the same.
 */
static enum http_error look_client(const struct forwarded_config *config,
                                   const struct forwarded_head *head,
                                   struct forwarded *to)
{
    struct answer x = {.found = false};
    struct answer rfc = {.found = false};
    const struct answer *answer = &rfc;

    if (config->client != FORWARDED_CLIENT_RFC)
        x = ask(config, head, HTTP_NAME_X_FORWARDED_FOR);
    if (config->client != FORWARDED_CLIENT_X)
        rfc = ask(config, head, HTTP_NAME_FORWARDED);
    if (!agree(&x, &rfc))
        return HTTP_ERROR_CLIENT;
    if (x.there && !rfc.node.has_port)
        answer = &x;
    if (answer->found) {
        to->has_client = true;
        to->client = answer->node.ip;
        to->has_port = answer->node.has_port;
        to->port = answer->node.port;
    }
    if (rfc.found && rfc.proto.n > 0)
        return claim(&to->scheme,
                     bytes_equal_nocase(rfc.proto, BYTES("https")));
    return HTTP_ERROR_NONE;
}

int forwarded_map_parse(const char *text, enum forwarded_map *ret_map)
{
    static const char *const names[] = {
        [FORWARDED_DROP] = "drop",
        [FORWARDED_REFUSE] = "refuse",
        [FORWARDED_DANGEROUS] = "dangerous",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcasecmp(text, names[i]) == 0) {
            *ret_map = (enum forwarded_map)i;
            return 0;
        }
    }
    return -EINVAL;
}

int forwarded_client_parse(const char *text, enum forwarded_client *ret_client)
{
    static const struct {
        const char *name;
        enum forwarded_client client;
    } names[] = {
        {"off", FORWARDED_CLIENT_OFF},
        {"auto", FORWARDED_CLIENT_AUTO},
        {"x-forwarded-for", FORWARDED_CLIENT_X},
        {"forwarded", FORWARDED_CLIENT_RFC},
        {"true", FORWARDED_CLIENT_AUTO},
        {"false", FORWARDED_CLIENT_OFF},
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcasecmp(text, names[i].name) == 0) {
            *ret_client = names[i].client;
            return 0;
        }
    }
    return -EINVAL;
}

enum http_error forwarded_read(const struct forwarded_config *config,
                               const struct forwarded_peer *peer,
                               const struct forwarded_head *head,
                               struct forwarded *ret_forwarded)
{
    struct forwarded to = {.scheme = FORWARDED_SCHEME_UNKNOWN};
    enum http_error error = look_underscores(config, peer->trusted, head);

    if (!error && peer->trusted)
        error = look_fields(config, head, &to);
    if (!error && config->client != FORWARDED_CLIENT_OFF &&
        (!peer->is_ip || is_trusted(config, &peer->ip)))
        error = look_client(config, head, &to);
    if (!error)
        *ret_forwarded = to;
    return error;
}
