/* SPDX-License-Identifier: MIT */
/* What applications may answer, and what clients get (PEP 3333, RFC 9112). */
#include "wsgi_stage.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define TEXT "Content-Type: text/plain\r\n"
#define LENGTH(n) "Content-Length: " n "\r\n"
#define ANSWER(n, body) OK TEXT KEEP LENGTH(n) "\r\n" body
#define STREAM(body) OK TEXT KEEP CHUNKED "\r\n" body
#define PAGE_500 "HTTP/1.1 500 Internal Server Error\r\n*"
#define LATER "HTTP/1.1 503 Later\r\nC: d\r\n"
#define HINT "HTTP/1.1 103 Early Hints\r\nLink: "

#define HEAD "HEAD / " V H "\r\n"
#define OLD "GET / HTTP/1.0\r\n\r\n"
#define OLD_KEEP "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
#define LAST "GET / " V H "Connection: close\r\n\r\n"

#define ENDS EXCHANGE_OUT_CLOSE
#define BREAKS (EXCHANGE_OUT_CLOSE | EXCHANGE_OUT_BROKEN)

#define X3(s) s " " s " " s
#define X5(s) s " " s " " s " " s " " s
#define V_ERR "ValueError"
#define T_ERR "TypeError"

static const struct wsgi_case bodies[] = {
    {"one", .answer = ANSWER("3", "one")},
    {"several", .answer = ANSWER("3", "abc")},
    {"in_tuple", .answer = ANSWER("2", "ab")},
    {"nothing", .answer = ANSWER("0", "")},
    {"empty_piece", .answer = ANSWER("0", "")},
    {"generator", .answer = STREAM("2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")},
    {"generator_of_nothing", .answer = ANSWER("0", "")},
    {"closed", .answer = STREAM("2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"),
     .trace = "close"},
    {"len_one", .answer = ANSWER("3", "abc"), .trace = "close"},
    {"len_one_lies", .answer = ANSWER("3", "abc"), .trace = "close",
     .log = "longer than its Content-Length 3"},
    {"len_fails", .answer = STREAM("3\r\nabc\r\n0\r\n\r\n"), .trace = "close"},
    {"getitem_only", .answer = STREAM("3\r\nold\r\n5\r\nstyle\r\n0\r\n\r\n")},
    {"sub_list", .answer = STREAM("1\r\na\r\n1\r\nb\r\n0\r\n\r\n"),
     .trace = "close"},
    {"late_start", .answer = "HTTP/1.1 201 Created\r\n" TEXT KEEP CHUNKED
                             "\r\n4\r\nlate\r\n0\r\n\r\n"},
    {"bound_method", .answer = ANSWER("6", "method")},
    {"large", .answer = ANSWER("700000", "xxxx*")},
    {"large", .answer = ANSWER("700000", "xxxx*"), .play = PLAY_FULL},
    {"large", .answer = ANSWER("700000", "xxxx*"), .play = PLAY_STARVED},
    {"large_closed", .answer = STREAM("aae60\r\nxxx*"), .trace = "close",
     .play = PLAY_FULL},
    {"large_stream", .answer = STREAM("3e8\r\nzzz*"), .trace = "close",
     .play = PLAY_FULL},
};

static const struct wsgi_case failures[] = {
    {"raises_at_once", .answer = PAGE_500, .flags = ENDS,
     .log = "ValueError: at once"},
    {"raises", .answer = PAGE_500, .flags = ENDS, .log = "ZeroDivisionError"},
    {"raises", "GET /a/path?q=1 " V H "\r\n", PAGE_500, .flags = ENDS,
     .log = "Error handling request GET /a/path?q=1\nTraceback"},
    {"raises", HEAD, PAGE_500, .flags = ENDS, .log = "ZeroDivisionError"},
    {"raises", OLD, "HTTP/1.1 500 *", .flags = ENDS, .log = "ZeroDivision"},
    {"fails_first", .answer = PAGE_500, .trace = "close", .flags = ENDS,
     .log = "ValueError: first"},
    {"fails_midway", .answer = STREAM("2\r\nab\r\n"), .trace = "close",
     .flags = BREAKS, .log = "ValueError: midway"},
    {"exits", .answer = PAGE_500, .flags = ENDS, .ends = true,
     .log = "SystemExit: 3"},
    {"ends_midway", .answer = STREAM("2\r\nab\r\n"), .trace = "close",
     .flags = BREAKS, .ends = true, .log = "SystemExit: 1"},
    {"interrupted", .answer = PAGE_500, .trace = "close", .flags = ENDS,
     .ends = true, .log = "KeyboardInterrupt"},
    {"never_started", .answer = PAGE_500, .trace = "close", .flags = ENDS,
     .log = "did not call start_response"},
    {"of_str", .answer = PAGE_500, .flags = ENDS, .log = "must be bytes"},
    {"of_bytearray", .answer = PAGE_500, .trace = "close", .flags = ENDS,
     .log = "must be bytes, not <class 'bytearray'>"},
    {"bare_bytes", .answer = PAGE_500, .flags = ENDS, .log = "must be bytes"},
    {"bare_none", .answer = PAGE_500, .flags = ENDS, .log = "not iterable"},
    {"no_iterator", .answer = PAGE_500, .flags = ENDS, .log = "not iterable"},
    {"close_fails", .answer = STREAM("2\r\nab\r\n0\r\n\r\n"), .trace = "close",
     .log = "ValueError: in close"},
    {"close_exits", .answer = STREAM("2\r\nab\r\n0\r\n\r\n"), .ends = true,
     .log = "SystemExit"},
    {"close_odd", .answer = STREAM("2\r\nab\r\n0\r\n\r\n"),
     .log = "no close for you"},
    {"one", .play = PLAY_GONE},
    {"closed", .play = PLAY_GONE, .trace = "close"},
    {"raises", .play = PLAY_GONE, .log = "ZeroDivisionError"},
    {"writes_to_nobody", .play = PLAY_GONE},
    {"writes_to_nobody", .play = PLAY_LEAVE},
    {"streams_to_nobody", .play = PLAY_LEAVE, .trace = "close"},
    {"exits", .play = PLAY_GONE, .ends = true, .log = "SystemExit: 3"},
};

static const struct wsgi_case heads[] = {
    {"bad_status", .answer = ANSWER("3", "end"),
     .trace = T_ERR " " T_ERR " " X5(V_ERR) " " X5(V_ERR) " " V_ERR " " V_ERR
                                                          " " T_ERR},
    {"bad_fields", .answer = ANSWER("3", "end"),
     .trace = X3(T_ERR " " T_ERR " " T_ERR) " " X5(V_ERR) " " X5(V_ERR) " " X3(
         V_ERR) " " X3(V_ERR)},
    {"bad_calls", .answer = ANSWER("5", "named"),
     .trace = X5(T_ERR) " " T_ERR " " T_ERR},
    {"good_fields",
     .answer =
         "HTTP/1.1 299 \r\nX-a!#$%&'*+-.^_`|~0: \t v\xe9 ~\r\nb: \r\n"
         "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n" KEEP LENGTH("4") "\r\ngood"},
    {"status_alone",
     .answer = "HTTP/1.1 200 \r\n" TEXT KEEP LENGTH("0") "\r\n"},
    {"hop_by_hop", .answer = OK "Kept: yes\r\n" KEEP LENGTH("1") "\r\nx"},
    {"twice", .answer = PAGE_500, .flags = ENDS,
     .log = "called again without exc_info"},
    {"replaced", .answer = LATER KEEP LENGTH("5") "\r\nlater"},
    {"too_late", .answer = STREAM("5\r\nfirst\r\n"), .flags = BREAKS,
     .log = "LookupError: too late"},
    {"too_late_odd", .answer = STREAM("5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n"),
     .trace = "AssertionError AssertionError AssertionError ValueError"},
    {"big_head", .answer = OK "A: bbbb*", .fixed = true},
    {"big_head", .answer = OK "A: bbbb*", .fixed = true, .play = PLAY_STARVED},
    {"many_fields", .answer = OK "X-0: v\r\nX-1: v\r\nX-2: v\r\nX-0: v\r\n*"},
    {"one", LAST, OK TEXT CLOSE LENGTH("3") "\r\none", .flags = ENDS},
    {"one", OLD, "HTTP/1.0 200 OK\r\n" TEXT CLOSE LENGTH("3") "\r\none",
     .flags = ENDS},
    {"one", OLD_KEEP, "HTTP/1.0 200 OK\r\n" TEXT KEEP LENGTH("3") "\r\none"},
    {"generator", OLD_KEEP, "HTTP/1.0 200 OK\r\n" TEXT CLOSE "\r\nabcd",
     .flags = ENDS},
};

static const struct wsgi_case lengths[] = {
    {"length_right", .answer = OK KEEP LENGTH("5") "\r\nabcde"},
    {"length_short", .answer = OK KEEP LENGTH("3") "\r\nabc",
     .log = "longer than its Content-Length 3"},
    {"length_long", .answer = OK KEEP LENGTH("9") "\r\nabcde", .flags = BREAKS,
     .log = "has 5 bytes, its Content-Length says 9"},
    {"length_zero", .answer = OK KEEP LENGTH("0") "\r\n"},
    {"length_stream", .answer = OK KEEP LENGTH("5") "\r\nabcde",
     .trace = "close", .log = "longer than its Content-Length 5"},
    {"length_stream_long", .answer = OK KEEP LENGTH("5") "\r\nab",
     .trace = "close", .flags = BREAKS, .log = "has 2 bytes"},
    {"no_content", .answer = "HTTP/1.1 204 No Content\r\n" KEEP "\r\n"},
    {"not_modified",
     .answer = "HTTP/1.1 304 Not Modified\r\n" KEEP LENGTH("4") "\r\n"},
    {"head_counts", HEAD, OK KEEP LENGTH("2") "\r\n", .trace = "close"},
    {"generator", HEAD, OK TEXT KEEP "\r\n"},
    {"length_long", HEAD, OK KEEP LENGTH("9") "\r\n"},
    {"writes", .answer = STREAM("2\r\nab\r\n2\r\ncd\r\n2\r\nef\r\n0\r\n\r\n"),
     .trace = "close"},
    {"writes", HEAD, OK TEXT KEEP "\r\n", .trace = "close"},
    {"writes_with_length", .answer = OK KEEP LENGTH("4") "\r\nabcd"},
    {"writes_wrongly", .answer = ANSWER("3", "end"),
     .trace = T_ERR " " X3(T_ERR)},
    {"hints",
     .answer = HINT "</a.css>; rel=preload\r\n\r\n" HINT
                    "</b.js>\r\n\r\n" ANSWER("6", "hinted"),
     .fixed = true},
    {"hints", OLD_KEEP,
     "HTTP/1.0 200 OK\r\n" TEXT KEEP LENGTH("6") "\r\nhinted"},
    {"hints_wrong", .answer = ANSWER("1", "x"),
     .trace = T_ERR " " T_ERR " " V_ERR " " V_ERR " " T_ERR},
    {"hints_large", .answer = "HTTP/1.1 103 Early Hints\r\nA: bb*",
     .fixed = true},
    {"stale", .answer = ANSWER("4", "kept"), .trace = "*"},
    {"stale", .answer = ANSWER("4", "kept"),
     .trace = X3("the request is over") " b''"},
    {"checked", .answer = STREAM("3\r\none\r\n0\r\n\r\n")},
    {"checked_stream", .answer = STREAM("2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"),
     .trace = "close"},
};

static const struct wsgi_case files[] = {
    {"file_whole", .answer = ANSWER("10", "whole file"), .trace = "close"},
    {"file_whole", HEAD, OK TEXT KEEP "\r\n", .trace = "close"},
    {"file_whole", OLD_KEEP,
     "HTTP/1.0 200 OK\r\n" TEXT KEEP LENGTH("10") "\r\nwhole file",
     .trace = "close"},
    {"file_large", .answer = ANSWER("3000000", "FFFF*")},
    {"file_offset", .answer = ANSWER("6", "456789"), .trace = "close"},
    {"file_empty", .answer = ANSWER("0", ""), .trace = "close"},
    {"file_length", .answer = OK KEEP LENGTH("4") "\r\n0123"},
    {"file_too_short", .answer = OK KEEP LENGTH("9") "\r\n0123",
     .flags = BREAKS, .log = "has 4 bytes"},
    {"file_memory", .answer = STREAM("4\r\nmemo\r\n2\r\nry\r\n0\r\n\r\n")},
    {"file_zipped", .answer = STREAM("8\r\nunzipped\r\n0\r\n\r\n")},
    {"file_zipped_real", .answer = STREAM("8\r\nunzipped\r\n0\r\n\r\n")},
    {"file_loud", .answer = STREAM("4\r\nLOUD\r\n0\r\n\r\n"), .trace = "close"},
    {"file_replaced", .answer = STREAM("6\r\ncooked\r\n0\r\n\r\n")},
    {"file_closed", .answer = PAGE_500, .flags = ENDS, .log = "closed file"},
    {"file_pipe", .answer = STREAM("5\r\npiped\r\n0\r\n\r\n")},
    {"file_proc", .answer = OK TEXT KEEP CHUNKED "\r\n*"},
    {"file_no_close", .answer = STREAM("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")},
    {"file_bad", .answer = PAGE_500, .flags = ENDS, .log = "unreadable"},
    {"file_none", .answer = PAGE_500, .flags = ENDS, .log = "TypeError"},
    {"file_after_write",
     .answer = STREAM("6\r\nfirst \r\nb\r\nthen a file\r\n0\r\n\r\n")},
    {"file_after_write", OLD,
     "HTTP/1.0 200 OK\r\n" TEXT CLOSE "\r\nfirst then a file", .flags = ENDS},
    {"file_wrapper_calls",
     .answer = STREAM("3\r\nabc\r\n3\r\ndef\r\n1\r\ng\r\n0\r\n\r\n"),
     .trace = X3(T_ERR) " b'abc' b'def' 3 6 True"},
    {"in_cycle", .answer = STREAM("6\r\nlooped\r\n0\r\n\r\n")},
};

static const struct wsgi_group groups[] = {
    {"bodies", bodies, ARRAY_SIZE(bodies)},
    {"failures", failures, ARRAY_SIZE(failures)},
    {"heads", heads, ARRAY_SIZE(heads)},
    {"lengths", lengths, ARRAY_SIZE(lengths)},
    {"files", files, ARRAY_SIZE(files)},
};

int main(int argc, char **argv)
{
    return wsgi_stage_main(argc, argv, groups, ARRAY_SIZE(groups));
}
