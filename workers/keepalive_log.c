/* SPDX-License-Identifier: MIT */
#include "keepalive_log.h"

#include "core/bytes.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE_MAX_BYTES 16384
#define CLIENTS_FIRST 1024

/* When a client was last seen; hash 0 is a free place. */
struct seen {
    uint64_t hash;
    double time_s;
};

/* Open addressing, at most half full. */
struct table {
    struct seen *seen;
    size_t places; /* a power of two */
    size_t used;
};

/* Two clients of one hash are one client: 64 bits make that rare. */
static uint64_t hash_of(struct bytes text)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < text.n; i++)
        hash = (hash ^ (unsigned char)text.p[i]) * 0x100000001b3;
    return hash != 0 ? hash : 1;
}

static struct seen *place_of(const struct table *table, uint64_t hash)
{
    size_t i = hash & (table->places - 1);

    while (table->seen[i].hash != 0 && table->seen[i].hash != hash)
        i = (i + 1) & (table->places - 1);
    return &table->seen[i];
}

static int grow(struct table *table)
{
    struct table larger = {
        .places = table->places ? table->places * 2 : CLIENTS_FIRST,
        .used = table->used,
    };

    larger.seen = calloc(larger.places, sizeof(*larger.seen));
    if (larger.seen == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < table->places; i++)
        if (table->seen[i].hash != 0)
            *place_of(&larger, table->seen[i].hash) = table->seen[i];
    free(table->seen);
    *table = larger;
    return 0;
}

/* "24/Nov/2026:20:13:40" and maybe ".123": seconds, or false. */
static bool time_parse(const char *text, double *ret_s)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%d/%b/%Y:%H:%M:%S", &tm);

    if (end == NULL)
        return false;
    *ret_s = (double)timegm(&tm);
    if (*end == '.' && isdigit((unsigned char)end[1]))
        *ret_s += strtod(end, NULL);
    return true;
}

static struct bytes word_before(const char *line, const char *at)
{
    const char *from;

    while (at > line && at[-1] == ' ')
        at--;
    for (from = at; from > line && from[-1] != ' ';)
        from--;
    return (struct bytes){from, (size_t)(at - from)};
}

/* ADDRESS:PORT, as HAProxy has it in front of the time. */
static bool has_port(struct bytes word)
{
    size_t digits = 0;

    while (digits < word.n &&
           isdigit((unsigned char)word.p[word.n - 1 - digits]))
        digits++;
    return digits > 0 && digits < 6 && word.n > digits + 2 &&
           word.p[word.n - 1 - digits] == ':';
}

/* Who asked, and when. */
static bool line_parse(const char *line, struct bytes *ret_client,
                       double *ret_s)
{
    const char *at = line;

    while ((at = strchr(at, '[')) != NULL && !time_parse(at + 1, ret_s))
        at++;
    if (at == NULL)
        return false;
    *ret_client = word_before(line, at);
    if (!has_port(*ret_client))
        *ret_client = (struct bytes){line, strcspn(line, " ")};
    return ret_client->n > 0;
}

static int note(struct keepalive_log *log, struct table *table, uint64_t hash,
                double time_s)
{
    struct seen *seen;
    int err = table->used * 2 >= table->places ? grow(table) : 0;

    if (err < 0)
        return err;
    seen = place_of(table, hash);
    if (seen->hash != 0)
        keepalive_add(&log->keepalive,
                      time_s > seen->time_s ? time_s - seen->time_s : 0, 1);
    table->used += seen->hash == 0;
    *seen = (struct seen){hash, time_s};
    return 0;
}

int keepalive_log_read(struct keepalive_log *log, FILE *from)
{
    static const size_t room = LINE_MAX_BYTES;
    char *line = malloc(room);
    struct table table = {0};
    double first = 0, last = 0, time_s;
    struct bytes client;
    int err = line != NULL ? 0 : -ENOMEM;

    memset(log, 0, sizeof(*log));
    while (err == 0 && fgets(line, (int)room, from) != NULL) {
        log->lines++;
        if (!line_parse(line, &client, &time_s)) {
            log->strange++;
            continue;
        }
        err = note(log, &table, hash_of(client), time_s);
        first = first == 0 || time_s < first ? time_s : first;
        last = time_s > last ? time_s : last;
    }
    log->clients = table.used;
    log->keepalive.ends = (double)table.used;
    log->keepalive.seconds = last - first;
    free(table.seen);
    free(line);
    return err;
}

static void print(const struct keepalive_log *log,
                  const struct keepalive_choice *choices, int best, FILE *to)
{
    fprintf(to,
            "%llu lines, %llu not understood; %llu clients came back %.0f "
            "times in %.0f s\n\nkeep-alive  kept    idle connections  memory\n",
            (unsigned long long)log->lines, (unsigned long long)log->strange,
            (unsigned long long)log->clients, log->keepalive.returns,
            log->keepalive.seconds);
    for (int i = 0; i < KEEPALIVE_CHOICES; i++)
        fprintf(to, "%8u s  %5.1f %%  %16.0f  %.1f MiB%s\n", choices[i].seconds,
                choices[i].kept * 100, choices[i].idle,
                choices[i].bytes / (1 << 20), i == best ? "  <--" : "");
    fprintf(to,
            "\nRecommended: --keep-alive %u\nIf a proxy is in front of gcorn, "
            "let it close first: its own idle timeout\ntowards gcorn should be "
            "shorter than this.\n",
            choices[best].seconds);
}

int keepalive_log_advise(const char *path, FILE *to)
{
    struct keepalive_choice choices[KEEPALIVE_CHOICES];
    struct keepalive_log log;
    bool piped = strcmp(path, "-") == 0;
    FILE *from = piped ? stdin : fopen(path, "re");
    int err = from != NULL ? 0 : -errno;
    int best;

    if (err == 0)
        err = keepalive_log_read(&log, from);
    if (from != NULL && !piped)
        fclose(from);
    if (err < 0) {
        fprintf(stderr, "\nError: can't read %s: %s\n", path, strerror(-err));
        return 1;
    }
    best = keepalive_choose(&log.keepalive, choices);
    if (best < 0) {
        fprintf(stderr,
                "\nError: no client in %s came back (%llu lines, %llu not "
                "understood). It reads what nginx and HAProxy write.\n",
                path, (unsigned long long)log.lines,
                (unsigned long long)log.strange);
        return 1;
    }
    print(&log, choices, best, to);
    return 0;
}
