/* SPDX-License-Identifier: MIT */
#include "access_line.h"

#include "access_atoms.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum atom atom_of(struct bytes name)
{
    static const struct {
        const char *name;
        enum atom atom;
    } table[] = {
#define X(name, atom) {name, ATOM_##atom},
        ACCESS_ATOMS(X)
#undef X
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (bytes_equal(bytes_of(table[i].name), name))
            return table[i].atom;
    return ATOM_DASH; /* as in Gunicorn: unknown ones are "-" */
}

/* "HTTP_X_NAME" -> "X-NAME", in the format's own copy. */
static void field_of(struct access_format *format, struct access_atom *atom)
{
    char *name = format->format + (atom->text.p - format->format);
    size_t n = atom->text.n;

    if (n > 5 && strncasecmp(name, "HTTP_", 5) == 0) {
        name += 5;
        n -= 5;
    }
    for (size_t i = 0; i < n; i++)
        if (name[i] == '_')
            name[i] = '-';
    atom->text = (struct bytes){name, n};
}

/* A variable of environ: what the application has put there is not known
 * here, and it is a field that nobody sends. */
static void compile_variable(struct access_format *format,
                             struct access_atom *atom)
{
    static const struct {
        const char *name;
        enum atom atom;
    } table[] = {
        {"REQUEST_METHOD", ATOM_METHOD},    {"RAW_URI", ATOM_TARGET},
        {"PATH_INFO", ATOM_PATH},           {"QUERY_STRING", ATOM_QUERY},
        {"SERVER_PROTOCOL", ATOM_PROTOCOL}, {"REMOTE_ADDR", ATOM_ADDRESS},
        {"REMOTE_PORT", ATOM_PORT},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (bytes_equal_nocase(bytes_of(table[i].name), atom->text)) {
            atom->kind = table[i].atom;
            return;
        }
    atom->kind = ATOM_REQUEST_FIELD;
    field_of(format, atom);
}

static void compile_name(struct access_format *format, struct access_atom *atom,
                         struct bytes name)
{
    size_t n = name.n;

    if (n < 4 || name.p[0] != '{' || name.p[n - 2] != '}') {
        atom->kind = atom_of(name);
        format->wants_cpu |= atom->kind == ATOM_CPU_TIME;
        return;
    }
    atom->kind = ATOM_DASH;
    atom->text = (struct bytes){name.p + 1, n - 3};
    if (name.p[n - 1] == 'i')
        atom->kind = ATOM_REQUEST_FIELD;
    else if (name.p[n - 1] == 'e')
        compile_variable(format, atom);
    else if (name.p[n - 1] == 'o')
        atom->kind = ATOM_RESPONSE_FIELD;
    format->wants_response |= atom->kind == ATOM_RESPONSE_FIELD;
}

static const char *read_number(const char *at, uint32_t *ret_number)
{
    uint32_t number = 0;

    while (*at >= '0' && *at <= '9' && number < 10000)
        number = number * 10 + (uint32_t)(*at++ - '0');
    *ret_number = number;
    return at;
}

/* "%(name)-10.5s": returns the place behind it, or NULL. */
static const char *compile_atom(struct access_format *format,
                                struct access_atom *atom, const char *at)
{
    const char *end = strchr(at, ')');
    uint32_t number;

    if (!end)
        return NULL;
    compile_name(format, atom, (struct bytes){at, (size_t)(end - at)});
    at = end + 1;
    for (; *at && strchr("-+ #0", *at); at++)
        atom->left |= *at == '-';
    at = read_number(at, &number);
    atom->width = (uint16_t)number;
    atom->most = -1;
    if (*at == '.') {
        at = read_number(at + 1, &number);
        atom->most = (int32_t)number;
    }
    return *at && strchr("srdiuax", *at) ? at + 1 : NULL;
}

static int compile(struct access_format *format)
{
    const char *at = format->format;

    while (*at) {
        struct access_atom *atom = &format->atom[format->count++];

        if (format->count == ACCESS_ATOMS_MAX)
            return -EINVAL;
        if (at[0] == '%' && at[1] == '(') {
            at = compile_atom(format, atom, at + 2);
            if (!at)
                return -EINVAL;
            continue;
        }
        if (at[0] == '%' && at[1] != '%')
            return -EINVAL;
        at += at[0] == '%'; /* "%%" is one literal "%" */
        atom->text = (struct bytes){at, 1 + strcspn(at + 1, "%")};
        at += atom->text.n;
    }
    return 0;
}

int access_format_init(struct access_format *format, const char *text)
{
    int error;

    memset(format, 0, sizeof(*format));
    format->json = strcmp(text, "json") == 0;
    format->wants_cpu = format->json;
    format->format = strdup(text);
    if (!format->format)
        return -ENOMEM;
    error = format->json ? 0 : compile(format);
    if (error)
        access_format_done(format);
    return error;
}

void access_format_done(struct access_format *format)
{
    free(format->format);
    format->format = NULL;
}
