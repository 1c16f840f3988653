/* SPDX-License-Identifier: MIT */
/*
 * Static files without connections: names, types, dates, codings, conditions,
 * ranges, and what is remembered of files in a directory of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/static_part.h"
#include "core/static_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_decode(void **state)
{
    static const struct {
        const char *path;
        bool decoded;
        const char *text;
    } cases[] = {
        {"/a%20b", false, "/a b"},       {"/a%20b", true, "/a%20b"},
        {"/%2E%2e", false, "/.."},       {"/%", false, "/%"},
        {"/%4", false, "/%4"},           {"/%g1%1g", false, "/%g1%1g"},
        {"/%2541", false, "/%41"},       {"", false, ""},
        {"/%C3%BC", false, "/\xc3\xbc"},
    };
    char out[STATIC_PATH_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int n = static_path_decode(bytes_of(cases[i].path), cases[i].decoded,
                                   out);

        assert_int_equal(n, strlen(cases[i].text));
        assert_memory_equal(out, cases[i].text, (size_t)n);
    }
    for (size_t n = STATIC_PATH_MAX - 2; n < STATIC_PATH_MAX + 2; n++) {
        char *path = malloc(n);

        assert_non_null(path);
        memset(path, 'a', n);
        assert_int_equal(
            static_path_decode((struct bytes){path, n}, false, out),
            n < STATIC_PATH_MAX ? (int)n : -ENAMETOOLONG);
        free(path);
    }
}

static void test_name(void **state)
{
    static const struct {
        const char *rest;
        const char *name; /* NULL: none */
    } cases[] = {
        {"/a", "a"},
        {"//a///b", "a/b"},
        {"/a/.well-known/b", "a/.well-known/b"},
        {"/a..b", "a..b"},
        {"/a/", NULL},
        {"/", NULL},
        {"", NULL},
        {"/..", NULL},
        {"/a/../b", NULL},
        {"/./a", NULL},
        {"/.git/a", NULL},
        {"/...", NULL},
        {"/.well-known2/a", NULL},
    };
    char out[STATIC_PATH_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int n = static_path_name(bytes_of(cases[i].rest), out);

        if (cases[i].name) {
            assert_int_equal(n, strlen(cases[i].name));
            assert_string_equal(out, cases[i].name);
        } else {
            assert_int_equal(n, -ENOENT);
        }
    }
    assert_int_equal(static_path_name(BYTES("/a\0b"), out), -ENOENT);
    assert_true(static_path_is_below(BYTES("/s/a"), BYTES("/s")));
    assert_true(static_path_is_below(BYTES("/s/"), BYTES("/s")));
    assert_true(static_path_is_below(BYTES("/"), BYTES("")));
    assert_false(static_path_is_below(BYTES("/s"), BYTES("/s")));
    assert_false(static_path_is_below(BYTES("/sa/b"), BYTES("/s")));
    assert_false(static_path_is_below(BYTES("*"), BYTES("")));
    assert_false(static_path_is_below(BYTES(""), BYTES("")));
}

/* A table that is not sorted loses rows. */
static void test_type(void **state)
{
    static const char *const cases[][2] = {
        {"a.3gp", "video/3gpp"},
        {"a.zst", "application/zstd"},
        {"d/a.CSS", "text/css; charset=utf-8"},
        {"a.tar.gz", "application/gzip"},
        {"a.htm", "text/html; charset=utf-8"},
        {"a.html", "text/html; charset=utf-8"},
        {"a.js", "text/javascript; charset=utf-8"},
        {"a.json", "application/json"},
        {"a.woff", "font/woff"},
        {"a.woff2", "font/woff2"},
        {"a.wof", "application/octet-stream"},
        {"a.", "application/octet-stream"},
        {"a", "application/octet-stream"},
        {"a.css/b", "application/octet-stream"},
        {"a.m3u8", "application/vnd.apple.mpegurl"},
        {"a.7z", "application/x-7z-compressed"},
        {"a.webmanifest", "application/manifest+json"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bytes type = static_path_type(bytes_of(cases[i][0]));

        assert_int_equal(type.n, strlen(cases[i][1]));
        assert_memory_equal(type.p, cases[i][1], type.n);
    }
}

static void test_date(void **state)
{
    static const struct {
        const char *text;
        int64_t when; /* -1: none */
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
        {"Fri, 01 Mar 2024 00:00:00 GMT", 1709251200},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
        {"Sun, 06 Foo 1994 08:49:37 GMT", -1},
        {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
        {"784111777", -1},
        {"", -1},
    };
    char text[HTTP_DATE_LEN];
    int64_t when;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int rc = http_date_parse(bytes_of(cases[i].text), &when);

        assert_int_equal(rc, cases[i].when < 0 ? -EINVAL : 0);
        if (rc == 0)
            assert_int_equal(when, cases[i].when);
    }
    for (int64_t t = 0; t < 253402300800; t += 86399 * 37) {
        http_date(text, t);
        assert_int_equal(
            http_date_parse((struct bytes){text, sizeof(text)}, &when), 0);
        assert_int_equal(when, t);
    }
}

/* A request made of a method and "Name: value" lines. */
struct made {
    char head[1024];
    struct http_request request;
    struct http_field fields[8];
    struct static_ask ask;
};

static const struct static_ask *made(struct made *m, const char *method,
                                     const char *lines)
{
    struct http_parser parser = {0};
    struct http_limits limits = {0};
    int n = snprintf(m->head, sizeof(m->head),
                     "%s / HTTP/1.1\r\nHost: t\r\n%s\r\n", method, lines);

    assert_int_equal(http_parse(&parser, &limits,
                                (struct bytes){m->head, (size_t)n}, &m->request,
                                m->fields, 8),
                     n);
    m->ask = (struct static_ask){m->head, &m->request, m->fields};
    return &m->ask;
}

static void test_codings(void **state)
{
    static const struct {
        const char *value;
        const char *codings; /* i, b, g */
    } cases[] = {
        {"", "i"},
        {"Accept-Encoding: gzip\r\n", "gi"},
        {"Accept-Encoding: gzip, deflate, br\r\n", "bgi"},
        {"Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n", "bgi"},
        {"Accept-Encoding: gzip;q=0.8,br;q=0.5\r\n", "gbi"},
        {"Accept-Encoding: br ; q=0 , *\r\n", "gi"},
        {"Accept-Encoding: *;q=0\r\n", "i"},
        {"Accept-Encoding: gzip;q=x\r\n", "gi"},
        {"Accept-Encoding: gzip;q=0.0001\r\n", "i"},
        {"Accept-Encoding: gzip;foo;q=0\r\n", "i"},
        {"Accept-Encoding: ,,gzip;;,\r\n", "gi"},
    };
    enum static_coding codings[STATIC_CODINGS];
    struct made m;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[STATIC_CODINGS + 1] = "";
        uint32_t n = static_ask_codings(made(&m, "GET", cases[i].value),
                                        codings);

        for (uint32_t k = 0; k < n; k++)
            text[k] = "ibg"[codings[k]];
        assert_string_equal(text, cases[i].codings);
    }
}

static void test_status(void **state)
{
    static const struct {
        const char *method;
        const char *lines;
        int status;
        uint32_t count;
    } cases[] = {
        {"GET", "", 200, 0},
        {"GET", "If-None-Match: \"e\"\r\n", 304, 0},
        {"HEAD", "If-None-Match: W/\"e\"\r\n", 304, 0},
        {"GET", "If-None-Match: \"a,\"e\"\r\n", 200, 0},
        {"GET", "If-None-Match: \"x\" , \"e\"\r\n", 304, 0},
        {"GET", "If-None-Match: \"\r\n", 200, 0},
        {"GET", "If-None-Match: W/\r\n", 200, 0},
        {"GET", "If-Match: W/\"e\"\r\n", 412, 0},
        {"GET", "If-Match: \"e\"\r\nIf-None-Match: \"e\"\r\n", 304, 0},
        {"GET", "If-Match: \r\n", 412, 0},
        {"GET", "Range: bytes=0-4\r\n", 206, 1},
        {"HEAD", "Range: bytes=0-4\r\n", 200, 0},
        {"GET", "Range: bytes=0-4, 5-9\r\n", 206, 2},
        {"GET", "Range: bytes=0-4, 5-9, 6-10, 0-99\r\n", 200, 0},
        {"GET", "Range: BYTES = 0 - 4\r\n", 206, 1},
        {"GET", "Range: bytes=100-\r\n", 416, 0},
        {"GET", "Range: bytes=-0\r\n", 416, 0},
        {"GET", "Range: bytes=,\r\n", 200, 0},
        {"GET", "Range: bytes=0-4\r\nRange: bytes=5-9\r\n", 200, 0},
        {"GET", "Range: bytes=0-4\r\nRange: bytes=0-4\r\n", 200, 0},
        {"GET", "Range: bytes=18446744073709551616-\r\n", 416, 0},
        {"GET", "Range: bytes=0-4\r\nIf-Range: \"e\"\r\n", 206, 1},
        {"GET", "Range: bytes=0-4\r\nIf-Range: \"f\"\r\n", 200, 0},
        {"GET", "Range: bytes=0-4\r\nIf-None-Match: \"e\"\r\n", 304, 0},
    };
    struct static_state file = {BYTES("\"e\""), 1000, 100};
    struct static_range ranges[STATIC_RANGES_MAX];
    struct made m;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct static_ask *ask = made(&m, cases[i].method,
                                            cases[i].lines);
        uint32_t count = 0;
        int status = static_ask_status(ask, &file, ranges, &count);

        if (status != cases[i].status || count != cases[i].count)
            fail_msg("%s: %d with %u", cases[i].lines, status, count);
        for (uint32_t k = 0; k < count; k++)
            assert_in_range(ranges[k].len, 1, 100 - ranges[k].off);
    }
}

/* What is said to come is what comes. */
static void test_parts(void **state)
{
    static const struct static_range ranges[] = {{0, 1}, {5, 10}, {99, 1}};
    struct static_file file = {.type = BYTES("a/b")};
    struct static_answer answer = {206,          &file,  STATIC_IDENTITY,
                                   BYTES("xyz"), ranges, 3};
    struct static_parts parts = {file.type, answer.boundary, ranges, 3, 100};
    char text[STATIC_PART_MAX];
    uint64_t total = 12;

    (void)state;
    file.as[STATIC_IDENTITY].size = 100;
    for (uint32_t i = 0; i <= 3; i++)
        total += static_part_text(&parts, i, text);
    assert_int_equal(static_part_length(&answer), total);
    text[static_part_text(&parts, 1, text)] = '\0';
    assert_string_equal(text, "\r\n--xyz\r\nContent-Type: a/b\r\n"
                              "Content-Range: bytes 5-14/100\r\n\r\n");
    text[static_part_text(&parts, 3, text)] = '\0';
    assert_string_equal(text, "\r\n--xyz--\r\n");
}

struct place {
    char path[64];
    char file[96];
    struct static_map map;
    struct static_site *site;
};

static void write_file(struct place *place, const char *name, size_t size)
{
    static const char block[8000];
    int fd;

    snprintf(place->file, sizeof(place->file), "%s/%s", place->path, name);
    fd = open(place->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_in_range(fd, 0, 10000);
    assert_int_equal(write(fd, block, size), size);
    close(fd);
}

static int place_set_up(void **state)
{
    static struct place place;

    snprintf(place.path, sizeof(place.path), "/tmp/gcorn-static-XXXXXX");
    assert_non_null(mkdtemp(place.path));
    place.map = (struct static_map){BYTES("/s"), place.path};
    assert_int_equal(static_site_new(&place.site, &place.map, 1), 0);
    *state = &place;
    return 0;
}

static int place_tear_down(void **state)
{
    struct place *place = *state;

    static_site_free(place->site);
    unlink(place->file);
    return rmdir(place->path);
}

static void test_remembers(void **state)
{
    struct place *place = *state;
    struct static_file *file;
    uint64_t now = NS_PER_S;
    int fd;

    assert_int_equal(static_file_find(place->site, 0, "a", now, &file),
                     -ENOENT);
    write_file(place, "a", 100);
    assert_int_equal(static_file_find(place->site, 0, "a", now, &file), 0);
    assert_non_null(file->as[STATIC_IDENTITY].content);
    assert_false(file->as[STATIC_GZIP].is_there);
    write_file(place, "a", STATIC_SMALL_BYTES + 1);
    assert_int_equal(static_file_find(place->site, 0, "a", now, &file), 0);
    assert_int_equal(file->as[STATIC_IDENTITY].size, 100);
    assert_int_equal(static_file_open(place->site, file, STATIC_IDENTITY),
                     -ESTALE);
    assert_int_equal(static_file_find(place->site, 0, "a", now, &file), 0);
    assert_null(file->as[STATIC_IDENTITY].content);
    fd = static_file_open(place->site, file, STATIC_IDENTITY);
    assert_in_range(fd, 0, 10000);
    close(fd);
    unlink(place->file);
    now += 2 * NS_PER_S;
    assert_int_equal(static_file_find(place->site, 0, "a", now, &file),
                     -ENOENT);
}

/* Far more names than places. */
static void test_forgets(void **state)
{
    struct place *place = *state;
    struct static_file *file;
    char name[STATIC_NAME_MAX + 1];

    write_file(place, "a", 1);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "x%d", i);
        assert_int_equal(
            static_file_find(place->site, 0, name, NS_PER_S, &file), -ENOENT);
    }
    assert_int_equal(static_file_find(place->site, 0, "a", NS_PER_S, &file), 0);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(static_file_find(place->site, 0, name, NS_PER_S, &file),
                     -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_type),
        cmocka_unit_test(test_date),
        cmocka_unit_test(test_codings),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_parts),
        cmocka_unit_test_setup_teardown(test_remembers, place_set_up,
                                        place_tear_down),
        cmocka_unit_test_setup_teardown(test_forgets, place_set_up,
                                        place_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
