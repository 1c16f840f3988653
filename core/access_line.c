/* SPDX-License-Identifier: MIT */
#include "access_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Gunicorn's atoms of one letter. */
#define ATOMS(X)                                                               \
    X('h', ADDRESS)                                                            \
    X('l', DASH)                                                               \
    X('u', USER)                                                               \
    X('t', DATE)                                                               \
    X('r', REQUEST_LINE)                                                       \
    X('m', METHOD)                                                             \
    X('U', PATH)                                                               \
    X('q', QUERY)                                                              \
    X('H', PROTOCOL)                                                           \
    X('s', STATUS)                                                             \
    X('B', BYTES_SENT)                                                         \
    X('b', BYTES_SENT)                                                         \
    X('f', REFERER)                                                            \
    X('a', USER_AGENT)                                                         \
    X('T', SECONDS)                                                            \
    X('D', MICROSECONDS)                                                       \
    X('M', MILLISECONDS)                                                       \
    X('L', DECIMAL_SECONDS)                                                    \
    X('p', PID)

enum atom {
    ATOM_LITERAL,
    ATOM_ADDRESS,
    ATOM_DASH,
    ATOM_USER,
    ATOM_DATE,
    ATOM_REQUEST_LINE,
    ATOM_METHOD,
    ATOM_PATH,
    ATOM_QUERY,
    ATOM_PROTOCOL,
    ATOM_STATUS,
    ATOM_BYTES_SENT,
    ATOM_REFERER,
    ATOM_USER_AGENT,
    ATOM_SECONDS,
    ATOM_MICROSECONDS,
    ATOM_MILLISECONDS,
    ATOM_DECIMAL_SECONDS,
    ATOM_PID,
    ATOM_REQUEST_FIELD,
    ATOM_RESPONSE_FIELD,
    ATOM_ENVIRON,
};

/* Where a line is being written; what does not fit is dropped. */
struct line {
    char *at;
    size_t used;
    size_t room;
};

static enum atom atom_of(char letter)
{
    static const struct {
        char letter;
        enum atom atom;
    } table[] = {
#define X(letter, name) {letter, ATOM_##name},
        ATOMS(X)
#undef X
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].letter == letter)
            return table[i].atom;
    return ATOM_DASH; /* as in Gunicorn: unknown ones are "-" */
}

static void compile_name(struct access_format *format, struct access_atom *atom,
                         struct bytes name)
{
    size_t n = name.n;

    if (n == 1) {
        atom->kind = atom_of(name.p[0]);
        return;
    }
    atom->kind = ATOM_DASH;
    if (n < 4 || name.p[0] != '{' || name.p[n - 2] != '}')
        return;
    atom->text = (struct bytes){name.p + 1, n - 3};
    if (name.p[n - 1] == 'i')
        atom->kind = ATOM_REQUEST_FIELD;
    else if (name.p[n - 1] == 'e')
        atom->kind = ATOM_ENVIRON;
    else if (name.p[n - 1] == 'o')
        atom->kind = ATOM_RESPONSE_FIELD;
    format->wants_response |= atom->kind == ATOM_RESPONSE_FIELD;
}

static const char *read_number(const char *at, uint32_t *ret_number)
{
    uint32_t number = 0;

    while (*at >= '0' && *at <= '9' && number < 10000)
        number = number * 10 + (uint32_t)(*at++ - '0');
    *ret_number = number;
    return at;
}

/* "%(name)-10.5s": returns the place behind it, or NULL. */
static const char *compile_atom(struct access_format *format,
                                struct access_atom *atom, const char *at)
{
    const char *end = strchr(at, ')');
    uint32_t number;

    if (!end)
        return NULL;
    compile_name(format, atom, (struct bytes){at, (size_t)(end - at)});
    at = end + 1;
    for (; *at && strchr("-+ #0", *at); at++)
        atom->left |= *at == '-';
    at = read_number(at, &number);
    atom->width = (uint16_t)number;
    atom->most = -1;
    if (*at == '.') {
        at = read_number(at + 1, &number);
        atom->most = (int32_t)number;
    }
    return *at && strchr("srdiuax", *at) ? at + 1 : NULL;
}

static int compile(struct access_format *format)
{
    const char *at = format->format;

    while (*at) {
        struct access_atom *atom = &format->atom[format->count++];

        if (format->count == ACCESS_ATOMS_MAX)
            return -EINVAL;
        if (at[0] == '%' && at[1] == '(') {
            at = compile_atom(format, atom, at + 2);
            if (!at)
                return -EINVAL;
            continue;
        }
        if (at[0] == '%' && at[1] != '%')
            return -EINVAL;
        at += at[0] == '%'; /* "%%" is one literal "%" */
        atom->text = (struct bytes){at, 1 + strcspn(at + 1, "%")};
        at += atom->text.n;
    }
    return 0;
}

int access_format_init(struct access_format *format, const char *text)
{
    int error;

    memset(format, 0, sizeof(*format));
    format->format = strdup(text);
    if (!format->format)
        return -ENOMEM;
    error = compile(format);
    if (error)
        access_format_done(format);
    return error;
}

void access_format_done(struct access_format *format)
{
    free(format->format);
    format->format = NULL;
}

static void put(struct line *line, const char *text, size_t len)
{
    len = min_u64(len, line->room - line->used);
    memcpy(line->at + line->used, text, len);
    line->used += len;
}

/*
 * Bytes of the peer: what could end the line or a quoted field, or is not
 * ASCII, is written as an escape. The backslash too, else "\" followed by an
 * escaped quote would read as the end of the field.
 */
static void put_foreign(struct line *line, struct bytes text)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        char escape[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};

        if (c == '"' || c == '\\') {
            escape[1] = (char)c;
            put(line, escape, 2);
        } else if (c < ' ' || c > '~') {
            put(line, escape, 4);
        } else {
            put(line, &text.p[i], 1);
        }
    }
}

static void put_number(struct line *line, uint64_t number)
{
    char text[20];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    put(line, text + at, sizeof(text) - at);
}

/* [22/Nov/2026:21:50:50 +0000]; the local time zone is asked once a second. */
static void put_date(struct access_format *format, struct line *line)
{
    time_t now = time(NULL);
    struct tm tm;

    if (now != format->second) {
        format->second = now;
        localtime_r(&now, &tm);
        strftime(format->date, sizeof(format->date), "[%d/%b/%Y:%H:%M:%S %z]",
                 &tm);
    }
    put(line, format->date, strlen(format->date));
}

static struct bytes span(const struct access_entry *entry, uint32_t off,
                         uint32_t len)
{
    if (off > entry->request->head_len || len > entry->request->head_len - off)
        return BYTES("");
    return (struct bytes){entry->head + off, len};
}

static struct bytes span_of(const struct access_entry *entry,
                            const struct http_span *at)
{
    return span(entry, at->off, at->len);
}

/* The last field with this name, as in Gunicorn; p is NULL without one. */
static struct bytes request_field(const struct access_entry *entry,
                                  struct bytes name)
{
    for (uint32_t i = entry->request->field_count; i-- > 0;) {
        const struct http_field *field = &entry->fields[i];

        if (!(field->flags & HTTP_FIELD_VARIABLE) &&
            bytes_equal_nocase(span(entry, field->name_off, field->name_len),
                               name))
            return span(entry, field->value_off, field->value_len);
    }
    return (struct bytes){NULL, 0};
}

/* The response's head is our own work, so this need not be strict. */
static struct bytes response_field(struct bytes head, struct bytes name)
{
    struct bytes found = {NULL, 0};
    const char *line;

    if (head.n == 0)
        return found;
    while ((line = memmem(head.p, head.n, "\r\n", 2)) != NULL) {
        const char *end;

        head.n -= (size_t)(line + 2 - head.p);
        head.p = line + 2;
        end = memmem(head.p, head.n, "\r\n", 2);
        if (!end || end == head.p)
            break;
        if ((size_t)(end - head.p) > name.n + 1 && head.p[name.n] == ':' &&
            strncasecmp(head.p, name.p, name.n) == 0)
            found = (struct bytes){head.p + name.n + 2,
                                   (size_t)(end - head.p) - name.n - 2};
    }
    return found;
}

static void put_field(struct line *line, struct bytes value)
{
    if (value.p)
        put_foreign(line, value);
    else
        put(line, "-", 1);
}

static void put_request_line(struct line *line,
                             const struct access_entry *entry)
{
    put_foreign(line, span_of(entry, &entry->request->method));
    put(line, " ", 1);
    put_foreign(line, span_of(entry, &entry->request->target));
    put(line, " ", 1);
    put_foreign(line, span_of(entry, &entry->request->version));
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* PATH_INFO: percent escapes are undone, then made harmless again. */
static void put_path(struct line *line, struct bytes path)
{
    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];

        if (c == '%' && i + 2 < path.n && hex_digit(path.p[i + 1]) >= 0 &&
            hex_digit(path.p[i + 2]) >= 0) {
            c = (char)(hex_digit(path.p[i + 1]) << 4 |
                       hex_digit(path.p[i + 2]));
            i += 2;
        }
        put_foreign(line, (struct bytes){&c, 1});
    }
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = memchr(digits, c, sizeof(digits) - 1);

    return at ? (int)(at - digits) : -1;
}

/* The user of "Basic dXNlcjpwYXNzd29yZA==": what is in front of the colon. */
static void put_user(struct line *line, struct bytes value)
{
    char user[96];
    size_t used = 0;
    uint32_t bits = 0;
    bool colon = false;

    if (value.n < 6 || strncasecmp(value.p, "basic ", 6) != 0)
        value.n = 0;
    for (size_t i = 6; i < value.n && !colon && used < sizeof(user); i++) {
        int digit = base64_digit(value.p[i]);

        if (digit < 0)
            break;
        bits = bits << 6 | (uint32_t)digit;
        if ((i - 6) % 4 == 0)
            continue;
        user[used] = (char)(bits >> (6 - (i - 6) % 4 * 2));
        colon = user[used] == ':';
        used += !colon;
    }
    put_field(line, (struct bytes){colon && used ? user : NULL, used});
}

static void put_environ(struct line *line, const struct access_entry *entry,
                        struct bytes name)
{
    const struct http_request *request = entry->request;
    char field[128];
    size_t n = 0;

    if (bytes_equal(name, BYTES("REQUEST_METHOD")))
        put_foreign(line, span_of(entry, &request->method));
    else if (bytes_equal(name, BYTES("RAW_URI")))
        put_foreign(line, span_of(entry, &request->target));
    else if (bytes_equal(name, BYTES("PATH_INFO")))
        put_path(line, span_of(entry, &request->path));
    else if (bytes_equal(name, BYTES("QUERY_STRING")))
        put_foreign(line, span_of(entry, &request->query));
    else if (bytes_equal(name, BYTES("SERVER_PROTOCOL")))
        put_foreign(line, span_of(entry, &request->version));
    else if (bytes_equal(name, BYTES("REMOTE_ADDR")))
        put_foreign(line,
                    (struct bytes){entry->peer->addr, entry->peer->addr_len});
    else if (bytes_equal(name, BYTES("REMOTE_PORT")))
        put_number(line, entry->peer->port);
    else {
        if (name.n > 5 && memcmp(name.p, "HTTP_", 5) == 0)
            name = (struct bytes){name.p + 5, name.n - 5};
        for (; n < name.n && n < sizeof(field); n++)
            field[n] = name.p[n] == '_' ? '-' : name.p[n];
        put_field(line, request_field(entry, (struct bytes){field, n}));
    }
}

static void put_time(struct line *line, const struct access_entry *entry,
                     enum atom atom)
{
    uint64_t us = entry->duration_ns / NS_PER_US;
    char text[32];

    if (atom == ATOM_SECONDS)
        put_number(line, us / 1000000);
    else if (atom == ATOM_MILLISECONDS)
        put_number(line, us / 1000);
    else if (atom == ATOM_MICROSECONDS)
        put_number(line, us);
    else
        put(line, text,
            (size_t)snprintf(text, sizeof(text), "%llu.%06llu",
                             (unsigned long long)(us / 1000000),
                             (unsigned long long)(us % 1000000)));
}

static void put_pid(struct line *line, int pid)
{
    put(line, "<", 1);
    put_number(line, (uint64_t)(pid ? pid : getpid()));
    put(line, ">", 1);
}

/* Parts of the request line. */
static void put_message(struct line *line, const struct access_entry *entry,
                        enum atom atom)
{
    const struct http_request *request = entry->request;

    if (atom == ATOM_REQUEST_LINE)
        put_request_line(line, entry);
    else if (atom == ATOM_METHOD)
        put_foreign(line, span_of(entry, &request->method));
    else if (atom == ATOM_PATH)
        put_path(line, span_of(entry, &request->path));
    else if (atom == ATOM_QUERY)
        put_foreign(line, span_of(entry, &request->query));
    else
        put_foreign(line, span_of(entry, &request->version));
}

static void put_header(struct line *line, const struct access_entry *entry,
                       const struct access_atom *atom)
{
    if (atom->kind == ATOM_USER)
        put_user(line, request_field(entry, BYTES("Authorization")));
    else if (atom->kind == ATOM_REFERER)
        put_field(line, request_field(entry, BYTES("Referer")));
    else if (atom->kind == ATOM_USER_AGENT)
        put_field(line, request_field(entry, BYTES("User-Agent")));
    else if (atom->kind == ATOM_REQUEST_FIELD)
        put_field(line, request_field(entry, atom->text));
    else
        put_field(line, response_field(entry->response_head, atom->text));
}

static void put_atom(struct access_format *format, struct line *line,
                     const struct access_entry *entry,
                     const struct access_atom *atom)
{
    switch ((enum atom)atom->kind) {
    case ATOM_LITERAL:
        put(line, atom->text.p, atom->text.n);
        break;
    case ATOM_ADDRESS:
        put(line, entry->peer->addr, entry->peer->addr_len);
        break;
    case ATOM_DASH:
        put(line, "-", 1);
        break;
    case ATOM_DATE:
        put_date(format, line);
        break;
    case ATOM_REQUEST_LINE:
    case ATOM_METHOD:
    case ATOM_PATH:
    case ATOM_QUERY:
    case ATOM_PROTOCOL:
        put_message(line, entry, (enum atom)atom->kind);
        break;
    case ATOM_STATUS:
        put_number(line, (uint64_t)entry->status);
        break;
    case ATOM_BYTES_SENT:
        put_number(line, entry->bytes);
        break;
    case ATOM_USER:
    case ATOM_REFERER:
    case ATOM_USER_AGENT:
    case ATOM_REQUEST_FIELD:
    case ATOM_RESPONSE_FIELD:
        put_header(line, entry, atom);
        break;
    case ATOM_SECONDS:
    case ATOM_MICROSECONDS:
    case ATOM_MILLISECONDS:
    case ATOM_DECIMAL_SECONDS:
        put_time(line, entry, (enum atom)atom->kind);
        break;
    case ATOM_PID:
        put_pid(line, entry->pid);
        break;
    case ATOM_ENVIRON:
        put_environ(line, entry, atom->text);
        break;
    }
}

/* Width and precision of the atom that begins at `from`. */
static void adjust(struct line *line, size_t from,
                   const struct access_atom *atom)
{
    size_t len = line->used - from;
    size_t pad;

    if (atom->kind == ATOM_LITERAL)
        return;
    if (atom->most >= 0 && len > (size_t)atom->most)
        len = (size_t)atom->most;
    line->used = from + len;
    if (len >= atom->width)
        return;
    pad = min_u64(atom->width - len, line->room - line->used);
    if (!atom->left)
        memmove(line->at + from + pad, line->at + from, len);
    memset(line->at + from + (atom->left ? len : 0), ' ', pad);
    line->used += pad;
}

size_t access_line(struct access_format *format,
                   const struct access_entry *entry, char *text)
{
    struct line line = {.at = text, .room = ACCESS_LINE_BYTES - 1};

    for (uint32_t i = 0; i < format->count; i++) {
        size_t from = line.used;

        put_atom(format, &line, entry, &format->atom[i]);
        adjust(&line, from, &format->atom[i]);
    }
    line.at[line.used++] = '\n';
    return line.used;
}
