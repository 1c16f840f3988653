/* SPDX-License-Identifier: MIT */
/* What an application sees of a request: environ and wsgi.input. */
#include "wsgi_stage.h"

#include <sys/socket.h>

#define ANSWER(n, body)                                                        \
    "HTTP/1.1 200 OK\r\n" KEEP "Content-Length: " n "\r\n\r\n" body
#define SHOW(keys) "GET /?" keys " " V H "\r\n"
#define POST(n, body) "POST / " V H "Content-Length: " n "\r\n\r\n" body
#define T_ERR "TypeError"

/* Fields nobody knows, 10 at a time. */
#define TEN(t)                                                                 \
    "X" t "0: v\r\nX" t "1: v\r\nX" t "2: v\r\nX" t "3: v\r\nX" t "4: v\r\n"   \
    "X" t "5: v\r\nX" t "6: v\r\nX" t "7: v\r\nX" t "8: v\r\nX" t "9: v\r\n"
#define NINETY                                                                 \
    TEN("0")                                                                   \
    TEN("1") TEN("2") TEN("3") TEN("4") TEN("5") TEN("6") TEN("7") TEN("8")
#define S10(s) s s s s s s s s s s
#define LONG_NAME S10("x-long-name-") S10("x-long-name-") S10("x-long-name-")

static const struct wsgi_case environ_cases[] = {
    {"show_types", .answer = "HTTP/1.1 200 OK\r\n" KEEP "*",
     .log = "to the log\xe2\x82\xac\ntwo\nlines\n"},
    {"show",
     SHOW("REQUEST_METHOD,PATH_INFO,RAW_URI,SERVER_PROTOCOL,"
          "SCRIPT_NAME,wsgi.url_scheme,CONTENT_LENGTH"),
     ANSWER("215", "REQUEST_METHOD=GET\nPATH_INFO=/\nRAW_URI=/?REQUEST_METHOD,"
                   "PATH_INFO,RAW_URI,SERVER_PROTOCOL,SCRIPT_NAME,"
                   "wsgi.url_scheme,CONTENT_LENGTH\nSERVER_PROTOCOL=HTTP/1.1\n"
                   "SCRIPT_NAME=\nwsgi.url_scheme=http\n"
                   "CONTENT_LENGTH=(absent)")},
    {"show",
     SHOW("wsgi.version,wsgi.multithread,wsgi.multiprocess,"
          "wsgi.run_once,wsgi.input_terminated"),
     ANSWER("112", "wsgi.version=(1, 0)\nwsgi.multithread=True\n"
                   "wsgi.multiprocess=False\nwsgi.run_once=False\n"
                   "wsgi.input_terminated=True")},
    {"show", SHOW("SERVER_SOFTWARE"),
     "HTTP/1.1 200 OK\r\n" KEEP "Content-Length: 27\r\n\r\n"
     "SERVER_SOFTWARE=gcorn/" GCORN_VERSION},
    {"show", SHOW("REMOTE_ADDR,REMOTE_PORT,SERVER_NAME,SERVER_PORT"),
     ANSWER("78", "REMOTE_ADDR=192.0.2.7\nREMOTE_PORT=50007\n"
                  "SERVER_NAME=127.0.0.1\nSERVER_PORT=8000")},
    {"show", SHOW("REMOTE_ADDR,REMOTE_PORT,SERVER_NAME,SERVER_PORT"),
     ANSWER("74", "REMOTE_ADDR=2001:db8::7\nREMOTE_PORT=50007\n"
                  "SERVER_NAME=::1\nSERVER_PORT=8001"),
     .family = AF_INET6, .listener = 1},
    {"show", SHOW("REMOTE_ADDR,REMOTE_PORT,SERVER_NAME,SERVER_PORT"),
     ANSWER("62", "REMOTE_ADDR=\nREMOTE_PORT=(absent)\n"
                  "SERVER_NAME=a\nSERVER_PORT=80"),
     .family = AF_UNIX, .listener = 2},
    {"show",
     "GET /?SERVER_NAME,SERVER_PORT,wsgi.url_scheme " V
     "Host: [::1]:44\r\n\r\n",
     ANSWER("54", "SERVER_NAME=[::1]\nSERVER_PORT=44\nwsgi.url_scheme=https"),
     .family = AF_UNIX, .listener = 2, .secure = true},
    {"show", "GET /?SERVER_NAME,SERVER_PORT " V "Host: [::1]\r\n\r\n",
     ANSWER("33", "SERVER_NAME=[::1]\nSERVER_PORT=443"), .family = AF_UNIX,
     .listener = 2, .secure = true},
    {"show", "GET /?SERVER_NAME,SERVER_PORT HTTP/1.0\r\n\r\n",
     "HTTP/1.0 200 OK\r\n" CLOSE "Content-Length: 25\r\n\r\n"
     "SERVER_NAME=\nSERVER_PORT=",
     .family = AF_UNIX, .listener = 2, .flags = EXCHANGE_OUT_CLOSE},
    {"show", "GET /a%20b%C3%A9%2Fc%zz%4?PATH_INFO,QUERY_STRING " V H "\r\n",
     ANSWER("59", "PATH_INFO=/a b\xc3\xa9/c%zz%4\n"
                  "QUERY_STRING=PATH_INFO,QUERY_STRING")},
    {"show", "GET /%?PATH_INFO " V H "\r\n", ANSWER("12", "PATH_INFO=/%")},
    {"show",
     "GET http://b:9/c?PATH_INFO,HTTP_HOST,RAW_URI " V "Host: other\r\n\r\n",
     ANSWER("75", "PATH_INFO=/c\nHTTP_HOST=b:9\n"
                  "RAW_URI=http://b:9/c?PATH_INFO,HTTP_HOST,RAW_URI")},
    {"show", "PURGE /?REQUEST_METHOD " V H "\r\n",
     ANSWER("20", "REQUEST_METHOD=PURGE")},
    {"show", "get /?REQUEST_METHOD " V H "\r\n",
     ANSWER("18", "REQUEST_METHOD=GET"),
     .parse_flags = HTTP_PERMIT_ANY_METHOD | HTTP_CASEFOLD_METHOD},
};

static const struct wsgi_case script_cases[] = {
    {"show", "GET /a%20p/c?SCRIPT_NAME,PATH_INFO " V H "\r\n",
     ANSWER("29", "SCRIPT_NAME=/a p\nPATH_INFO=/c"), .script_name = "/a p"},
    {"show", "GET /a?SCRIPT_NAME,PATH_INFO " V H "\r\n",
     ANSWER("25", "SCRIPT_NAME=/a\nPATH_INFO="), .script_name = "/a"},
    {"show", "GET /%C3%A9/?SCRIPT_NAME,PATH_INFO " V H "\r\n",
     ANSWER("27", "SCRIPT_NAME=/\xc3\xa9\nPATH_INFO=/"),
     .script_name = "/\xc3\xa9"},
    {"show", "GET /b?SCRIPT_NAME " V H "\r\n",
     "HTTP/1.1 500 Internal Server Error\r\n*", .script_name = "/a",
     .flags = EXCHANGE_OUT_CLOSE, .log = "does not begin with SCRIPT_NAME"},
};

static const struct wsgi_case field_cases[] = {
    {"show_fields",
     "GET / " V H "X-One: 1\r\nx-two:  2 \r\nX-One: 3\r\nX-ONE:\r\n\r\n",
     ANSWER("40", "HTTP_HOST=a HTTP_X_ONE=1,3, HTTP_X_TWO=2")},
    {"show_fields",
     "GET / " V H
     "Cookie: a=1\r\nAccept: x\r\nCookie: b=2\r\nAccept: y\r\n\r\n",
     ANSWER("48", "HTTP_ACCEPT=x,y HTTP_COOKIE=a=1; b=2 HTTP_HOST=a")},
    {"show_fields", "GET / " V H "X_A: dropped\r\nX-A: kept\r\n\r\n",
     ANSWER("25", "HTTP_HOST=a HTTP_X_A=kept")},
    {"show_fields",
     "POST / " V H "Content-Type: a/b\r\nContent-Length: 1\r\n\r\nx",
     ANSWER("45", "CONTENT_LENGTH=1 CONTENT_TYPE=a/b HTTP_HOST=a")},
    {"show_fields",
     "GET / " V H "X-Fold: a\r\n \tb\r\n  c\r\nAccept: d\r\n"
     "\te\r\n\r\n",
     ANSWER("45", "HTTP_ACCEPT=d e HTTP_HOST=a HTTP_X_FOLD=a b c"),
     .parse_flags = HTTP_PERMIT_OBS_FOLD},
    {"show_fields", "GET / " V H "X-Latin: \xe9\x80\xff\r\n\r\n",
     ANSWER("28", "HTTP_HOST=a HTTP_X_LATIN=\xe9\x80\xff")},
    {"count_fields", "GET / " V H NINETY "A: \r\nB: \r\n\r\n",
     ANSWER("5", "93 91")},
    {"count_fields", "GET / " V H LONG_NAME ": long\r\n\r\n",
     ANSWER("3", "2 5")},
    {"count_fields", "GET / " V H "A: " S10(S10(S10("0123456789"))) "\r\n\r\n",
     ANSWER("7", "2 10001")},
};

static const struct wsgi_case input_cases[] = {
    {"body_read", POST("5", "hello"), ANSWER("5", "hello")},
    {"body_read", .answer = ANSWER("0", "")},
    {"body_pieces", POST("7", "abcdefg"),
     ANSWER("37", "[b'ab', b'', b'cde', b'fg', b'', b'']")},
    {"body_minus", POST("5", "hello"), ANSWER("5", "hello")},
    {"body_huge", POST("5", "hello"), ANSWER("5", "hello")},
    {"body_line", POST("13", "one\ntwo\n\nfour"),
     ANSWER("46", "[b'one\\n', b'tw', b'', b'o\\n', b'\\n', b'four']")},
    {"body_lines", POST("10", "one\ntwo\n\nx"),
     ANSWER("33", "[b'one\\n', b'two\\n', b'\\n', b'x']")},
    {"body_lines", .answer = ANSWER("2", "[]")},
    {"body_hint", POST("11", "one\ntwo\nsix"),
     ANSWER("41", "[[b'one\\n'], [b'two\\n', b'six'], [], b'']")},
    {"body_iter", POST("11", "one\ntwo\nsix"),
     ANSWER("36", "[True, b'one\\n', [b'two\\n', b'six']]")},
    {"body_close", POST("2", "ab"), ANSWER("19", "[True, None, b'ab']")},
    {"body_wrong", POST("2", "ab"), ANSWER("2", "ab"),
     .trace = T_ERR " " T_ERR " " T_ERR " " T_ERR " " T_ERR},
    {"body_unread", POST("2", "ab"), ANSWER("6", "unread")},
    {"body_whole", POST("250000", ""), ANSWER("4", "True"), .drawn = 250000},
    {"body_of_file", POST("2000000", ""), ANSWER("4", "True"),
     .drawn = 2000000},
    {"body_in_bits", POST("250000", ""), ANSWER("4", "True"), .drawn = 250000},
    {"body_line_lengths", POST("50000", ""), ANSWER("7", "[50000]"),
     .drawn = 50000},
    {"body_line_lengths", POST("250000", ""),
     ANSWER("23", "[100000, 100000, 50000]"), .drawn = 250000},
    {"body_mixed", POST("250000", ""),
     ANSWER("32", "[b'abcde', 70000, 29995, 150000]"), .drawn = 250000},
    {"body_whole", POST("250000", ""), ANSWER("4", "True"), .drawn = 250000,
     .play = PLAY_BODY_LATE},
    {"body_read", POST("5", "later"), ANSWER("5", "later"),
     .play = PLAY_BODY_LATE},
    {"body_line", POST("13", "one\ntwo\n\nfour"),
     ANSWER("46", "[b'one\\n', b'tw', b'', b'o\\n', b'\\n', b'four']"),
     .play = PLAY_BODY_LATE},
    {"body_unread", POST("2", "ab"), ANSWER("6", "unread"),
     .play = PLAY_BODY_LATE},
    {"body_lost", POST("2", "ab"), "HTTP/1.1 400 Bad Request\r\n*",
     .trace = "BodyBrokenOff BodyBrokenOff BodyBrokenOff BodyBrokenOff",
     .flags = EXCHANGE_OUT_CLOSE, .play = PLAY_BODY_FAILED},
    {"body_lost_unseen", POST("2", "ab"), .play = PLAY_GONE, .answer = NULL},
    {"checked_input", POST("9", "abcd\ne\nf\n"),
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" KEEP CHUNKED
     "\r\n26\r\n[b'ab', b'cd\\n', [b'e\\n', b'f\\n'], []]\r\n0\r\n\r\n"},
};

static const struct wsgi_group groups[] = {
    {"environ", environ_cases, ARRAY_SIZE(environ_cases)},
    {"script", script_cases, ARRAY_SIZE(script_cases)},
    {"fields", field_cases, ARRAY_SIZE(field_cases)},
    {"input", input_cases, ARRAY_SIZE(input_cases)},
};

int main(int argc, char **argv)
{
    return wsgi_stage_main(argc, argv, groups, ARRAY_SIZE(groups));
}
