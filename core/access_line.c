/* SPDX-License-Identifier: MIT */
#include "access_line.h"

#include "access_atoms.h"
#include "access_text.h"
#include "percent.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* [22/Nov/2026:21:50:50 +0000]; the local time zone is asked once a second. */
static void put_date(struct access_format *format, struct access_text *line)
{
    time_t now = time(NULL);
    struct tm tm;

    if (now != format->second) {
        format->second = now;
        localtime_r(&now, &tm);
        strftime(format->date, sizeof(format->date), "[%d/%b/%Y:%H:%M:%S %z]",
                 &tm);
    }
    access_put(line, format->date, strlen(format->date));
}

static void put_field(struct access_text *line, struct bytes value)
{
    if (value.p)
        access_put_foreign(line, value);
    else
        access_put(line, "-", 1);
}

static void put_request_line(struct access_text *line,
                             const struct access_entry *entry)
{
    access_put_foreign(line, access_span(entry, &entry->request->method));
    access_put(line, " ", 1);
    access_put_foreign(line, access_span(entry, &entry->request->target));
    access_put(line, " ", 1);
    access_put_foreign(line, access_span(entry, &entry->request->version));
}

/* PATH_INFO: percent escapes are undone, then made harmless again. */
static void put_path(struct access_text *line, struct bytes path)
{
    char decoded[ACCESS_LINE_BYTES];

    path.n = min_u64(path.n, sizeof(decoded));
    access_put_foreign(line,
                       (struct bytes){decoded, percent_decode(path, decoded)});
}

static void put_user(struct access_text *line, const struct access_entry *entry)
{
    char user[ACCESS_USER_MAX];
    size_t n = access_user(entry, user);

    put_field(line, (struct bytes){n ? user : NULL, n});
}

static void put_time(struct access_text *line, const struct access_entry *entry,
                     const struct access_atom *atom)
{
    uint64_t us = entry->duration_ns / NS_PER_US;
    char text[32];

    if (atom->kind == ATOM_SECONDS)
        access_put_number(line, us / 1000000);
    else if (atom->kind == ATOM_MILLISECONDS)
        access_put_number(line, us / 1000);
    else if (atom->kind == ATOM_MICROSECONDS)
        access_put_number(line, us);
    else
        access_put(line, text,
                   (size_t)snprintf(text, sizeof(text), "%llu.%06llu",
                                    (unsigned long long)(us / 1000000),
                                    (unsigned long long)(us % 1000000)));
}

static void put_pid(struct access_text *line, int pid)
{
    access_put(line, "<", 1);
    access_put_number(line, (uint64_t)(pid ? pid : getpid()));
    access_put(line, ">", 1);
}

/* Parts of the request line. */
static void put_message(struct access_text *line,
                        const struct access_entry *entry,
                        const struct access_atom *atom)
{
    const struct http_request *request = entry->request;

    if (atom->kind == ATOM_REQUEST_LINE)
        put_request_line(line, entry);
    else if (atom->kind == ATOM_METHOD)
        access_put_foreign(line, access_span(entry, &request->method));
    else if (atom->kind == ATOM_TARGET)
        access_put_foreign(line, access_span(entry, &request->target));
    else if (atom->kind == ATOM_PATH)
        put_path(line, access_span(entry, &request->path));
    else if (atom->kind == ATOM_QUERY)
        access_put_foreign(line, access_span(entry, &request->query));
    else
        access_put_foreign(line, access_span(entry, &request->version));
}

static void put_header(struct access_text *line,
                       const struct access_entry *entry,
                       const struct access_atom *atom)
{
    if (atom->kind == ATOM_USER)
        put_user(line, entry);
    else if (atom->kind == ATOM_REFERER)
        put_field(line, access_request_field(entry, BYTES("Referer")));
    else if (atom->kind == ATOM_USER_AGENT)
        put_field(line, access_request_field(entry, BYTES("User-Agent")));
    else if (atom->kind == ATOM_REQUEST_FIELD)
        put_field(line, access_request_field(entry, atom->text));
    else
        put_field(line, access_response_field(entry, atom->text));
}

static void put_known(struct access_text *line, bool known, uint64_t number)
{
    if (known)
        access_put_number(line, number);
    else
        access_put(line, "-", 1);
}

static void put_place(struct access_text *line,
                      const struct access_entry *entry,
                      const struct access_atom *atom)
{
    const struct access_place *place = entry->place;

    if (atom->kind == ATOM_WORKER)
        access_put_number(line, place->worker);
    else if (atom->kind == ATOM_INTERPRETER)
        put_known(line, entry->pid != 0, (uint64_t)entry->pid);
    else if (atom->kind == ATOM_NODE)
        put_known(line, place->node >= 0, (uint64_t)place->node);
    else if (place->cpus[0] != '\0')
        access_put(line, place->cpus, strlen(place->cpus));
    else
        access_put(line, "-", 1);
}

/* Microseconds and bytes. */
static void put_work(struct access_text *line, const struct access_entry *entry,
                     const struct access_atom *atom)
{
    if (atom->kind == ATOM_QUEUE)
        put_known(line, entry->pid != 0, entry->queue_ns / NS_PER_US);
    else if (atom->kind == ATOM_APPLICATION)
        put_known(line, entry->pid != 0, entry->app_ns / NS_PER_US);
    else if (atom->kind == ATOM_CPU_TIME)
        put_known(line, entry->cpu_ns != 0, entry->cpu_ns / NS_PER_US);
    else
        access_put_number(line, entry->bytes_in);
}

static void put_request_id(struct access_text *line,
                           const struct access_entry *entry)
{
    char made[ACCESS_ID_MAX];

    access_put_foreign(line, access_request_id(entry, made));
}

/* Whose connection it is: a proxy's, when one is in front. */
static void put_proxy(struct access_text *line,
                      const struct access_entry *entry)
{
    const struct exchange_peer *proxy = entry->proxy;

    if (proxy->addr_len == 0) {
        access_put(line, "unix", 4);
        return;
    }
    access_put(line, proxy->addr, proxy->addr_len);
    access_put(line, ":", 1);
    access_put_number(line, proxy->port);
}

static void put_connection(struct access_text *line,
                           const struct access_entry *entry,
                           const struct access_atom *atom)
{
    if (atom->kind == ATOM_PEER)
        put_proxy(line, entry);
    else if (atom->kind == ATOM_CONNECTION)
        access_put_number(line, entry->connection);
    else if (atom->kind == ATOM_CONNECTION_REQUESTS)
        access_put_number(line, entry->number);
    else
        access_put(line, "-", 1); /* TLS ends in front of gcorn */
}

static void put_plain(struct access_text *line,
                      const struct access_entry *entry,
                      const struct access_atom *atom)
{
    if (atom->kind == ATOM_LITERAL)
        access_put(line, atom->text.p, atom->text.n);
    else if (atom->kind == ATOM_ADDRESS)
        access_put(line, entry->peer->addr, entry->peer->addr_len);
    else if (atom->kind == ATOM_STATUS)
        access_put_number(line, (uint64_t)entry->status);
    else if (atom->kind == ATOM_BYTES_SENT)
        access_put_number(line, entry->bytes);
    else if (atom->kind == ATOM_PID)
        put_pid(line, entry->pid);
    else if (atom->kind == ATOM_PORT)
        access_put_number(line, entry->peer->port);
    else if (atom->kind == ATOM_REQUEST_ID)
        put_request_id(line, entry);
    else
        access_put(line, "-", 1);
}

typedef void put_fn(struct access_text *line, const struct access_entry *entry,
                    const struct access_atom *atom);

/* All but the date, which is made once a second. */
static put_fn *const writers[] = {
    [ATOM_LITERAL] = put_plain,
    [ATOM_ADDRESS] = put_plain,
    [ATOM_DASH] = put_plain,
    [ATOM_USER] = put_header,
    [ATOM_REQUEST_LINE] = put_message,
    [ATOM_METHOD] = put_message,
    [ATOM_PATH] = put_message,
    [ATOM_QUERY] = put_message,
    [ATOM_PROTOCOL] = put_message,
    [ATOM_STATUS] = put_plain,
    [ATOM_BYTES_SENT] = put_plain,
    [ATOM_REFERER] = put_header,
    [ATOM_USER_AGENT] = put_header,
    [ATOM_SECONDS] = put_time,
    [ATOM_MICROSECONDS] = put_time,
    [ATOM_MILLISECONDS] = put_time,
    [ATOM_DECIMAL_SECONDS] = put_time,
    [ATOM_PID] = put_plain,
    [ATOM_WORKER] = put_place,
    [ATOM_INTERPRETER] = put_place,
    [ATOM_CPUS] = put_place,
    [ATOM_NODE] = put_place,
    [ATOM_QUEUE] = put_work,
    [ATOM_APPLICATION] = put_work,
    [ATOM_CPU_TIME] = put_work,
    [ATOM_BYTES_IN] = put_work,
    [ATOM_REQUEST_ID] = put_plain,
    [ATOM_PEER] = put_connection,
    [ATOM_CONNECTION] = put_connection,
    [ATOM_CONNECTION_REQUESTS] = put_connection,
    [ATOM_TLS] = put_connection,
    [ATOM_REQUEST_FIELD] = put_header,
    [ATOM_RESPONSE_FIELD] = put_header,
    [ATOM_TARGET] = put_message,
    [ATOM_PORT] = put_plain,
};

static void put_atom(struct access_format *format, struct access_text *line,
                     const struct access_entry *entry,
                     const struct access_atom *atom)
{
    if (atom->kind == ATOM_DATE)
        put_date(format, line);
    else
        writers[atom->kind](line, entry, atom);
}

/* Width and precision of the atom that begins at `from`. */
static void adjust(struct access_text *line, size_t from,
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
                   const struct access_entry *entry, char *text, size_t max)
{
    struct access_text line = {.at = text, .room = max - 1};

    if (format->json)
        return access_json(entry, text, max);

    for (uint32_t i = 0; i < format->count; i++) {
        size_t from = line.used;

        put_atom(format, &line, entry, &format->atom[i]);
        adjust(&line, from, &format->atom[i]);
    }
    line.at[line.used++] = '\n';
    return line.used;
}
