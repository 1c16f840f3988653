/* SPDX-License-Identifier: MIT */
#include "conn_late.h"

#include "conn_set.h"

#include <string.h>

/* The head is put together anew: only what lines speak of, without gaps. */
static struct http_span put(struct conn_late *late, const char *head,
                            uint32_t off, uint32_t len)
{
    struct http_span span = {late->used, len};

    span.len = (uint32_t)min_u64(len, sizeof(late->head) - late->used);
    memcpy(late->head + late->used, head + off, span.len);
    late->used += span.len;
    return span;
}

static void put_span(struct conn_late *late, const char *head,
                     struct http_span *span)
{
    *span = put(late, head, span->off, span->len);
}

/* Those that fit whole. */
static void put_fields(struct conn_late *late, const struct access_entry *from)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < from->request->field_count; i++) {
        struct http_field field = from->fields[i];

        if (count == CONN_LATE_FIELDS)
            break;
        if ((uint64_t)field.name_len + field.value_len >
            sizeof(late->head) - late->used)
            continue;
        field.name_off =
            put(late, from->head, field.name_off, field.name_len).off;
        field.value_off =
            put(late, from->head, field.value_off, field.value_len).off;
        late->fields[count++] = field;
    }
    late->request.field_count = count;
}

void conn_late_keep(struct conn_late *late, const struct access_entry *entry)
{
    struct http_request *request = &late->request;

    late->entry = *entry;
    late->request = *entry->request;
    late->peer = *entry->peer;
    late->used = 0;
    put_span(late, entry->head, &request->method);
    put_span(late, entry->head, &request->version);
    put_span(late, entry->head, &request->target);
    put_span(late, entry->head, &request->path);
    put_span(late, entry->head, &request->query);
    put_fields(late, entry);
    request->authority = (struct http_span){0};
    request->head_len = late->used;
    late->entry.request = request;
    late->entry.head = late->head;
    late->entry.fields = late->fields;
    late->entry.peer = &late->peer;
}

void conn_late_write(struct conn_set *set, const struct conn *c,
                     struct conn_late *late, uint64_t bytes)
{
    late->entry.bytes = bytes;
    late->entry.duration_ns = set->now_ns - c->arrived_ns;
    access_log_add(set->log, &late->entry, set->now_ns);
}
