/* SPDX-License-Identifier: MIT */
#include "topology/cgroup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "topology/sysfile.h"

/* Version 1 writes a number near 2^63 for "no limit". */
#define V1_UNLIMITED (UINT64_C(1) << 62)

/* Where one controller's files of this process are. */
struct hierarchy {
    int version;
    bool hidden;          /* there are ancestors above what we see */
    char mount[PATH_MAX]; /* with the test root in front */
    char path[PATH_MAX];  /* below the mount, "" is the mount itself */
};

struct search {
    const char *root;
    const char *controller;
    char cgroup[PATH_MAX];     /* the path of proc/self/cgroup */
    char mount_root[PATH_MAX]; /* what part of the hierarchy is mounted */
};

static bool read_text(const char *dir, const char *name, char *text,
                      size_t size)
{
    char path[64];

    snprintf(path, sizeof(path), "/%s", name);
    return sysfile_text(dir, path, text, size);
}

/* Returns 0 for "no limit": a missing file, "max", -1, or v1's huge number. */
static uint64_t parse_limit(const char *text)
{
    unsigned long long value;
    char *end;

    if (*text < '0' || *text > '9')
        return 0;
    errno = 0;
    value = strtoull(text, &end, 10);
    return errno || value >= V1_UNLIMITED ? 0 : value;
}

static uint64_t read_limit(const char *dir, const char *name)
{
    char text[64];

    return read_text(dir, name, text, sizeof(text)) ? parse_limit(text) : 0;
}

/* Is @word one of the words of @text, which @separator divides? */
static bool has_word(const char *text, const char *word, char separator)
{
    size_t n = strlen(word);
    const char *p = text;

    while (p) {
        if (strncmp(p, word, n) == 0 &&
            (p[n] == '\0' || p[n] == separator || p[n] == '\n'))
            return true;
        p = strchr(p, separator);
        p = p ? p + 1 : NULL;
    }
    return false;
}

/* Calls back for each line of a file, without its newline, until true. */
static int find_line(const char *root, const char *name,
                     bool (*matches)(char *line, void *data), void *data)
{
    char path[PATH_MAX];
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    ssize_t n;
    FILE *file;

    snprintf(path, sizeof(path), "%s%s", root, name);
    file = fopen(path, "re");
    if (!file)
        return -errno;
    while (!found && (n = getline(&line, &size, file)) >= 0) {
        if (n > 0 && line[n - 1] == '\n')
            line[n - 1] = '\0';
        found = matches(line, data);
    }
    free(line);
    fclose(file);
    return found ? 0 : -ENOENT;
}

static char *split(char *text, char separator)
{
    char *rest = strchr(text, separator);

    if (rest)
        *rest++ = '\0';
    return rest;
}

static bool take_v1_line(char *line, void *data)
{
    struct search *s = data;
    char *controllers = split(line, ':');
    char *path = controllers ? split(controllers, ':') : NULL;

    if (!path || !has_word(controllers, s->controller, ','))
        return false;
    snprintf(s->cgroup, sizeof(s->cgroup), "%s", path);
    return true;
}

static bool take_v2_line(char *line, void *data)
{
    struct search *s = data;

    if (strncmp(line, "0::", 3) != 0)
        return false;
    snprintf(s->cgroup, sizeof(s->cgroup), "%s", line + 3);
    return true;
}

struct mount_line {
    char *root; /* of the hierarchy, as seen from our namespace */
    char *point;
    char *type;
    char *options; /* of the superblock: the controllers of version 1 */
};

/* The kernel writes blanks in names as \040 and the like. */
static void unescape(char *text)
{
    char *to = text;

    for (char *from = text; *from; from++) {
        unsigned code;

        if (*from == '\\' && strlen(from) > 3 &&
            sscanf(from + 1, "%3o", &code) == 1) {
            *to++ = (char)code;
            from += 3;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/* "36 35 0:31 ROOT POINT options [tags...] - TYPE source OPTIONS" */
static bool parse_mount(char *line, struct mount_line *ret_mount)
{
    char *tail = strstr(line, " - ");
    char *field = line;

    if (!tail)
        return false;
    *tail = '\0';
    for (int i = 0; i < 3 && field; i++)
        field = split(field, ' ');
    if (!field)
        return false;
    ret_mount->root = field;
    ret_mount->point = split(field, ' ');
    ret_mount->type = tail + 3;
    if (!ret_mount->point)
        return false;
    split(ret_mount->point, ' ');
    field = split(ret_mount->type, ' ');
    ret_mount->options = field ? split(field, ' ') : NULL;
    unescape(ret_mount->root);
    unescape(ret_mount->point);
    return ret_mount->options != NULL;
}

struct mount_search {
    struct search *search;
    struct hierarchy *hierarchy;
};

static bool take_mount(const struct mount_search *ms,
                       const struct mount_line *line)
{
    struct search *s = ms->search;
    int n = snprintf(ms->hierarchy->mount, sizeof(ms->hierarchy->mount), "%s%s",
                     s->root, line->point);

    if (n < 0 || (size_t)n >= sizeof(ms->hierarchy->mount))
        return false;
    snprintf(s->mount_root, sizeof(s->mount_root), "%s", line->root);
    return true;
}

static bool take_v1_mount(char *text, void *data)
{
    const struct mount_search *ms = data;
    struct mount_line line;

    return parse_mount(text, &line) && strcmp(line.type, "cgroup") == 0 &&
           has_word(line.options, ms->search->controller, ',') &&
           take_mount(ms, &line);
}

static bool take_v2_mount(char *text, void *data)
{
    const struct mount_search *ms = data;
    struct mount_line line;

    return parse_mount(text, &line) && strcmp(line.type, "cgroup2") == 0 &&
           take_mount(ms, &line);
}

/*
 * A container often sees its own part of the hierarchy mounted as the whole;
 * a path with "/.." leads out of the namespace. Then what is mounted is all
 * that can be read.
 */
static void set_path(struct hierarchy *h, const struct search *s)
{
    size_t n = strcmp(s->mount_root, "/") == 0 ? 0 : strlen(s->mount_root);

    h->hidden = n > 0;
    h->path[0] = '\0';
    if (strncmp(s->cgroup, "/..", 3) == 0 ||
        strncmp(s->cgroup, s->mount_root, n) != 0 ||
        (s->cgroup[n] != '\0' && s->cgroup[n] != '/')) {
        h->hidden = true;
        return;
    }
    snprintf(h->path, sizeof(h->path), "%s", s->cgroup + n);
    if (strcmp(h->path, "/") == 0)
        h->path[0] = '\0';
}

static bool find_v1(struct search *s, struct hierarchy *h)
{
    struct mount_search ms = {s, h};

    h->version = 1;
    return find_line(s->root, "/proc/self/cgroup", take_v1_line, s) == 0 &&
           find_line(s->root, "/proc/self/mountinfo", take_v1_mount, &ms) == 0;
}

/* On a mixed system version 2 may be mounted and yet control nothing. */
static bool find_v2(struct search *s, struct hierarchy *h)
{
    struct mount_search ms = {s, h};
    char controllers[256];

    h->version = 2;
    return find_line(s->root, "/proc/self/cgroup", take_v2_line, s) == 0 &&
           find_line(s->root, "/proc/self/mountinfo", take_v2_mount, &ms) ==
               0 &&
           read_text(h->mount, "cgroup.controllers", controllers,
                     sizeof(controllers)) &&
           has_word(controllers, s->controller, ' ');
}

static bool find_controller(const char *root, const char *controller,
                            struct hierarchy *h)
{
    struct search s = {.root = root, .controller = controller};
    char type[32];

    if (!find_v1(&s, h) && !find_v2(&s, h))
        return false;
    set_path(h, &s);
    /* Only the true root of version 2 has no type. */
    if (h->version == 2 &&
        read_text(h->mount, "cgroup.type", type, sizeof(type)))
        h->hidden = true;
    return true;
}

/* Reads the files of one controller in one cgroup. */
struct level_reader {
    const char *controller;
    void (*read_one)(const char *dir, const struct hierarchy *h,
                     struct cgroup_limits *limits);
};

static void each_level(struct hierarchy *h, const struct level_reader *reader,
                       struct cgroup_limits *limits)
{
    char dir[2 * PATH_MAX];

    for (;;) {
        char *last = strrchr(h->path, '/');

        snprintf(dir, sizeof(dir), "%s%s", h->mount, h->path);
        reader->read_one(dir, h, limits);
        if (!last)
            return;
        *last = '\0';
    }
}

/* Keeps the tighter one; on a tie the lower cgroup, which came first. */
static void tighten(struct cgroup_limit *limit, uint64_t value,
                    const struct hierarchy *h)
{
    if (value == 0 || (limit->value != 0 && limit->value <= value))
        return;
    limit->value = value;
    snprintf(limit->path, sizeof(limit->path), "%.*s",
             (int)sizeof(limit->path) - 1, h->path[0] ? h->path : "/");
}

static uint64_t thousandths(uint64_t quota, uint64_t period)
{
    if (quota == 0 || period == 0)
        return 0;
    return max_u64(quota * 1000 / period, 1);
}

static void read_cpu(const char *dir, const struct hierarchy *h,
                     struct cgroup_limits *limits)
{
    uint64_t quota, period;
    char text[64];

    if (h->version == 1) {
        quota = read_limit(dir, "cpu.cfs_quota_us");
        period = read_limit(dir, "cpu.cfs_period_us");
    } else {
        if (!read_text(dir, "cpu.max", text, sizeof(text)))
            return;
        quota = parse_limit(text);
        period = parse_limit(strchr(text, ' ') ? strchr(text, ' ') + 1 : "");
    }
    tighten(&limits->quota, thousandths(quota, period), h);
}

/*
 * Version 1 tells the minimum over ancestors, also those out of sight. Where
 * they are in sight it says nothing new, and which of them it is not at all.
 */
static void read_unseen(const struct hierarchy *h, struct cgroup_limits *limits)
{
    static const char key[] = "hierarchical_memory_limit ";
    const struct hierarchy top = {.version = 1};
    char dir[2 * PATH_MAX], text[8192];
    const char *found;

    snprintf(dir, sizeof(dir), "%s%s", h->mount, h->path);
    if (h->version != 1 || !read_text(dir, "memory.stat", text, sizeof(text)))
        return;
    found = strstr(text, key);
    if (found)
        tighten(&limits->memory_max, parse_limit(found + sizeof(key) - 1),
                &top);
}

static void read_memory(const char *dir, const struct hierarchy *h,
                        struct cgroup_limits *limits)
{
    if (h->version == 1) {
        tighten(&limits->memory_max, read_limit(dir, "memory.limit_in_bytes"),
                h);
        return;
    }
    tighten(&limits->memory_max, read_limit(dir, "memory.max"), h);
    tighten(&limits->memory_high, read_limit(dir, "memory.high"), h);
}

static void read_pids(const char *dir, const struct hierarchy *h,
                      struct cgroup_limits *limits)
{
    tighten(&limits->pids_max, read_limit(dir, "pids.max"), h);
}

static bool is_exclusive(const char *dir, const struct hierarchy *h)
{
    char text[64];

    /* The root of version 1 calls itself exclusive, and is everybody's. */
    if (h->path[0] == '\0' && !h->hidden)
        return false;
    if (h->version == 1)
        return read_limit(dir, "cpuset.cpu_exclusive") == 1;
    return read_text(dir, "cpuset.cpus.partition", text, sizeof(text)) &&
           (strcmp(text, "root") == 0 || strcmp(text, "isolated") == 0);
}

static void read_cpuset(const char *dir, const struct hierarchy *h,
                        struct cgroup_limits *limits)
{
    static const char *const files[] = {"cpuset.cpus.effective",
                                        "cpuset.effective_cpus", "cpuset.cpus"};
    char text[8192];

    limits->cpuset_exclusive |= is_exclusive(dir, h);
    for (size_t i = 0; i < ARRAY_SIZE(files) && cpus_is_empty(&limits->cpuset);
         i++)
        if (read_text(dir, files[i], text, sizeof(text)))
            cpus_parse(text, &limits->cpuset);
}

int cgroup_read(const char *root, struct cgroup_limits *ret_limits)
{
    static const struct level_reader readers[] = {{"cpu", read_cpu},
                                                  {"memory", read_memory},
                                                  {"pids", read_pids},
                                                  {"cpuset", read_cpuset}};
    struct cgroup_limits limits = {0};
    char text[64], dir[PATH_MAX];

    snprintf(dir, sizeof(dir), "%s/proc/self", root);
    if (!read_text(dir, "cgroup", text, sizeof(text)))
        return -ENOENT;
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
        struct hierarchy h = {0}, own;

        if (!find_controller(root, readers[i].controller, &h))
            continue;
        limits.has_v1 |= h.version == 1;
        limits.has_v2 |= h.version == 2;
        limits.partial |= h.hidden;
        own = h;
        each_level(&h, &readers[i], &limits);
        if (strcmp(readers[i].controller, "memory") == 0)
            read_unseen(&own, &limits);
    }
    *ret_limits = limits;
    return 0;
}
