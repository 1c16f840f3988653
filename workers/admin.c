/* SPDX-License-Identifier: MIT */
#include "admin.h"

#include "core/health.h"
#include "core/http_write.h"
#include "metrics.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 64
#define PLAIN "text/plain; charset=utf-8"

struct answer {
    int status;
    const char *type;
    char *text; /* malloc'ed, or NULL */
    size_t len;
};

typedef void page_fn(const struct observer *observer, struct answer *answer);

static void say_text(struct answer *answer, int status, const char *text)
{
    answer->status = status;
    answer->text = strdup(text);
    answer->len = answer->text != NULL ? strlen(text) : 0;
}

static void page_live(const struct observer *observer, struct answer *answer)
{
    (void)observer;
    say_text(answer, 200, "ok\n");
}

static void page_ready(const struct observer *observer, struct answer *answer)
{
    const struct master *master = observer->master;
    uint64_t window_s = min_u64(master->config->ready_window, 1000000);
    enum health health = health_of(master->board, master->now,
                                   window_s * NS_PER_S);

    say_text(answer, health == HEALTH_READY ? 200 : 503, health_text(health));
}

static void page_metrics(const struct observer *observer, struct answer *answer)
{
    FILE *to = open_memstream(&answer->text, &answer->len);

    if (to == NULL)
        return;
    metrics_write(observer, to);
    fclose(to);
    answer->type = METRICS_TYPE;
}

static void page_status(const struct observer *observer, struct answer *answer)
{
    json_t *status = report_status(observer);

    answer->text = json_dumps(status, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    answer->len = answer->text != NULL ? strlen(answer->text) : 0;
    answer->type = "application/json";
    json_decref(status);
}

static const struct {
    const char *path;
    page_fn *page;
} pages[] = {
    {"/livez", page_live},
    {"/readyz", page_ready},
    {"/metrics", page_metrics},
    {"/status.json", page_status},
};

static void make(const struct observer *observer,
                 const struct http_request *request, const char *head,
                 struct answer *answer)
{
    struct bytes path = {head + request->path.off, request->path.len};

    if (request->method_id != HTTP_METHOD_GET &&
        request->method_id != HTTP_METHOD_HEAD) {
        say_text(answer, 405, "only GET and HEAD\n");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
        if (!bytes_equal(path, bytes_of(pages[i].path)))
            continue;
        pages[i].page(observer, answer);
        return;
    }
    say_text(answer, 404, "/livez /readyz /metrics /status.json\n");
}

static void send_answer(struct gate_client *client,
                        const struct http_request *request,
                        const struct answer *answer)
{
    char head[HTTP_REPLY_HEAD_MAX + 128];
    char fields[128];
    char date[HTTP_DATE_LEN];
    struct http_reply reply = {
        .status = answer->status,
        .length = answer->len,
        .date = date,
        .keep_alive = !client->over,
    };

    http_date(date, time(NULL));
    snprintf(fields, sizeof(fields),
             "Content-Type: %s\r\nCache-Control: no-store\r\n", answer->type);
    reply.fields = bytes_of(fields);
    gate_say(client, head, http_reply_head(head, &reply));
    if (request->method_id != HTTP_METHOD_HEAD && answer->len > 0)
        gate_say(client, answer->text, answer->len);
}

int64_t admin_take(void *context, struct gate_client *client, struct bytes said)
{
    static const struct http_limits limits = {8190, FIELDS_MAX, 8190, 0};
    const struct observer *observer = context;
    struct http_field fields[FIELDS_MAX];
    struct http_request request = {0};
    struct http_parser parser = {0};
    struct answer answer = {200, PLAIN, NULL, 0};
    int rc = http_parse(&parser, &limits, said, &request, fields, FIELDS_MAX);

    if (rc == 0)
        return 0;
    if (rc < 0) {
        client->over = true;
        say_text(&answer, http_error_status((enum http_error) - rc),
                 "that is no request\n");
    } else {
        /* What has a body is refused, and its body is not read. */
        client->over = client->over || !(request.flags & HTTP_KEEP_ALIVE) ||
                       request.content_length > 0 ||
                       request.flags & HTTP_CHUNKED;
        make(observer, &request, said.p, &answer);
    }
    send_answer(client, &request, &answer);
    free(answer.text);
    return rc > 0 ? rc : (int64_t)said.n;
}
