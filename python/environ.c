/* SPDX-License-Identifier: MIT */
#include "environ.h"

#include "core/board.h"
#include "core/exchange_request.h"
#include "core/percent.h"

#include <ctype.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Longer values are not remembered: they seldom come twice. */
#define LAST_BYTES_MAX 256

/* One request being turned into a dict. */
struct making {
    struct environ_maker *maker;
    const struct arena *arena;
    const struct exchange *x;
    const char *head;
    PyObject *environ;
};

static PyObject *latin1(struct bytes text)
{
    return PyUnicode_DecodeLatin1(text.p, (Py_ssize_t)text.n, NULL);
}

static bool is_same(PyObject *text, struct bytes bytes)
{
    return PyUnicode_GET_LENGTH(text) == (Py_ssize_t)bytes.n &&
           memcmp(PyUnicode_1BYTE_DATA(text), bytes.p, bytes.n) == 0;
}

/* A Latin-1 string keeps one byte a character, so bytes compare with it. */
static PyObject *remembered(PyObject **last, struct bytes bytes)
{
    PyObject *text;

    if (*last && is_same(*last, bytes))
        return Py_NewRef(*last);
    text = latin1(bytes);
    if (text && bytes.n <= LAST_BYTES_MAX)
        Py_XSETREF(*last, Py_NewRef(text));
    return text;
}

static int set(struct making *m, enum environ_key key, PyObject *value)
{
    return PyDict_SetItem(m->environ, m->maker->key[key], value);
}

/* Steals value; NULL is an exception passed on. */
static int set_new(struct making *m, enum environ_key key, PyObject *value)
{
    owned PyObject *mine = value;

    return mine ? set(m, key, mine) : -1;
}

static int set_last(struct making *m, enum environ_key key, struct bytes value)
{
    return set_new(m, key, remembered(&m->maker->last[key], value));
}

static struct bytes span(const struct making *m, struct http_span s)
{
    return exchange_span(m->x, m->head, s.off, s.len);
}

static PyObject *percent_decoded(struct bytes path)
{
    owned PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)path.n);
    char *to = bytes ? PyBytes_AS_STRING(bytes) : NULL;

    return to ? latin1((struct bytes){to, percent_decode(path, to)}) : NULL;
}

static PyObject *without_script_name(struct environ_maker *maker,
                                     PyObject *path)
{
    Py_ssize_t n = PyUnicode_GET_LENGTH(maker->script_name);
    int begins;

    if (n == 0)
        return Py_NewRef(path);
    begins = (int)PyUnicode_Tailmatch(path, maker->script_name, 0,
                                      PY_SSIZE_T_MAX, -1);
    if (begins < 0)
        return NULL;
    if (!begins) {
        PyErr_Format(PyExc_ValueError,
                     "request path %R does not begin with SCRIPT_NAME %R", path,
                     maker->script_name);
        return NULL;
    }
    return PyUnicode_Substring(path, n, PY_SSIZE_T_MAX);
}

static PyObject *path_info(struct environ_maker *maker, struct bytes path)
{
    PyObject **last = &maker->last[ENVIRON_PATH_INFO];
    owned PyObject *decoded = NULL;
    PyObject *info;

    if (*last && maker->raw_path && is_same(maker->raw_path, path))
        return Py_NewRef(*last);
    decoded = memchr(path.p, '%', path.n) ? percent_decoded(path)
                                          : latin1(path);
    info = decoded ? without_script_name(maker, decoded) : NULL;
    if (info && path.n <= LAST_BYTES_MAX) {
        PyObject *raw = latin1(path);

        if (!raw) {
            Py_DECREF(info);
            return NULL;
        }
        Py_XSETREF(maker->raw_path, raw);
        Py_XSETREF(*last, Py_NewRef(info));
    }
    return info;
}

/* A proxy or gateway has said what SCRIPT_NAME is, or decoded the path. */
static PyObject *path_info_told(struct making *m, struct bytes path)
{
    uint16_t flags = m->x->request.flags;
    bool decoded = flags & HTTP_PATH_DECODED || !memchr(path.p, '%', path.n);
    owned PyObject *info = decoded ? latin1(path) : percent_decoded(path);

    if (!info || flags & HTTP_SCRIPT_NAME)
        return give(&info);
    return without_script_name(m->maker, info);
}

static int set_path_info(struct making *m)
{
    struct bytes path = span(m, m->x->request.path);
    uint16_t told = HTTP_SCRIPT_NAME | HTTP_PATH_DECODED;
    bool usual = !(m->x->request.flags & told);

    return set_new(m, ENVIRON_PATH_INFO,
                   likely(usual) ? path_info(m->maker, path)
                                 : path_info_told(m, path));
}

static PyObject *port_text(struct environ_maker *maker, uint16_t port)
{
    PyObject **slot = &maker->port[port % ENVIRON_PORTS];

    if (!*slot || maker->port_number[port % ENVIRON_PORTS] != port) {
        PyObject *text = PyUnicode_FromFormat("%u", (unsigned)port);

        if (!text)
            return NULL;
        Py_XSETREF(*slot, text);
        maker->port_number[port % ENVIRON_PORTS] = port;
    }
    return Py_NewRef(*slot);
}

static int set_peer(struct making *m)
{
    const struct exchange_peer *peer = &m->x->peer;
    size_t n = min_u64(peer->addr_len, sizeof(peer->addr));

    if (peer->family == AF_UNIX) /* as in Gunicorn: '' and no port */
        return PyDict_DelItem(m->environ, m->maker->key[ENVIRON_REMOTE_PORT]);
    if (set_last(m, ENVIRON_REMOTE_ADDR, (struct bytes){peer->addr, n}) < 0)
        return -1;
    if (unlikely(peer->portless))
        return PyDict_DelItem(m->environ, m->maker->key[ENVIRON_REMOTE_PORT]);
    return set_new(m, ENVIRON_REMOTE_PORT, port_text(m->maker, peer->port));
}

/* "name", "name:port", "[v6]" or "[v6]:port". */
static int set_server_from_host(struct making *m, struct bytes host)
{
    const char *end = host.p + host.n;
    const char *after = host.n && host.p[0] == '[' ? memchr(host.p, ']', host.n)
                                                   : host.p;
    const char *colon = after ? memchr(after, ':', (size_t)(end - after))
                              : NULL;
    bool secure = m->x->flags & EXCHANGE_SECURE;
    struct bytes port = secure ? BYTES("443") : BYTES("80");

    if (host.n == 0)
        port = BYTES("");
    if (colon && colon + 1 < end)
        port = (struct bytes){colon + 1, (size_t)(end - colon - 1)};
    if (colon)
        host.n = (size_t)(colon - host.p);
    if (set_new(m, ENVIRON_SERVER_NAME, latin1(host)) < 0)
        return -1;
    return set_new(m, ENVIRON_SERVER_PORT, latin1(port));
}

static int set_server(struct making *m, struct bytes host)
{
    uint16_t index = m->x->peer.listener;
    const struct environ_listener *listener;

    if (index >= BOARD_LISTENERS_MAX)
        index = 0;
    listener = &m->maker->listener[index];
    if (!listener->name)
        return set_server_from_host(m, host);
    if (set(m, ENVIRON_SERVER_NAME, listener->name) < 0)
        return -1;
    return set(m, ENVIRON_SERVER_PORT, listener->port);
}

/* Not interned: what is interned may stay for ever, and clients choose this. */
static PyObject *make_key(struct bytes name)
{
    struct bytes prefix = BYTES("HTTP_");
    owned PyObject *bytes =
        PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(prefix.n + name.n));
    char *to;
    size_t i;

    if (!bytes)
        return NULL;
    to = PyBytes_AS_STRING(bytes);
    memcpy(to, prefix.p, prefix.n);
    for (i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (c == '-')
            c = '_';
        else if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        to[prefix.n + i] = c;
    }
    return latin1((struct bytes){to, prefix.n + name.n});
}

/* Several lines of one field are one list (RFC 9110 5.3); cookies differ. */
static int join_field(struct making *m, PyObject *key, PyObject *value,
                      bool cookie)
{
    PyObject *before = PyDict_GetItemWithError(m->environ, key);
    owned PyObject *joined = NULL;

    if (!before)
        return PyErr_Occurred() ? -1 : 0;
    joined = PyUnicode_FromFormat(cookie ? "%U; %U" : "%U,%U", before, value);
    return joined ? PyDict_SetItem(m->environ, key, joined) : -1;
}

static PyObject *unfolded(struct bytes value)
{
    owned PyObject *line = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)value.n);

    if (!line)
        return NULL;
    value.n = http_unfold(value, PyBytes_AS_STRING(line));
    return latin1((struct bytes){PyBytes_AS_STRING(line), value.n});
}

static PyObject *field_text(struct making *m, const struct http_field *field,
                            uint8_t id, struct bytes value)
{
    bool secret = id == HTTP_NAME_COOKIE || id == HTTP_NAME_AUTHORIZATION;

    if (unlikely(field->flags & HTTP_FIELD_FOLDED))
        return unfolded(value);
    if (id == HTTP_NAME_OTHER || secret)
        return latin1(value);
    return remembered(&m->maker->last_field[id], value);
}

static int set_field(struct making *m, const struct http_field *field,
                     struct bytes value)
{
    uint8_t id = field->name_id < HTTP_NAME_COUNT ? field->name_id : 0;
    owned PyObject *key = NULL;
    owned PyObject *text = NULL;
    Py_ssize_t before = PyDict_GET_SIZE(m->environ);

    if (id == HTTP_NAME_OTHER)
        key = names_get(
            &m->maker->names,
            exchange_span(m->x, m->head, field->name_off, field->name_len),
            make_key);
    else
        key = Py_NewRef(m->maker->field_key[id]);
    if (!key)
        return -1;
    text = field_text(m, field, id, value);
    if (!text || !PyDict_SetDefault(m->environ, key, text))
        return -1;
    if (likely(PyDict_GET_SIZE(m->environ) > before))
        return 0;
    return join_field(m, key, text, id == HTTP_NAME_COOKIE);
}

static int set_fields(struct making *m, struct bytes *ret_host)
{
    const struct http_field *fields = exchange_fields(m->arena, m->x);
    uint32_t i;

    if (!fields) {
        PyErr_SetString(PyExc_ValueError, "damaged exchange");
        return -1;
    }
    for (i = 0; i < m->x->request.field_count; i++) {
        struct http_field field = fields[i];
        struct bytes value = exchange_span(m->x, m->head, field.value_off,
                                           field.value_len);

        if (field.flags & (HTTP_FIELD_DROPPED | HTTP_FIELD_VARIABLE))
            continue;
        if (field.name_id == HTTP_NAME_HOST)
            *ret_host = value;
        if (set_field(m, &field, value) < 0)
            return -1;
    }
    return 0;
}

static int set_variable(struct making *m, const struct http_field *field)
{
    owned PyObject *key =
        latin1(exchange_span(m->x, m->head, field->name_off, field->name_len));
    owned PyObject *value = latin1(
        exchange_span(m->x, m->head, field->value_off, field->value_len));

    return key && value ? PyDict_SetItem(m->environ, key, value) : -1;
}

/* What proxies and gateways say outdoes what can be seen from here. */
static int set_variables(struct making *m)
{
    const struct http_field *fields = exchange_fields(m->arena, m->x);
    uint32_t count = fields ? m->x->request.field_count : 0;
    uint32_t i;

    for (i = 0; i < count; i++) {
        struct http_field field = fields[i];

        if (field.flags & HTTP_FIELD_VARIABLE && set_variable(m, &field) < 0)
            return -1;
    }
    return 0;
}

static int set_method(struct making *m)
{
    struct bytes method = span(m, m->x->request.method);
    char upper[64];
    size_t i;

    if (unlikely(m->x->request.flags & HTTP_CASEFOLD) &&
        method.n <= sizeof(upper)) {
        for (i = 0; i < method.n; i++)
            upper[i] = (char)toupper((unsigned char)method.p[i]);
        method.p = upper;
    }
    return set_last(m, ENVIRON_REQUEST_METHOD, method);
}

static int set_request_line(struct making *m)
{
    const struct http_request *request = &m->x->request;
    struct bytes version = span(m, request->version);

    if (version.n == 0) /* a gateway did not say */
        version = BYTES("HTTP/1.0");
    if (set_method(m) < 0 ||
        set_last(m, ENVIRON_RAW_URI, span(m, request->target)) < 0 ||
        set_last(m, ENVIRON_SERVER_PROTOCOL, version) < 0)
        return -1;
    if (request->query.len > 0 &&
        set_last(m, ENVIRON_QUERY_STRING, span(m, request->query)) < 0)
        return -1;
    return set_path_info(m);
}

static int fill(struct making *m, PyObject *input, PyObject *early_hints)
{
    struct bytes host = {"", 0};

    if (set_request_line(m) < 0 || set_fields(m, &host) < 0 ||
        set_peer(m) < 0 || set_server(m, host) < 0)
        return -1;
    if (unlikely(m->x->request.flags & HTTP_VARIABLES) && set_variables(m) < 0)
        return -1;
    if (m->x->flags & EXCHANGE_SECURE &&
        set(m, ENVIRON_URL_SCHEME, m->maker->https) < 0)
        return -1;
    if (set(m, ENVIRON_INPUT, input) < 0)
        return -1;
    return set(m, ENVIRON_EARLY_HINTS, early_hints);
}

PyObject *environ_make(struct environ_maker *maker, const struct arena *arena,
                       const struct exchange *x, PyObject *input,
                       PyObject *early_hints)
{
    struct making m = {
        .maker = maker,
        .arena = arena,
        .x = x,
        .head = exchange_head(arena, x),
    };

    if (!m.head) {
        PyErr_SetString(PyExc_ValueError, "damaged exchange");
        return NULL;
    }
    m.environ = PyDict_Copy(maker->template);
    if (m.environ && fill(&m, input, early_hints) < 0)
        Py_CLEAR(m.environ);
    return m.environ;
}

static int make_keys(struct environ_maker *maker)
{
    static const char *const keys[] = {
#define X(id, key) key,
        ENVIRON_KEYS(X)
#undef X
    };
    static const char *const fields[] = {"",
#define X(id, spelling, key) key,
                                         HTTP_NAMES(X)
#undef X
    };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(keys); i++)
        if (!(maker->key[i] = PyUnicode_InternFromString(keys[i])))
            return -1;
    for (i = 0; i < ARRAY_SIZE(fields); i++)
        if (!(maker->field_key[i] = PyUnicode_InternFromString(fields[i])))
            return -1;
    return 0;
}

static int make_listeners(struct environ_maker *maker,
                          const struct board *board)
{
    uint32_t i;

    for (i = 0; i < board->listeners && i < BOARD_LISTENERS_MAX; i++) {
        const struct board_listener *from = &board->listener[i];
        struct environ_listener *to = &maker->listener[i];

        if (from->family == AF_UNIX)
            continue;
        to->name = PyUnicode_FromString(from->host);
        to->port = PyUnicode_FromFormat("%u", (unsigned)from->port);
        if (!to->name || !to->port)
            return -1;
    }
    return 0;
}

/* What every request starts from; the order is the order applications see. */
static PyObject *make_template(struct environ_maker *maker,
                               const struct environ_config *config)
{
    owned PyObject *template = Py_BuildValue(
        "{sO s(ii) sO sO sO sO sO ss}", "wsgi.errors", config->errors,
        "wsgi.version", 1, 0, "wsgi.multithread",
        config->multithread ? Py_True : Py_False, "wsgi.multiprocess",
        config->multiprocess ? Py_True : Py_False, "wsgi.run_once", Py_False,
        "wsgi.file_wrapper", config->file_wrapper, "wsgi.input_terminated",
        Py_True, "SERVER_SOFTWARE", "gcorn/" GCORN_VERSION);
    size_t i;

    for (i = 0; template && i < ENVIRON_KEY_COUNT; i++)
        if (PyDict_SetItem(template, maker->key[i], maker->empty) < 0)
            return NULL;
    if (!template ||
        PyDict_SetItem(template, maker->key[ENVIRON_URL_SCHEME], maker->http) <
            0 ||
        PyDict_SetItem(template, maker->key[ENVIRON_SCRIPT_NAME],
                       maker->script_name) < 0)
        return NULL;
    return give(&template);
}

int environ_init(struct environ_maker *maker,
                 const struct environ_config *config)
{
    const char *script_name = getenv("SCRIPT_NAME");

    memset(maker, 0, sizeof(*maker));
    maker->empty = PyUnicode_FromString("");
    maker->http = PyUnicode_InternFromString("http");
    maker->https = PyUnicode_InternFromString("https");
    maker->script_name = latin1((struct bytes){
        script_name ? script_name : "", script_name ? strlen(script_name) : 0});
    if (!maker->empty || !maker->http || !maker->https || !maker->script_name ||
        make_keys(maker) < 0 || make_listeners(maker, config->board) < 0)
        return -1;
    maker->template = make_template(maker, config);
    return maker->template ? 0 : -1;
}

/* The maker is nothing but references and two tables of numbers. */
static void drop_all(PyObject **refs, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        Py_CLEAR(refs[i]);
}

void environ_done(struct environ_maker *maker)
{
    size_t i;

    Py_CLEAR(maker->template);
    drop_all(maker->key, ENVIRON_KEY_COUNT);
    drop_all(maker->field_key, HTTP_NAME_COUNT);
    drop_all(maker->last, ENVIRON_KEY_COUNT);
    drop_all(maker->last_field, HTTP_NAME_COUNT);
    drop_all(maker->port, ENVIRON_PORTS);
    Py_CLEAR(maker->raw_path);
    Py_CLEAR(maker->empty);
    Py_CLEAR(maker->http);
    Py_CLEAR(maker->https);
    Py_CLEAR(maker->script_name);
    names_done(&maker->names);
    for (i = 0; i < BOARD_LISTENERS_MAX; i++) {
        Py_CLEAR(maker->listener[i].name);
        Py_CLEAR(maker->listener[i].port);
    }
}
