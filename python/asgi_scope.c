/* SPDX-License-Identifier: MIT */
#include "asgi_scope.h"

#include "core/board.h"
#include "core/exchange_request.h"
#include "core/percent.h"

#include <ctype.h>
#include <string.h>
#include <sys/socket.h>

/* Longer values are not remembered: they seldom come twice. */
#define LAST_BYTES_MAX 256

struct making {
    struct scope_maker *maker;
    const struct arena *arena;
    const struct exchange *x;
    const char *head;
    bool websocket;
    PyObject *scope;
    PyObject *headers;
    PyObject *subprotocols;
    struct bytes script_name; /* a proxy or gateway said so; p NULL: none */
};

static PyObject *bytes_object(struct bytes text)
{
    return PyBytes_FromStringAndSize(text.p, (Py_ssize_t)text.n);
}

static bool is_same(PyObject *object, struct bytes bytes)
{
    return PyBytes_GET_SIZE(object) == (Py_ssize_t)bytes.n &&
           memcmp(PyBytes_AS_STRING(object), bytes.p, bytes.n) == 0;
}

static struct bytes span(const struct making *m, struct http_span s)
{
    return exchange_span(m->x, m->head, s.off, s.len);
}

static int set(struct making *m, enum scope_key key, PyObject *value)
{
    return value ? PyDict_SetItem(m->scope, m->maker->key[key], value) : -1;
}

static int set_new(struct making *m, enum scope_key key, PyObject *value)
{
    owned PyObject *mine = value;

    return set(m, key, mine);
}

static PyObject *remembered_bytes(PyObject **last, struct bytes bytes)
{
    PyObject *object;

    if (*last && is_same(*last, bytes))
        return Py_NewRef(*last);
    object = bytes_object(bytes);
    if (object && bytes.n <= LAST_BYTES_MAX)
        Py_XSETREF(*last, Py_NewRef(object));
    return object;
}

static PyObject *percent_decoded(struct bytes path)
{
    owned PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)path.n);
    char *to = bytes ? PyBytes_AS_STRING(bytes) : NULL;

    return to ? PyUnicode_DecodeUTF8(to, (Py_ssize_t)percent_decode(path, to),
                                     "replace")
              : NULL;
}

static PyObject *path_text(const struct making *m, struct bytes path)
{
    if (!(m->x->request.flags & HTTP_PATH_DECODED) &&
        memchr(path.p, '%', path.n))
        return percent_decoded(path);
    return PyUnicode_DecodeUTF8(path.p, (Py_ssize_t)path.n, "replace");
}

/* The path includes root_path, also when a proxy has taken that off. */
static PyObject *with_root(PyObject *root, PyObject *path)
{
    int begins;

    if (PyUnicode_GET_LENGTH(root) == 0)
        return Py_NewRef(path);
    begins = (int)PyUnicode_Tailmatch(path, root, 0, PY_SSIZE_T_MAX, -1);
    if (begins < 0)
        return NULL;
    return begins ? Py_NewRef(path) : PyUnicode_Concat(root, path);
}

static int set_told_path(struct making *m, struct bytes raw)
{
    owned PyObject *root = PyUnicode_DecodeUTF8(
        m->script_name.p, (Py_ssize_t)m->script_name.n, "replace");
    owned PyObject *rest = root ? path_text(m, raw) : NULL;
    owned PyObject *path = rest ? with_root(root, rest) : NULL;

    if (!path || set(m, SCOPE_PATH, path) < 0)
        return -1;
    return set(m, SCOPE_ROOT_PATH, root);
}

static int set_path(struct making *m)
{
    struct scope_maker *maker = m->maker;
    struct bytes raw = span(m, m->x->request.path);
    owned PyObject *plain = NULL;
    owned PyObject *path = NULL;

    if (raw.n == 0)
        raw = BYTES("/");
    if (maker->last_raw && is_same(maker->last_raw, raw) && !m->script_name.p &&
        !(m->x->request.flags & HTTP_PATH_DECODED)) {
        if (set(m, SCOPE_RAW_PATH, maker->last_raw) < 0)
            return -1;
        return set(m, SCOPE_PATH, maker->last[SCOPE_PATH]);
    }
    if (set_new(m, SCOPE_RAW_PATH, bytes_object(raw)) < 0)
        return -1;
    if (m->script_name.p)
        return set_told_path(m, raw);
    plain = path_text(m, raw);
    path = plain ? with_root(maker->root_path, plain) : NULL;
    if (!path || set(m, SCOPE_PATH, path) < 0)
        return -1;
    if (raw.n <= LAST_BYTES_MAX && !(m->x->request.flags & HTTP_PATH_DECODED)) {
        PyObject *kept = bytes_object(raw);

        if (!kept)
            return -1;
        Py_XSETREF(maker->last_raw, kept);
        Py_XSETREF(maker->last[SCOPE_PATH], Py_NewRef(path));
    }
    return 0;
}

static int set_method(struct making *m)
{
    PyObject **last = &m->maker->last[SCOPE_METHOD];
    struct bytes method = span(m, m->x->request.method);
    char upper[64];
    size_t i;

    if (m->x->request.flags & HTTP_CASEFOLD && method.n <= sizeof(upper)) {
        for (i = 0; i < method.n; i++)
            upper[i] = (char)toupper((unsigned char)method.p[i]);
        method.p = upper;
    }
    if (!*last || PyUnicode_GET_LENGTH(*last) != (Py_ssize_t)method.n ||
        memcmp(PyUnicode_1BYTE_DATA(*last), method.p, method.n) != 0) {
        PyObject *text = PyUnicode_DecodeLatin1(method.p, (Py_ssize_t)method.n,
                                                NULL);

        if (!text)
            return -1;
        Py_XSETREF(*last, text);
    }
    return set(m, SCOPE_METHOD, *last);
}

static PyObject *lower(struct bytes name)
{
    PyObject *object = bytes_object(name);
    char *p = object ? PyBytes_AS_STRING(object) : NULL;
    size_t i;

    for (i = 0; p && i < name.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] + ('a' - 'A'));
    return object;
}

static PyObject *field_value(const struct http_field *field, struct bytes value)
{
    owned PyObject *line = NULL;

    if (likely(!(field->flags & HTTP_FIELD_FOLDED)))
        return bytes_object(value);
    line = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)value.n);
    if (!line)
        return NULL;
    value.n = http_unfold(value, PyBytes_AS_STRING(line));
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(line),
                                     (Py_ssize_t)value.n);
}

static PyObject *make_pair(PyObject *name, const struct http_field *field,
                           struct bytes value)
{
    owned PyObject *object = field_value(field, value);

    return object ? PyTuple_Pack(2, name, object) : NULL;
}

static PyObject *pair_of(struct making *m, const struct http_field *field,
                         struct bytes value)
{
    uint8_t id = field->name_id < HTTP_NAME_COUNT ? field->name_id : 0;
    PyObject **last = &m->maker->last_pair[id];
    PyObject *pair;

    if (id == HTTP_NAME_OTHER) {
        owned PyObject *name = names_get(
            &m->maker->names,
            exchange_span(m->x, m->head, field->name_off, field->name_len),
            lower);

        return name ? make_pair(name, field, value) : NULL;
    }
    if (*last && is_same(PyTuple_GET_ITEM(*last, 1), value))
        return Py_NewRef(*last);
    pair = make_pair(m->maker->field_name[id], field, value);
    if (pair && value.n <= LAST_BYTES_MAX && id != HTTP_NAME_COOKIE &&
        id != HTTP_NAME_AUTHORIZATION && !(field->flags & HTTP_FIELD_FOLDED))
        Py_XSETREF(*last, Py_NewRef(pair));
    return pair;
}

/* "chat, superchat": a list of tokens. */
static int add_subprotocols(struct making *m, struct bytes value)
{
    while (value.n > 0) {
        const char *comma = memchr(value.p, ',', value.n);
        struct bytes item = {value.p,
                             comma ? (size_t)(comma - value.p) : value.n};
        owned PyObject *text = NULL;

        value.p += item.n + (comma ? 1 : 0);
        value.n -= item.n + (comma ? 1 : 0);
        while (item.n > 0 && (*item.p == ' ' || *item.p == '\t'))
            item = (struct bytes){item.p + 1, item.n - 1};
        while (item.n > 0 &&
               (item.p[item.n - 1] == ' ' || item.p[item.n - 1] == '\t'))
            item.n--;
        if (item.n == 0)
            continue;
        text = PyUnicode_DecodeLatin1(item.p, (Py_ssize_t)item.n, NULL);
        if (!text || PyList_Append(m->subprotocols, text) < 0)
            return -1;
    }
    return 0;
}

static int add_field(struct making *m, const struct http_field *field)
{
    struct bytes value = exchange_span(m->x, m->head, field->value_off,
                                       field->value_len);
    struct bytes name = exchange_span(m->x, m->head, field->name_off,
                                      field->name_len);
    owned PyObject *pair = NULL;

    if (field->flags & HTTP_FIELD_VARIABLE) {
        if (bytes_equal(name, BYTES("SCRIPT_NAME")))
            m->script_name = value;
        return 0;
    }
    if (field->flags & HTTP_FIELD_DROPPED)
        return 0;
    pair = pair_of(m, field, value);
    if (!pair || PyList_Append(m->headers, pair) < 0)
        return -1;
    if (m->websocket &&
        bytes_equal_nocase(name, BYTES("sec-websocket-protocol")))
        return add_subprotocols(m, value);
    return 0;
}

static int set_headers(struct making *m)
{
    const struct http_field *fields = exchange_fields(m->arena, m->x);
    uint32_t count = m->x->request.field_count;
    uint32_t i;

    if (!fields) {
        PyErr_SetString(PyExc_ValueError, "damaged exchange");
        return -1;
    }
    for (i = 0; i < count; i++) {
        struct http_field field = fields[i];

        if (add_field(m, &field) < 0)
            return -1;
    }
    return set(m, SCOPE_HEADERS, m->headers);
}

static int set_client(struct making *m)
{
    const struct exchange_peer *peer = &m->x->peer;
    size_t n = min_u64(peer->addr_len, sizeof(peer->addr));

    if (n == 0)
        return set(m, SCOPE_CLIENT, Py_None);
    return set_new(m, SCOPE_CLIENT,
                   Py_BuildValue("(s#i)", peer->addr, (Py_ssize_t)n,
                                 peer->portless ? 0 : (int)peer->port));
}

static int set_line(struct making *m)
{
    struct scope_maker *maker = m->maker;
    const struct http_request *request = &m->x->request;
    bool secure = m->x->flags & EXCHANGE_SECURE;
    bool old = request->version_minor == 0 && !(request->flags & HTTP_GATEWAY);
    uint16_t listener = m->x->peer.listener < BOARD_LISTENERS_MAX
                            ? m->x->peer.listener
                            : 0;

    if (set(m, SCOPE_HTTP_VERSION, old ? maker->http_1_0 : maker->http_1_1) < 0)
        return -1;
    if (!m->websocket && set_method(m) < 0)
        return -1;
    if (set(m, SCOPE_SCHEME, maker->scheme[2 * m->websocket + secure]) < 0 ||
        set_new(m, SCOPE_QUERY_STRING,
                remembered_bytes(&maker->last[SCOPE_QUERY_STRING],
                                 span(m, request->query))) < 0)
        return -1;
    return set(m, SCOPE_SERVER,
               maker->server[listener] ? maker->server[listener] : Py_None);
}

/* What applications may write to is theirs alone. */
static int set_copies(struct making *m)
{
    PyObject **from = m->websocket ? m->maker->websocket : m->maker->http;

    if (set_new(m, SCOPE_ASGI, PyDict_Copy(from[SCOPE_ASGI])) < 0 ||
        set_new(m, SCOPE_EXTENSIONS, PyDict_Copy(from[SCOPE_EXTENSIONS])) < 0)
        return -1;
    if (!m->maker->state)
        return 0;
    return set_new(m, SCOPE_STATE, PyDict_Copy(m->maker->state));
}

static int fill(struct making *m)
{
    PyObject **from = m->websocket ? m->maker->websocket : m->maker->http;

    if (set(m, SCOPE_TYPE, from[SCOPE_TYPE]) < 0 || set_copies(m) < 0 ||
        set(m, SCOPE_ROOT_PATH, m->maker->root_path) < 0 || set_line(m) < 0 ||
        set_headers(m) < 0 || set_path(m) < 0 || set_client(m) < 0)
        return -1;
    return m->websocket ? set(m, SCOPE_SUBPROTOCOLS, m->subprotocols) : 0;
}

PyObject *scope_make(struct scope_maker *maker, const struct arena *arena,
                     const struct exchange *x, bool websocket)
{
    owned PyObject *scope = PyDict_New();
    owned PyObject *headers = PyList_New(0);
    owned PyObject *subprotocols = websocket ? PyList_New(0) : NULL;
    struct making m = {
        .maker = maker,
        .arena = arena,
        .x = x,
        .head = exchange_head(arena, x),
        .websocket = websocket,
        .scope = scope,
        .headers = headers,
        .subprotocols = subprotocols,
    };

    if (!scope || !headers || (websocket && !subprotocols))
        return NULL;
    if (!m.head) {
        PyErr_SetString(PyExc_ValueError, "damaged exchange");
        return NULL;
    }
    return fill(&m) < 0 ? NULL : give(&scope);
}

static int make_names(struct scope_maker *maker)
{
    static const char *const keys[] = {
#define X(id, key) key,
        SCOPE_KEYS(X)
#undef X
    };
    static const char *const schemes[] = {"http", "https", "ws", "wss"};
    size_t i;

    for (i = 0; i < SCOPE_KEY_COUNT; i++)
        if (!(maker->key[i] = PyUnicode_InternFromString(keys[i])))
            return -1;
    for (i = 0; i < ARRAY_SIZE(schemes); i++)
        if (!(maker->scheme[i] = PyUnicode_InternFromString(schemes[i])))
            return -1;
    for (i = 1; i < HTTP_NAME_COUNT; i++)
        if (!(maker->field_name[i] =
                  lower(http_name_spelling((enum http_name)i))))
            return -1;
    return 0;
}

static int make_servers(struct scope_maker *maker, const struct board *board)
{
    uint32_t i;

    for (i = 0; i < board->listeners && i < BOARD_LISTENERS_MAX; i++) {
        const struct board_listener *from = &board->listener[i];

        maker->server[i] = from->family == AF_UNIX
                               ? Py_BuildValue("(sO)", from->host, Py_None)
                               : Py_BuildValue("(si)", from->host,
                                               (int)from->port);
        if (!maker->server[i])
            return -1;
    }
    return 0;
}

static int make_templates(struct scope_maker *maker)
{
    maker->http[SCOPE_TYPE] = PyUnicode_InternFromString("http");
    maker->websocket[SCOPE_TYPE] = PyUnicode_InternFromString("websocket");
    maker->http[SCOPE_ASGI] = Py_BuildValue("{ssss}", "version", "3.0",
                                            "spec_version", "2.4");
    maker->websocket[SCOPE_ASGI] = Py_BuildValue("{ssss}", "version", "3.0",
                                                 "spec_version", "2.4");
    maker->http[SCOPE_EXTENSIONS] = Py_BuildValue(
        "{s{}s{}s{}s{}}", "http.response.pathsend", "http.response.trailers",
        "http.response.early_hint", "http.response.informational");
    maker->websocket[SCOPE_EXTENSIONS] =
        Py_BuildValue("{s{}}", "websocket.http.response");
    return maker->http[SCOPE_TYPE] && maker->websocket[SCOPE_TYPE] &&
                   maker->http[SCOPE_ASGI] && maker->websocket[SCOPE_ASGI] &&
                   maker->http[SCOPE_EXTENSIONS] &&
                   maker->websocket[SCOPE_EXTENSIONS]
               ? 0
               : -1;
}

int scope_init(struct scope_maker *maker, const struct board *board,
               const char *root_path)
{
    memset(maker, 0, sizeof(*maker));
    maker->http_1_0 = PyUnicode_InternFromString("1.0");
    maker->http_1_1 = PyUnicode_InternFromString("1.1");
    maker->root_path = PyUnicode_DecodeFSDefault(root_path);
    if (!maker->http_1_0 || !maker->http_1_1 || !maker->root_path ||
        make_names(maker) < 0 || make_servers(maker, board) < 0)
        return -1;
    return make_templates(maker);
}

static void drop_all(PyObject **refs, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        Py_CLEAR(refs[i]);
}

void scope_done(struct scope_maker *maker)
{
    drop_all(maker->key, SCOPE_KEY_COUNT);
    drop_all(maker->http, SCOPE_KEY_COUNT);
    drop_all(maker->websocket, SCOPE_KEY_COUNT);
    drop_all(maker->field_name, HTTP_NAME_COUNT);
    drop_all(maker->last_pair, HTTP_NAME_COUNT);
    drop_all(maker->last, SCOPE_KEY_COUNT);
    drop_all(maker->scheme, ARRAY_SIZE(maker->scheme));
    drop_all(maker->server, BOARD_LISTENERS_MAX);
    Py_CLEAR(maker->last_raw);
    Py_CLEAR(maker->http_1_0);
    Py_CLEAR(maker->http_1_1);
    Py_CLEAR(maker->root_path);
    Py_CLEAR(maker->state);
    names_done(&maker->names);
}
