/* SPDX-License-Identifier: MIT */
#include "uwsgi.h"

#include "http_scan.h"

#define NAME_MAX_BYTES 32 /* no known field name is as long */
/* What mounts an application in nginx configurations of old: as modifier 0. */
#define MODIFIER_CGI_MOUNT 30

/* A packet on its way to a request. */
struct reading {
    struct bytes data; /* the whole packet */
    struct http_request *request;
    struct http_field *fields;
    uint32_t max_fields;
    struct uwsgi_peer *peer;
    struct http_span uri; /* REQUEST_URI */
    struct http_span script_name;
    bool has_path;
    bool has_query;
};

static struct bytes text_of(const struct reading *r, struct http_span span)
{
    return (struct bytes){r->data.p + span.off, span.len};
}

static struct http_span span_of(const struct reading *r, struct bytes text)
{
    return (struct http_span){(uint32_t)(text.p - r->data.p), (uint32_t)text.n};
}

static uint32_t le16(const char *p)
{
    return (uint32_t)((uint8_t)p[0] | (uint8_t)p[1] << 8);
}

/* The known name that a CGI name stands for. */
static enum http_name name_find(struct bytes name)
{
    char spelling[NAME_MAX_BYTES];

    if (name.n > sizeof(spelling))
        return HTTP_NAME_OTHER;
    for (size_t i = 0; i < name.n; i++)
        spelling[i] = name.p[i] == '_' ? '-' : name.p[i];
    return http_name_find((struct bytes){spelling, name.n});
}

/* CGI has one variable of a name, so the last one counts. */
static struct http_field *field_find(const struct reading *r,
                                     enum http_name name)
{
    for (uint32_t i = 0; i < r->request->field_count; i++) {
        if (r->fields[i].name_id == name)
            return &r->fields[i];
    }
    return NULL;
}

static enum http_error put_field(struct reading *r, struct bytes name,
                                 struct bytes value, struct http_field like)
{
    struct http_field *field = NULL;

    if (like.name_id == HTTP_NAME_CONTENT_LENGTH ||
        like.name_id == HTTP_NAME_CONTENT_TYPE)
        field = field_find(r, like.name_id);
    if (!field) {
        if (r->request->field_count == r->max_fields)
            return HTTP_ERROR_FIELDS_LIMIT;
        field = &r->fields[r->request->field_count++];
    }
    *field = like;
    field->name_off = span_of(r, name).off;
    field->name_len = (uint16_t)name.n;
    field->value_off = span_of(r, value).off;
    field->value_len = (uint32_t)value.n;
    return HTTP_ERROR_NONE;
}

static enum http_error put_variable(struct reading *r, struct bytes name,
                                    struct bytes value)
{
    struct http_field like = {.flags = HTTP_FIELD_VARIABLE};

    /* These are promises of the server, not of whoever is in front of it. */
    if (name.n >= 5 && memcmp(name.p, "wsgi.", 5) == 0)
        return HTTP_ERROR_NONE;
    return put_field(r, name, value, like);
}

/*
 * CONTENT_LENGTH and CONTENT_TYPE come for themselves: their likes among the
 * fields that the client sent must not stand in for them.
 */
static enum http_error take_field(struct reading *r, struct bytes name,
                                  struct bytes value)
{
    struct http_field like = {.name_id = (uint8_t)name_find(name)};

    if (!http_is_token(name) || !http_is_value(value))
        return HTTP_ERROR_FIELD_VALUE;
    if (like.name_id == HTTP_NAME_CONTENT_LENGTH ||
        like.name_id == HTTP_NAME_CONTENT_TYPE)
        return HTTP_ERROR_NONE;
    return put_field(r, name, value, like);
}

/* Empty when the client sent none, says nginx. */
static enum http_error take_length(struct reading *r, struct bytes name,
                                   struct bytes value)
{
    struct http_field like = {.name_id = HTTP_NAME_CONTENT_LENGTH};
    struct http_request *request = r->request;
    uint64_t length = 0;

    if (value.n == 0)
        return HTTP_ERROR_NONE;
    for (size_t i = 0; i < value.n; i++) {
        if (!http_is_digit(value.p[i]) || length > (INT64_MAX - 9) / 10)
            return HTTP_ERROR_LENGTH;
        length = length * 10 + (uint64_t)(value.p[i] - '0');
    }
    request->content_length = length;
    request->flags |= HTTP_HAS_LENGTH;
    return put_field(r, name, value, like);
}

static enum http_error take_type(struct reading *r, struct bytes name,
                                 struct bytes value)
{
    struct http_field like = {.name_id = HTTP_NAME_CONTENT_TYPE};

    if (value.n == 0)
        return HTTP_ERROR_NONE;
    if (!http_is_value(value))
        return HTTP_ERROR_FIELD_VALUE;
    return put_field(r, name, value, like);
}

static enum http_error take_method(struct reading *r, struct bytes name,
                                   struct bytes value)
{
    (void)name;
    if (!http_is_token(value))
        return HTTP_ERROR_METHOD;
    r->request->method = span_of(r, value);
    r->request->method_id = (uint8_t)http_method_find(value);
    return HTTP_ERROR_NONE;
}

static enum http_error take_path(struct reading *r, struct bytes name,
                                 struct bytes value)
{
    (void)name;
    r->request->path = span_of(r, value);
    r->has_path = true;
    return HTTP_ERROR_NONE;
}

static enum http_error take_query(struct reading *r, struct bytes name,
                                  struct bytes value)
{
    (void)name;
    r->request->query = span_of(r, value);
    r->has_query = true;
    return HTTP_ERROR_NONE;
}

static enum http_error take_protocol(struct reading *r, struct bytes name,
                                     struct bytes value)
{
    (void)name;
    if (!http_is_value(value))
        return HTTP_ERROR_VERSION;
    r->request->version = span_of(r, value);
    return HTTP_ERROR_NONE;
}

/* uWSGI's applications know it by this name, Gunicorn's as RAW_URI. */
static enum http_error take_uri(struct reading *r, struct bytes name,
                                struct bytes value)
{
    r->uri = span_of(r, value);
    return put_variable(r, name, value);
}

static enum http_error take_script_name(struct reading *r, struct bytes name,
                                        struct bytes value)
{
    r->script_name = span_of(r, value);
    return put_variable(r, name, value);
}

static enum http_error take_addr(struct reading *r, struct bytes name,
                                 struct bytes value)
{
    r->peer->addr = span_of(r, value);
    return put_variable(r, name, value);
}

static enum http_error take_port(struct reading *r, struct bytes name,
                                 struct bytes value)
{
    r->peer->port = span_of(r, value);
    return put_variable(r, name, value);
}

/* HTTPS is "on" or "1"; the schemes are words. */
static enum http_error take_scheme(struct reading *r, struct bytes name,
                                   struct bytes value)
{
    if (bytes_equal_nocase(value, BYTES("https")) ||
        bytes_equal_nocase(value, BYTES("on")) ||
        bytes_equal(value, BYTES("1")))
        r->peer->secure = true;
    return put_variable(r, name, value);
}

static enum http_error take_variable(struct reading *r, struct bytes name,
                                     struct bytes value)
{
    static const struct {
        struct bytes name;
        enum http_error (*take)(struct reading *r, struct bytes name,
                                struct bytes value);
    } known[] = {
        {{"REQUEST_METHOD", 14}, take_method},
        {{"REQUEST_URI", 11}, take_uri},
        {{"PATH_INFO", 9}, take_path},
        {{"QUERY_STRING", 12}, take_query},
        {{"SCRIPT_NAME", 11}, take_script_name},
        {{"SERVER_PROTOCOL", 15}, take_protocol},
        {{"CONTENT_LENGTH", 14}, take_length},
        {{"CONTENT_TYPE", 12}, take_type},
        {{"REMOTE_ADDR", 11}, take_addr},
        {{"REMOTE_PORT", 11}, take_port},
        {{"HTTPS", 5}, take_scheme},
        {{"REQUEST_SCHEME", 14}, take_scheme},
        {{"UWSGI_SCHEME", 12}, take_scheme},
        {{"wsgi.url_scheme", 15}, take_scheme},
    };

    if (name.n > 5 && memcmp(name.p, "HTTP_", 5) == 0)
        return take_field(r, (struct bytes){name.p + 5, name.n - 5}, value);
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (bytes_equal(name, known[i].name))
            return known[i].take(r, name, value);
    }
    return put_variable(r, name, value);
}

/* A string with its length in front; takes it off the rest. */
static bool next_string(struct bytes *rest, struct bytes *ret_text)
{
    uint32_t n;

    if (rest->n < 2)
        return false;
    n = le16(rest->p);
    if (n > rest->n - 2)
        return false;
    *ret_text = (struct bytes){rest->p + 2, n};
    rest->p += 2 + n;
    rest->n -= 2 + n;
    return true;
}

static enum http_error take_all(struct reading *r)
{
    struct bytes rest = {r->data.p + UWSGI_HEAD_BYTES,
                         r->data.n - UWSGI_HEAD_BYTES};

    while (rest.n > 0) {
        struct bytes name;
        struct bytes value;
        enum http_error error;

        if (!next_string(&rest, &name) || !next_string(&rest, &value) ||
            name.n == 0)
            return HTTP_ERROR_UWSGI;
        error = take_variable(r, name, value);
        if (error)
            return error;
    }
    return HTTP_ERROR_NONE;
}

/* What nginx's uwsgi_params has twice, and other senders perhaps once. */
static void complete_uri(struct reading *r)
{
    struct http_request *request = r->request;
    struct bytes uri = text_of(r, r->uri);
    const char *mark = memchr(uri.p, '?', uri.n);
    struct bytes path = {uri.p, mark ? (size_t)(mark - uri.p) : uri.n};

    request->target = r->uri.len > 0 ? r->uri : request->path;
    if (!r->has_path)
        request->path = span_of(r, path);
    if (!r->has_query && mark)
        request->query = span_of(r,
                                 (struct bytes){mark + 1, uri.n - path.n - 1});
}

/* SCRIPT_NAME and, right behind it, PATH_INFO are the path that was asked. */
static bool adds_up(const struct reading *r, struct bytes script,
                    struct bytes path)
{
    struct bytes uri = text_of(r, r->uri);

    return uri.n >= script.n + path.n &&
           memcmp(uri.p, script.p, script.n) == 0 &&
           memcmp(uri.p + script.n, path.p, path.n) == 0;
}

/*
 * With SCRIPT_NAME nginx still sends the whole path in PATH_INFO, unless it
 * was told to rewrite it: applications want what is behind SCRIPT_NAME.
 */
static void strip_script_name(struct reading *r)
{
    struct http_span *path = &r->request->path;
    struct bytes script = text_of(r, r->script_name);
    struct bytes text = text_of(r, *path);

    r->request->flags |= HTTP_SCRIPT_NAME;
    if (script.n == 0 || script.p[script.n - 1] == '/' || text.n < script.n ||
        memcmp(text.p, script.p, script.n) != 0 ||
        (text.n > script.n && text.p[script.n] != '/') ||
        adds_up(r, script, text))
        return;
    path->off += (uint32_t)script.n;
    path->len -= (uint32_t)script.n;
}

static int finish(struct reading *r)
{
    struct http_request *request = r->request;

    if (request->method.len == 0)
        return -HTTP_ERROR_METHOD;
    complete_uri(r);
    if (request->target.len == 0)
        return -HTTP_ERROR_TARGET;
    request->flags |= HTTP_GATEWAY | HTTP_VARIABLES;
    if (r->has_path)
        request->flags |= HTTP_PATH_DECODED;
    if (r->script_name.off > 0)
        strip_script_name(r);
    request->head_len = (uint32_t)r->data.n;
    return (int)r->data.n;
}

int uwsgi_parse(struct bytes data, struct http_request *request,
                struct http_field *fields, uint32_t max_fields,
                struct uwsgi_peer *ret_peer)
{
    struct reading r = {
        .request = request,
        .fields = fields,
        .max_fields = max_fields,
        .peer = ret_peer,
    };
    enum http_error error;
    size_t size;

    if (data.n > 0 && data.p[0] != 0 && data.p[0] != MODIFIER_CGI_MOUNT)
        return -HTTP_ERROR_UWSGI;
    if (data.n < UWSGI_HEAD_BYTES)
        return 0;
    size = UWSGI_HEAD_BYTES + le16(data.p + 1);
    if (data.n < size)
        return 0;
    r.data = (struct bytes){data.p, size};
    *request = (struct http_request){.version_minor = 0};
    *ret_peer = (struct uwsgi_peer){.secure = false};
    error = take_all(&r);
    return error ? -(int)error : finish(&r);
}

void uwsgi_spell(char *head, const struct http_request *request,
                 const struct http_field *fields)
{
    for (uint32_t i = 0; i < request->field_count; i++) {
        char *name = head + fields[i].name_off;

        if (fields[i].flags & HTTP_FIELD_VARIABLE)
            continue;
        for (uint32_t n = 0; n < fields[i].name_len; n++) {
            if (name[n] == '_')
                name[n] = '-';
        }
    }
}
