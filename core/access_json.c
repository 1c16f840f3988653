/* SPDX-License-Identifier: MIT */
#include "access_line.h"

#include "access_text.h"
#include "json_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Shares of the line, in percent, that a value of the peer's may take. */
#define SHARE_TARGET 26
#define SHARE_PATH 12
#define SHARE_FIELD 9
#define SHARE_SHORT 3

/* Between quotes, at most `most` bytes of it. */
static void put_string(struct access_text *line, struct bytes text, size_t most)
{
    access_put(line, "\"", 1);
    line->used += json_text(line->at + line->used,
                            min_u64(most, line->room - line->used), text);
    access_put(line, "\"", 1);
}

/* What is ours to say needs no escapes; `text` starts with its comma. */
static void put_text(struct access_text *line, const char *text)
{
    access_put(line, text, strlen(text));
}

static void put_value(struct access_text *line, const char *name,
                      uint64_t number)
{
    put_text(line, name);
    access_put_number(line, number);
}

static void put_part(struct access_text *line, const char *name,
                     struct bytes text, unsigned percent)
{
    if (text.p == NULL || text.n == 0)
        return;
    put_text(line, name);
    put_string(line, text, line->room * percent / 100);
}

static void put_time(struct access_text *line)
{
    struct timespec now;
    struct tm tm;
    char text[40];
    size_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(text + n, sizeof(text) - n, ".%03ldZ",
                          now.tv_nsec / 1000000);
    put_text(line, "{\"@timestamp\":\"");
    access_put(line, text, n);
    put_text(line, "\",\"log.level\":\"info\",\"ecs.version\":\"8.11.0\"");
}

/* "10.0.0.1" with its port; empty for a Unix socket. */
static void put_address(struct access_text *line, const char *name,
                        const struct exchange_peer *peer)
{
    if (peer->addr_len == 0)
        return;
    put_text(line, name);
    put_text(line, "{\"ip\":\"");
    access_put(line, peer->addr, peer->addr_len);
    put_text(line, "\"");
    if (!peer->portless)
        put_value(line, ",\"port\":", peer->port);
    put_text(line, "}");
}

static void put_url(struct access_text *line, const struct access_entry *entry)
{
    const struct http_request *request = entry->request;

    put_text(line, ",\"url\":{\"original\":");
    put_string(line, access_span(entry, &request->target),
               line->room * SHARE_TARGET / 100);
    put_part(line, ",\"path\":", access_span(entry, &request->path),
             SHARE_PATH);
    put_part(line, ",\"query\":", access_span(entry, &request->query),
             SHARE_PATH);
    put_text(line, "}");
}

static void put_http(struct access_text *line, const struct access_entry *entry)
{
    struct bytes version = access_span(entry, &entry->request->version);
    char made[ACCESS_ID_MAX];

    if (version.n > 5) /* "HTTP/" */
        version = (struct bytes){version.p + 5, version.n - 5};
    put_text(line, ",\"http\":{\"version\":");
    put_string(line, version, 8);
    put_text(line, ",\"request\":{\"id\":");
    put_string(line, access_request_id(entry, made), ACCESS_ID_MAX);
    put_part(line, ",\"method\":", access_span(entry, &entry->request->method),
             SHARE_SHORT);
    put_value(line, ",\"bytes\":", entry->bytes_in);
    put_part(line,
             ",\"referrer\":", access_request_field(entry, BYTES("Referer")),
             SHARE_FIELD);
    put_value(line,
              "},\"response\":{\"status_code\":", (uint64_t)entry->status);
    put_value(line, ",\"body\":{\"bytes\":", entry->bytes);
    put_text(line, "}}}");
}

static void put_user(struct access_text *line, const struct access_entry *entry)
{
    char user[ACCESS_USER_MAX];
    struct bytes name = {user, access_user(entry, user)};
    struct bytes agent = access_request_field(entry, BYTES("User-Agent"));

    if (name.n > 0) {
        put_text(line, ",\"user\":{\"name\":");
        put_string(line, name, line->room * SHARE_SHORT / 100);
        put_text(line, "}");
    }
    if (agent.n > 0) {
        put_text(line, ",\"user_agent\":{\"original\":");
        put_string(line, agent, line->room * SHARE_FIELD / 100);
        put_text(line, "}");
    }
}

/* What the schema has no names for. Times are nanoseconds, as event.duration */
static void put_own(struct access_text *line, const struct access_entry *entry)
{
    const struct access_place *place = entry->place;

    put_value(line, ",\"gcorn\":{\"worker\":", place->worker);
    if (place->node >= 0)
        put_value(line, ",\"node\":", (uint64_t)place->node);
    if (place->cpus[0] != '\0')
        put_part(line, ",\"cpus\":", bytes_of(place->cpus), SHARE_SHORT);
    if (entry->pid != 0) {
        put_value(line, ",\"queue\":", entry->queue_ns);
        put_value(line, ",\"application\":", entry->app_ns);
    }
    if (entry->cpu_ns != 0)
        put_value(line, ",\"cpu_time\":", entry->cpu_ns);
    put_value(line, ",\"connection\":", entry->connection);
    put_value(line, ",\"connection_requests\":", entry->number);
    put_text(line, "}");
}

size_t access_json(const struct access_entry *entry, char *text, size_t max)
{
    struct access_text line = {.at = text, .room = max - 1};
    int pid = entry->pid ? entry->pid : (int)getpid();

    put_time(&line);
    put_value(&line,
              ",\"event\":{\"dataset\":\"gcorn.access\",\"kind\":\"event\","
              "\"category\":[\"web\"],\"duration\":",
              entry->duration_ns);
    put_text(&line, entry->status < 500 ? ",\"outcome\":\"success\"}"
                                        : ",\"outcome\":\"failure\"}");
    put_value(&line, ",\"process\":{\"pid\":", (uint64_t)pid);
    put_text(&line, "}");
    put_address(&line, ",\"client\":", entry->peer);
    put_address(&line, ",\"source\":", entry->proxy);
    put_url(&line, entry);
    put_http(&line, entry);
    put_user(&line, entry);
    put_own(&line, entry);
    put_text(&line, "}");
    must(line.used < line.room); /* else it might have been cut */
    line.at[line.used++] = '\n';
    return line.used;
}
