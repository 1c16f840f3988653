/* SPDX-License-Identifier: MIT */
/*
 * json_out - writes JSON to a stream, value by value.
 *
 * Inside an object every value has a key, inside a list the key is NULL.
 */
#ifndef GCORN_TOPO_JSON_OUT_H
#define GCORN_TOPO_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *out;
    int depth;
    bool has_value; /* something was written at this depth */
};

/* @bracket is '{' or '['; then '}' or ']'. */
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);

/* NULL is null. Bytes that are not UTF-8 become '?'. */
void json_text(struct json *json, const char *key, const char *text);
void json_number(struct json *json, const char *key, uint64_t number);
void json_signed(struct json *json, const char *key, int64_t number,
                 bool is_null);
/* In thousandths: 2500 is 2.500; 0 is null. */
void json_milli(struct json *json, const char *key, uint64_t milli);
void json_bool(struct json *json, const char *key, bool value);
/* 1, 0, or null for anything negative. */
void json_maybe(struct json *json, const char *key, int value);

#endif
