/* SPDX-License-Identifier: MIT */
#include "response.h"

#include "core/exchange_writer.h"
#include "core/http_write.h"
#include "core/log.h"
#include "head.h"
#include "responder.h"

/* data: what is to be sent next, if it is bytes. */
static int wait_with(struct response *response, int64_t why, struct bytes *data)
{
    if (why == -ECANCELED) {
        response->gone = true;
        return -1;
    }
    if (why != -EAGAIN) {
        PyErr_Format(PyExc_OSError, "response: %s", strerror((int)-why));
        return -1;
    }
    return response->kit->waits->for_room(response->writer, data);
}

int response_wait(struct response *response, int64_t why)
{
    return wait_with(response, why, NULL);
}

static int send_bytes(struct response *response, struct bytes data)
{
    while (data.n > 0) {
        size_t done;
        int error = exchange_copy(response->writer, data, &done);

        data.p += done;
        data.n -= done;
        if (error && wait_with(response, error, &data) < 0)
            return -1;
    }
    return 0;
}

int response_kit_init(struct response_kit *kit, const struct waits *waits)
{
    memset(kit, 0, sizeof(*kit));
    kit->waits = waits;
    kit->responder_type = responder_type_new();
    return kit->responder_type ? 0 : -1;
}

void response_kit_done(struct response_kit *kit)
{
    int i;

    for (i = 0; i < RESPONDER_KINDS; i++)
        Py_CLEAR(kit->spare[i]);
    Py_CLEAR(kit->responder_type);
}

int response_begin(struct response *response, struct response_kit *kit,
                   struct exchange_writer *writer)
{
    const struct http_request *request = &writer->x->request;
    int i;

    *response = (struct response){
        .kit = kit,
        .writer = writer,
        .length = -1,
        .fault = 500,
        .no_body = request->method_id == HTTP_METHOD_HEAD,
        .keep_alive = request->flags & HTTP_KEEP_ALIVE,
    };
    for (i = 0; i < RESPONDER_KINDS; i++) {
        response->responder[i] = responder_new(response,
                                               (enum responder_kind)i);
        if (!response->responder[i])
            return -1;
    }
    return 0;
}

void response_end(struct response *response)
{
    int i;

    Py_CLEAR(response->big_head);
    for (i = 0; i < RESPONDER_KINDS; i++)
        responder_end(response, (enum responder_kind)i);
}

static char *put(char *to, struct bytes text)
{
    memcpy(to, text.p, text.n);
    return to + text.n;
}

static char *put_number(char *to, uint64_t n)
{
    char digits[20];
    int count = 0;

    do
        digits[count++] = (char)('0' + n % 10);
    while (n /= 10);
    while (count > 0)
        *to++ = digits[--count];
    return to;
}

/* How the body's end will be known (RFC 9112 6.3). */
static void choose_framing(struct response *response, int64_t total)
{
    bool old = response->writer->x->request.version_minor == 0;

    if (response->status == 204 || response->status == 304)
        response->no_body = true;
    if (response->status == 204)
        response->length = -1;
    else if (response->length < 0 && total >= 0 && !response->no_body)
        response->length = total;
    if (response->length >= 0 || response->no_body)
        return;
    response->chunked = !old;
    if (old)
        response->keep_alive = false;
}

static size_t format_tail(struct response *response, char tail[HEAD_TAIL_BYTES],
                          uint32_t *ret_connection_off)
{
    char *p = put(tail, BYTES("Connection: "));

    *ret_connection_off = response->keep_alive ? (uint32_t)(p - tail) : 0;
    p = put(p, response->keep_alive ? BYTES("keep-alive\r\n")
                                    : BYTES("close\r\n"));
    if (response->chunked) {
        p = put(p, BYTES("Transfer-Encoding: chunked\r\n"));
    } else if (response->length >= 0) {
        p = put(p, BYTES("Content-Length: "));
        p = put_number(p, (uint64_t)response->length);
        p = put(p, BYTES("\r\n"));
    }
    p = put(p, BYTES("\r\n"));
    return (size_t)(p - tail);
}

int response_head(struct response *response, int64_t total)
{
    struct exchange_writer *writer = response->writer;
    char tail[HEAD_TAIL_BYTES];
    uint32_t off;
    size_t n;

    if (response->head_sent)
        return 0;
    if (response->gone)
        return -1;
    if (!response->started) {
        PyErr_SetString(PyExc_AssertionError,
                        "the application did not call start_response");
        return -1;
    }
    choose_framing(response, total);
    n = format_tail(response, tail, &off);
    response->head_sent = true;
    writer->x->status = (uint32_t)response->status;
    if (!response->keep_alive)
        writer->x->out_flags |= EXCHANGE_OUT_CLOSE;
    /* Only a head that is the first part as a whole can be changed later. */
    if (off && !response->big_head && writer->tail == 0)
        writer->x->connection_off = writer->fill + off;
    if (response->big_head &&
        send_bytes(
            response,
            (struct bytes){PyBytes_AS_STRING(response->big_head),
                           (size_t)PyBytes_GET_SIZE(response->big_head)}) < 0)
        return -1;
    return send_bytes(response, (struct bytes){tail, n});
}

static struct bytes cut_to_length(struct response *response, struct bytes piece)
{
    uint64_t room = (uint64_t)response->length - response->sent;

    if (piece.n <= room)
        return piece;
    if (!response->cut)
        log_warning("Response body is longer than its Content-Length %lld: "
                    "the rest is not sent",
                    (long long)response->length);
    response->cut = true;
    return (struct bytes){piece.p, room};
}

static int send_chunk(struct response *response, struct bytes piece)
{
    char size[24];
    int n = snprintf(size, sizeof(size), "%zx\r\n", piece.n);

    if (send_bytes(response, (struct bytes){size, (size_t)n}) < 0 ||
        send_bytes(response, piece) < 0)
        return -1;
    return send_bytes(response, BYTES("\r\n"));
}

int response_body(struct response *response, struct bytes piece)
{
    if (response->gone)
        return -1;
    if (response->no_body)
        return 0;
    if (response->length >= 0)
        piece = cut_to_length(response, piece);
    if (piece.n == 0)
        return 0;
    response->sent += piece.n;
    return response->chunked ? send_chunk(response, piece)
                             : send_bytes(response, piece);
}

int response_flush(struct response *response)
{
    struct bytes nothing = BYTES("");
    int error;

    while ((error = response->kit->waits->flush(response->writer)) < 0)
        if (wait_with(response, error, &nothing) < 0)
            return -1;
    return 0;
}

int response_file(struct response *response, int fd, uint64_t off, uint64_t len)
{
    int error;

    if (response->length >= 0)
        len = min_u64(len, (uint64_t)response->length - response->sent);
    if (response->no_body || len == 0)
        return 0;
    while ((error = exchange_file(response->writer, fd, off, len)) < 0)
        if (response_wait(response, error) < 0)
            return -1;
    response->sent += len;
    return 0;
}

/* The client can only tell by the connection's end. */
static void break_off(struct response *response)
{
    response->writer->x->out_flags |= EXCHANGE_OUT_BROKEN | EXCHANGE_OUT_CLOSE;
}

int response_finish(struct response *response)
{
    if (response_head(response, 0) < 0)
        return -1;
    if (response->chunked)
        return send_bytes(response, BYTES("0\r\n\r\n"));
    if (response->length >= 0 && !response->no_body &&
        response->sent < (uint64_t)response->length) {
        log_warning("Response body has %llu bytes, its Content-Length says "
                    "%lld: closing the connection",
                    (unsigned long long)response->sent,
                    (long long)response->length);
        break_off(response);
    }
    return 0;
}

void response_fail(struct response *response)
{
    struct exchange_writer *writer = response->writer;
    char date[HTTP_DATE_LEN];
    int status = response->fault;
    char *to;
    int64_t room;
    int n;

    if (response->gone)
        return;
    if (response->head_sent) {
        break_off(response);
        return;
    }
    exchange_rewind(writer);
    http_date(date, time(NULL));
    while ((room = exchange_room(writer, &to)) < 0)
        if (response_wait(response, room) < 0) {
            PyErr_Clear();
            return;
        }
    n = http_error_response(to, (size_t)room, status, BYTES(""), BYTES(""),
                            date);
    if (n < 0) {
        break_off(response);
        return;
    }
    writer->x->status = (uint16_t)status;
    writer->x->out_flags |= EXCHANGE_OUT_CLOSE;
    if (response->no_body) /* HEAD: only through the empty line */
        n = (int)((char *)memmem(to, (size_t)n, "\r\n\r\n", 4) - to) + 4;
    exchange_wrote(writer, (uint32_t)n);
}
