/* SPDX-License-Identifier: MIT */
/*
 * uwsgi packets: made of a table, cut at every byte, with lengths that lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/uwsgi.h"

#define FIELDS 40

struct packet {
    char text[8192];
    size_t n;
    struct http_request request;
    struct http_field fields[FIELDS];
    struct uwsgi_peer peer;
    int result;
};

static void add_string(struct packet *packet, struct bytes text)
{
    packet->text[packet->n++] = (char)(text.n & 255);
    packet->text[packet->n++] = (char)(text.n >> 8);
    memcpy(packet->text + packet->n, text.p, text.n);
    packet->n += text.n;
}

/* "NAME=value\nNAME=value" */
static void make(struct packet *packet, const char *lines)
{
    memset(packet, 0, sizeof(*packet));
    packet->n = UWSGI_HEAD_BYTES;
    while (*lines) {
        size_t name = strcspn(lines, "=");
        size_t value = strcspn(lines + name + 1, "\n");

        add_string(packet, (struct bytes){lines, name});
        add_string(packet, (struct bytes){lines + name + 1, value});
        lines += name + 1 + value;
        lines += *lines == '\n';
    }
    packet->text[1] = (char)((packet->n - UWSGI_HEAD_BYTES) & 255);
    packet->text[2] = (char)((packet->n - UWSGI_HEAD_BYTES) >> 8);
}

static int parse(struct packet *packet, size_t n)
{
    char *block = malloc(n ? n : 1);

    assert_non_null(block);
    memcpy(block, packet->text, n);
    packet->result = uwsgi_parse((struct bytes){block, n}, &packet->request,
                                 packet->fields, FIELDS, &packet->peer);
    free(block);
    return packet->result;
}

/* Nothing is said before all of it is there; then, whatever follows, all. */
static void parse_all_ways(struct packet *packet, const char *lines)
{
    make(packet, lines);
    for (size_t n = 0; n < packet->n; n++)
        assert_int_equal(parse(packet, n), 0);
    assert_int_equal(parse(packet, packet->n + 100), packet->n);
    assert_int_equal(parse(packet, packet->n), packet->n);
    assert_int_equal(packet->request.head_len, packet->n);
}

static void assert_span(const struct packet *packet, struct http_span span,
                        const char *want)
{
    assert_int_equal(span.len, strlen(want));
    assert_memory_equal(packet->text + span.off, want, span.len);
}

static const struct http_field *find(const struct packet *packet,
                                     const char *name, uint8_t flags)
{
    for (uint32_t i = packet->request.field_count; i > 0; i--) {
        const struct http_field *field = &packet->fields[i - 1];

        if (field->flags == flags && field->name_len == strlen(name) &&
            memcmp(packet->text + field->name_off, name, field->name_len) == 0)
            return field;
    }
    return NULL;
}

static void assert_value(const struct packet *packet, const char *name,
                         uint8_t flags, const char *want)
{
    const struct http_field *field = find(packet, name, flags);

    must(field != NULL);
    assert_span(packet, (struct http_span){field->value_off, field->value_len},
                want);
}

#define NGINX                                                                  \
    "QUERY_STRING=a=%20b\nREQUEST_METHOD=POST\nCONTENT_TYPE=text/plain\n"      \
    "CONTENT_LENGTH=5\nREQUEST_URI=/caf%C3%A9?a=%20b\nPATH_INFO=/caf\xc3\xa9"  \
    "\nDOCUMENT_ROOT=/var/www\nSERVER_PROTOCOL=HTTP/1.1\n"                     \
    "REQUEST_SCHEME=https\nHTTPS=on\nREMOTE_ADDR=192.0.2.7\n"                  \
    "REMOTE_PORT=51234\nSERVER_PORT=443\nSERVER_NAME=example.org\n"            \
    "HTTP_HOST=example.org\nHTTP_X_REAL_IP=1\nHTTP_CONTENT_LENGTH=99\n"        \
    "HTTP_CONTENT_TYPE=evil/evil\nHTTP_X_OTHER=b_c\nwsgi.input=x\nMY_VAR="

/* What nginx sends with its uwsgi_params. */
static void test_nginx(void **state)
{
    struct packet *packet = malloc(sizeof(*packet));

    (void)state;
    assert_non_null(packet);
    parse_all_ways(packet, NGINX);
    assert_span(packet, packet->request.method, "POST");
    assert_int_equal(packet->request.method_id, HTTP_METHOD_POST);
    assert_span(packet, packet->request.target, "/caf%C3%A9?a=%20b");
    assert_span(packet, packet->request.path, "/caf\xc3\xa9");
    assert_span(packet, packet->request.query, "a=%20b");
    assert_span(packet, packet->request.version, "HTTP/1.1");
    assert_int_equal(packet->request.version_minor, 0);
    assert_int_equal(packet->request.content_length, 5);
    assert_int_equal(packet->request.flags, HTTP_HAS_LENGTH | HTTP_GATEWAY |
                                                HTTP_PATH_DECODED |
                                                HTTP_VARIABLES);
    assert_span(packet, packet->peer.addr, "192.0.2.7");
    assert_span(packet, packet->peer.port, "51234");
    assert_true(packet->peer.secure);
    assert_value(packet, "HOST", 0, "example.org");
    assert_value(packet, "CONTENT_LENGTH", 0, "5");
    assert_value(packet, "CONTENT_TYPE", 0, "text/plain");
    assert_value(packet, "MY_VAR", HTTP_FIELD_VARIABLE, "");
    assert_value(packet, "SERVER_NAME", HTTP_FIELD_VARIABLE, "example.org");
    assert_value(packet, "REQUEST_URI", HTTP_FIELD_VARIABLE,
                 "/caf%C3%A9?a=%20b");
    assert_null(find(packet, "wsgi.input", HTTP_FIELD_VARIABLE));
    assert_null(find(packet, "REQUEST_METHOD", HTTP_FIELD_VARIABLE));
    free(packet);
}

static void test_spelling(void **state)
{
    struct packet *packet = malloc(sizeof(*packet));
    const struct http_field *field;

    (void)state;
    assert_non_null(packet);
    parse_all_ways(packet, NGINX);
    field = find(packet, "X_REAL_IP", 0);
    must(field != NULL);
    assert_int_equal(field->name_id, HTTP_NAME_X_REAL_IP);
    uwsgi_spell(packet->text, &packet->request, packet->fields);
    assert_value(packet, "X-REAL-IP", 0, "1");
    assert_value(packet, "X-OTHER", 0, "b_c");
    assert_value(packet, "MY_VAR", HTTP_FIELD_VARIABLE, "");
    free(packet);
}

#define GET "REQUEST_METHOD=GET\n"

static void test_paths(void **state)
{
    static const struct {
        const char *lines;
        const char *target;
        const char *path;
        const char *query;
        uint16_t flags; /* of PATH_DECODED and SCRIPT_NAME */
    } cases[] = {
        {GET "REQUEST_URI=/a%20b?c=d?e", "/a%20b?c=d?e", "/a%20b", "c=d?e", 0},
        {GET "REQUEST_URI=/a?b\nQUERY_STRING=", "/a?b", "/a", "", 0},
        {GET "PATH_INFO=/a b", "/a b", "/a b", "", HTTP_PATH_DECODED},
        {GET "REQUEST_URI=/app/x\nPATH_INFO=/app/x\nSCRIPT_NAME=/app", "/app/x",
         "/x", "", HTTP_PATH_DECODED | HTTP_SCRIPT_NAME},
        {GET "SCRIPT_NAME=/app\nREQUEST_URI=/app\nPATH_INFO=/app", "/app", "",
         "", HTTP_PATH_DECODED | HTTP_SCRIPT_NAME},
        {GET "REQUEST_URI=/apple\nPATH_INFO=/apple\nSCRIPT_NAME=/app", "/apple",
         "/apple", "", HTTP_PATH_DECODED | HTTP_SCRIPT_NAME},
        /* rewritten by nginx already */
        {GET "REQUEST_URI=/app/x\nPATH_INFO=/x\nSCRIPT_NAME=/app", "/app/x",
         "/x", "", HTTP_PATH_DECODED | HTTP_SCRIPT_NAME},
        {GET "REQUEST_URI=/app/app/x\nPATH_INFO=/app/x\nSCRIPT_NAME=/app",
         "/app/app/x", "/app/x", "", HTTP_PATH_DECODED | HTTP_SCRIPT_NAME},
        {GET "REQUEST_URI=/x\nPATH_INFO=/x\nSCRIPT_NAME=", "/x", "/x", "",
         HTTP_PATH_DECODED | HTTP_SCRIPT_NAME},
    };
    struct packet *packet = malloc(sizeof(*packet));

    (void)state;
    assert_non_null(packet);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        parse_all_ways(packet, cases[i].lines);
        assert_span(packet, packet->request.target, cases[i].target);
        assert_span(packet, packet->request.path, cases[i].path);
        assert_span(packet, packet->request.query, cases[i].query);
        assert_int_equal(packet->request.flags &
                             (HTTP_PATH_DECODED | HTTP_SCRIPT_NAME),
                         cases[i].flags);
    }
    free(packet);
}

static void test_values(void **state)
{
    struct packet *packet = malloc(sizeof(*packet));

    (void)state;
    assert_non_null(packet);
    /* Empty ones are what nginx sends for a GET; the last one counts. */
    parse_all_ways(packet, GET "REQUEST_URI=/\nCONTENT_LENGTH=\n"
                               "CONTENT_TYPE=\nHTTPS=off");
    assert_int_equal(packet->request.flags & HTTP_HAS_LENGTH, 0);
    assert_null(find(packet, "CONTENT_TYPE", 0));
    assert_false(packet->peer.secure);
    parse_all_ways(packet, GET "REQUEST_URI=/\nCONTENT_LENGTH=7\n"
                               "CONTENT_LENGTH=8\nREQUEST_METHOD=PATCH\n"
                               "CONTENT_TYPE=a/b\nCONTENT_TYPE=c/d");
    assert_int_equal(packet->request.content_length, 8);
    assert_value(packet, "CONTENT_LENGTH", 0, "8");
    assert_value(packet, "CONTENT_TYPE", 0, "c/d");
    assert_int_equal(packet->request.method_id, HTTP_METHOD_PATCH);
    assert_int_equal(packet->peer.addr.len, 0);
    parse_all_ways(packet, GET "REQUEST_URI=/\nwsgi.url_scheme=https");
    assert_true(packet->peer.secure);
    free(packet);
}

static void test_refused(void **state)
{
    static const struct {
        const char *lines;
        enum http_error error;
    } cases[] = {
        {"", HTTP_ERROR_METHOD},
        {"REQUEST_URI=/", HTTP_ERROR_METHOD},
        {GET, HTTP_ERROR_TARGET},
        {"REQUEST_METHOD=G T\nREQUEST_URI=/", HTTP_ERROR_METHOD},
        {GET "REQUEST_URI=/\nCONTENT_LENGTH=-1", HTTP_ERROR_LENGTH},
        {GET "REQUEST_URI=/\nCONTENT_LENGTH=5x", HTTP_ERROR_LENGTH},
        {GET "REQUEST_URI=/\nCONTENT_LENGTH=99999999999999999999",
         HTTP_ERROR_LENGTH},
        {GET "REQUEST_URI=/\nHTTP_A B=c", HTTP_ERROR_FIELD_VALUE},
        {GET "REQUEST_URI=/\nHTTP_A=a\rb", HTTP_ERROR_FIELD_VALUE},
        {GET "REQUEST_URI=/\nCONTENT_TYPE=a\rb", HTTP_ERROR_FIELD_VALUE},
        {GET "REQUEST_URI=/\nSERVER_PROTOCOL=a\rb", HTTP_ERROR_VERSION},
        {GET "REQUEST_URI=/\n=x", HTTP_ERROR_UWSGI},
    };
    struct packet *packet = malloc(sizeof(*packet));

    (void)state;
    assert_non_null(packet);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        make(packet, cases[i].lines);
        assert_int_equal(parse(packet, packet->n), -(int)cases[i].error);
    }
    free(packet);
}

/* Each length byte made larger or smaller: an error, never a read outside. */
static void test_lies(void **state)
{
    struct packet *packet = malloc(sizeof(*packet));

    (void)state;
    assert_non_null(packet);
    make(packet, GET "REQUEST_URI=/\nA=b");
    for (size_t i = UWSGI_HEAD_BYTES; i < packet->n; i++) {
        char before = packet->text[i];

        for (int byte = 0; byte < 256; byte++) {
            packet->text[i] = (char)byte;
            assert_int_not_equal(parse(packet, packet->n), 0);
        }
        packet->text[i] = before;
    }
    packet->text[1]--;
    assert_int_equal(parse(packet, packet->n), -HTTP_ERROR_UWSGI);
    free(packet);
}

static void test_modifiers(void **state)
{
    struct packet *packet = malloc(sizeof(*packet));

    (void)state;
    assert_non_null(packet);
    make(packet, GET "REQUEST_URI=/");
    for (int modifier = 0; modifier < 256; modifier++) {
        bool good = modifier == 0 || modifier == 30;

        packet->text[0] = (char)modifier;
        assert_int_equal(parse(packet, packet->n),
                         good ? (int)packet->n : -HTTP_ERROR_UWSGI);
        assert_int_equal(parse(packet, 1), good ? 0 : -HTTP_ERROR_UWSGI);
    }
    free(packet);
}

static void test_room(void **state)
{
    struct packet *packet = malloc(sizeof(*packet));
    char lines[1024] = GET "REQUEST_URI=/\n";

    (void)state;
    assert_non_null(packet);
    for (int i = 0; i < FIELDS - 1; i++)
        snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines),
                 "V%d=x\n", i);
    make(packet, lines);
    assert_int_equal(parse(packet, packet->n), packet->n);
    assert_int_equal(packet->request.field_count, FIELDS);
    snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "W=x\n");
    make(packet, lines);
    assert_int_equal(parse(packet, packet->n), -HTTP_ERROR_FIELDS_LIMIT);
    free(packet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nginx),     cmocka_unit_test(test_spelling),
        cmocka_unit_test(test_paths),     cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_lies),
        cmocka_unit_test(test_modifiers), cmocka_unit_test(test_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
