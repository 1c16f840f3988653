/* SPDX-License-Identifier: MIT */
/*
 * What the server itself says: phrases and the page of a refusal. The
 * page is Gunicorn's, byte for byte, since some monitoring looks for it.
 */
#include "http_write.h"

#include <stdio.h>

/* The registered status codes, with the phrases Python's http module uses. */
#define STATUSES(X)                                                            \
    X(100, "Continue")                                                         \
    X(101, "Switching Protocols")                                              \
    X(102, "Processing")                                                       \
    X(103, "Early Hints")                                                      \
    X(200, "OK")                                                               \
    X(201, "Created")                                                          \
    X(202, "Accepted")                                                         \
    X(203, "Non-Authoritative Information")                                    \
    X(204, "No Content")                                                       \
    X(205, "Reset Content")                                                    \
    X(206, "Partial Content")                                                  \
    X(207, "Multi-Status")                                                     \
    X(208, "Already Reported")                                                 \
    X(226, "IM Used")                                                          \
    X(300, "Multiple Choices")                                                 \
    X(301, "Moved Permanently")                                                \
    X(302, "Found")                                                            \
    X(303, "See Other")                                                        \
    X(304, "Not Modified")                                                     \
    X(305, "Use Proxy")                                                        \
    X(307, "Temporary Redirect")                                               \
    X(308, "Permanent Redirect")                                               \
    X(400, "Bad Request")                                                      \
    X(401, "Unauthorized")                                                     \
    X(402, "Payment Required")                                                 \
    X(403, "Forbidden")                                                        \
    X(404, "Not Found")                                                        \
    X(405, "Method Not Allowed")                                               \
    X(406, "Not Acceptable")                                                   \
    X(407, "Proxy Authentication Required")                                    \
    X(408, "Request Timeout")                                                  \
    X(409, "Conflict")                                                         \
    X(410, "Gone")                                                             \
    X(411, "Length Required")                                                  \
    X(412, "Precondition Failed")                                              \
    X(413, "Content Too Large")                                                \
    X(414, "URI Too Long")                                                     \
    X(415, "Unsupported Media Type")                                           \
    X(416, "Range Not Satisfiable")                                            \
    X(417, "Expectation Failed")                                               \
    X(421, "Misdirected Request")                                              \
    X(422, "Unprocessable Content")                                            \
    X(423, "Locked")                                                           \
    X(424, "Failed Dependency")                                                \
    X(425, "Too Early")                                                        \
    X(426, "Upgrade Required")                                                 \
    X(428, "Precondition Required")                                            \
    X(429, "Too Many Requests")                                                \
    X(431, "Request Header Fields Too Large")                                  \
    X(451, "Unavailable For Legal Reasons")                                    \
    X(500, "Internal Server Error")                                            \
    X(501, "Not Implemented")                                                  \
    X(502, "Bad Gateway")                                                      \
    X(503, "Service Unavailable")                                              \
    X(504, "Gateway Timeout")                                                  \
    X(505, "HTTP Version Not Supported")                                       \
    X(506, "Variant Also Negotiates")                                          \
    X(507, "Insufficient Storage")                                             \
    X(508, "Loop Detected")                                                    \
    X(510, "Not Extended")                                                     \
    X(511, "Network Authentication Required")

const char *http_reason(int status)
{
    switch (status) {
#define X(code, phrase)                                                        \
    case code:                                                                 \
        return phrase;
        STATUSES(X)
#undef X
    }
    return "";
}

/* Where text is put one after the other; n goes on counting when it is full. */
struct out {
    char *p;
    size_t room;
    size_t n;
};

static void put(struct out *out, struct bytes text)
{
    if (text.n > 0 && out->n <= out->room && text.n <= out->room - out->n)
        memcpy(out->p + out->n, text.p, text.n);
    out->n += text.n;
}

static void put_text(struct out *out, const char *text)
{
    put(out, bytes_of(text));
}

static void put_number(struct out *out, size_t number)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%zu", number);

    put(out, (struct bytes){text, (size_t)n});
}

/* The five characters Python's html.escape() replaces, or NULL. */
static const char *escape_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#x27;";
    }
    return NULL;
}

static void put_escaped(struct out *out, struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        const char *escape = escape_of(text.p[i]);

        put(out, escape ? bytes_of(escape) : (struct bytes){text.p + i, 1});
    }
}

static void put_page(struct out *out, const char *reason, struct bytes message)
{
    put_text(out, "<html>\n  <head>\n    <title>");
    put_text(out, reason);
    put_text(out, "</title>\n  </head>\n  <body>\n    <h1><p>");
    put_text(out, reason);
    put_text(out, "</p></h1>\n    ");
    put_escaped(out, message);
    put_text(out, "\n  </body>\n</html>\n");
}

int http_error_page(char *out, size_t room, int status, struct bytes message)
{
    struct out page = {out, room, 0};

    put_page(&page, http_reason(status), message);
    return page.n <= room ? (int)page.n : -ENOSPC;
}

int http_error_response(char *out, size_t room, int status, struct bytes extra,
                        struct bytes message, const char date[HTTP_DATE_LEN])
{
    const char *reason = http_reason(status);
    struct out head = {out, room, 0};
    struct out counted = {NULL, 0, 0};

    /* Once for Content-Length, with no room, and once for good. */
    put_page(&counted, reason, message);
    put_text(&head, "HTTP/1.1 ");
    put_number(&head, (size_t)status);
    put_text(&head, " ");
    put_text(&head, reason);
    put_text(&head, "\r\nDate: ");
    put(&head, (struct bytes){date, HTTP_DATE_LEN});
    put_text(&head, "\r\nConnection: close\r\nContent-Type: text/html\r\n");
    put(&head, extra);
    put_text(&head, "Content-Length: ");
    put_number(&head, counted.n);
    put_text(&head, "\r\n\r\n");
    put_page(&head, reason, message);
    return head.n <= room ? (int)head.n : -ENOSPC;
}

size_t http_reply_head(char *out, const struct http_reply *reply)
{
    struct out head = {out, HTTP_REPLY_HEAD_MAX + reply->fields.n, 0};

    put_text(&head, "HTTP/1.1 ");
    put_number(&head, (size_t)reply->status);
    put_text(&head, " ");
    put_text(&head, http_reason(reply->status));
    put_text(&head, "\r\nServer: gcorn\r\nDate: ");
    put(&head, (struct bytes){reply->date, HTTP_DATE_LEN});
    put_text(&head, reply->keep_alive ? "\r\nConnection: keep-alive\r\n"
                                      : "\r\nConnection: close\r\n");
    put(&head, reply->fields);
    if (reply->status >= 200 && reply->status != 204 && reply->status != 304) {
        put_text(&head, "Content-Length: ");
        put_number(&head, reply->length);
        put_text(&head, "\r\n");
    }
    put_text(&head, "\r\n");
    must(head.n <= head.room);
    return head.n;
}
