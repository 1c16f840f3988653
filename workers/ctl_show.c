/* SPDX-License-Identifier: MIT */
#include "ctl_show.h"

#include "core/base.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define CELL 160
#define COLUMNS_MAX 32

/* Bytes of a control character would be obeyed by the terminal. */
static void put_text(const char *text, char out[CELL])
{
    size_t n = 0;

    for (; *text != '\0' && n < CELL - 1; text++)
        out[n++] = (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text;
    out[n] = '\0';
}

/* 12345678 bytes: "11.8 MiB". */
static void put_bytes(double bytes, char out[CELL])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    for (; bytes >= 1024 && unit + 1 < ARRAY_SIZE(units); unit++)
        bytes /= 1024;
    snprintf(out, CELL, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static void cell_of(const char *name, const json_t *value, char out[CELL])
{
    out[0] = '\0';
    if (json_is_string(value))
        put_text(json_string_value(value), out);
    else if (json_is_integer(value) && ends_with(name, "_bytes"))
        put_bytes((double)json_integer_value(value), out);
    else if (json_is_integer(value))
        snprintf(out, CELL, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, CELL, "%.6g", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(out, CELL, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_null(value))
        snprintf(out, CELL, "-");
}

/* "last_heartbeat" and "resident_bytes" become HEARTBEAT and RESIDENT. */
static void title_of(const char *name, char out[CELL])
{
    size_t n = 0;

    if (strncmp(name, "last_", 5) == 0)
        name += 5;
    for (; name[n] != '\0' && strcmp(name + n, "_bytes") != 0 && n < CELL - 1;
         n++)
        out[n] = name[n] == '_' ? ' ' : (char)toupper((unsigned char)name[n]);
    out[n] = '\0';
}

static int width_of(const json_t *rows, const char *name)
{
    char cell[CELL];
    size_t width;
    size_t i;
    json_t *row;

    title_of(name, cell);
    width = strlen(cell);
    json_array_foreach(rows, i, row)
    {
        cell_of(name, json_object_get(row, name), cell);
        width = strlen(cell) > width ? strlen(cell) : width;
    }
    return (int)width;
}

/* The columns are those of the first row. */
static void show_table(const json_t *rows, FILE *to)
{
    const char *name[COLUMNS_MAX];
    int width[COLUMNS_MAX];
    uint32_t columns = 0;
    char cell[CELL];
    const char *key;
    json_t *value;
    json_t *row;
    size_t i;

    json_object_foreach(json_array_get(rows, 0), key, value)
    {
        if (columns == COLUMNS_MAX)
            break;
        name[columns] = key;
        width[columns++] = width_of(rows, key);
    }
    for (uint32_t c = 0; c < columns; c++) {
        title_of(name[c], cell);
        fprintf(to, "%-*s%s", width[c], cell, c + 1 < columns ? "  " : "\n");
    }
    json_array_foreach(rows, i, row)
    {
        for (uint32_t c = 0; c < columns; c++) {
            cell_of(name[c], json_object_get(row, name[c]), cell);
            fprintf(to, "%-*s%s", width[c], cell,
                    c + 1 < columns ? "  " : "\n");
        }
    }
}

static void show_list(const char *name, const json_t *list, FILE *to)
{
    char cell[CELL];
    json_t *item;
    size_t i;

    if (json_is_object(json_array_get(list, 0))) {
        show_table(list, to);
        return;
    }
    fprintf(to, "%s:", name);
    json_array_foreach(list, i, item)
    {
        cell_of(name, item, cell);
        fprintf(to, "%s %s", i > 0 ? "," : "", cell);
    }
    fputs(json_array_size(list) > 0 ? "\n" : " none\n", to);
}

/* An object whose values are objects alike: {"queue": {"count": 1}, ...}. */
static bool is_table(const json_t *object)
{
    const json_t *first =
        json_object_iter_value(json_object_iter((json_t *)(uintptr_t)object));

    return json_is_object(first);
}

static void show_as_table(const json_t *object, FILE *to)
{
    json_t *rows = json_array();
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        json_t *row = json_pack("{s:s}", "of", key);

        json_object_update_missing(row, value);
        json_array_append_new(rows, row);
    }
    show_table(rows, to);
    json_decref(rows);
}

static void show_object(const json_t *object, int indent, FILE *to);

static void show_value(const char *name, const json_t *value, int indent,
                       int width, FILE *to)
{
    char cell[CELL];

    if (json_is_array(value)) {
        show_list(name, value, to);
    } else if (json_is_object(value)) {
        fprintf(to, "%*s%s:\n", indent, "", name);
        if (is_table(value))
            show_as_table(value, to);
        else
            show_object(value, indent + 2, to);
    } else {
        cell_of(name, value, cell);
        fprintf(to, "%*s%-*s  %s\n", indent, "", width, name, cell);
    }
}

static void show_object(const json_t *object, int indent, FILE *to)
{
    const char *key;
    json_t *value;
    size_t width = 0;

    json_object_foreach((json_t *)(uintptr_t)object, key,
                        value) if (!json_is_object(value) &&
                                   strlen(key) > width) width = strlen(key);
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
        show_value(key, value, indent, (int)width, to);
}

void ctl_show(const json_t *data, FILE *to)
{
    const json_t *commands = json_object_get(data, "commands");

    if (json_object_size(data) == 0)
        fputs("OK\n", to);
    else
        show_object(commands != NULL ? commands : data, 0, to);
}
