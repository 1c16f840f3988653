/* SPDX-License-Identifier: MIT */
#include "static_file.h"

#include "log.h"
#include "static_path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES 256U
#define BELIEVED_NS NS_PER_S
#define CONTENT_BYTES ((size_t)FILES * STATIC_CODINGS * STATIC_SMALL_BYTES)

struct root {
    int fd; /* -1: cannot be opened */
    uint64_t checked_ns;
    bool complained;
};

struct static_site {
    const struct static_map *maps;
    uint32_t count;
    struct root *roots;
    struct static_file *files; /* each has one place where it may be */
    char *content;
    char boundary[STATIC_BOUNDARY_LEN + 1];
};

/* What an old seccomp profile forbids: said, since it looks like a 404. */
static void complain(const struct static_site *site, uint32_t map, int error)
{
    struct root *root = &site->roots[map];

    if (!root->complained)
        log_error("Static files in %s cannot be served: %s",
                  site->maps[map].directory, strerror(error));
    root->complained = true;
}

/* The directory may be a symbolic link that a deployment moves on. */
static int root_fd(struct static_site *site, uint32_t map, uint64_t now_ns)
{
    struct root *root = &site->roots[map];
    int error;

    if (root->checked_ns && now_ns - root->checked_ns < BELIEVED_NS)
        return root->fd;
    root->checked_ns = now_ns;
    if (root->fd >= 0)
        close(root->fd);
    root->fd = open(site->maps[map].directory,
                    O_PATH | O_DIRECTORY | O_CLOEXEC);
    error = errno;
    if (root->fd < 0)
        complain(site, map, error);
    return root->fd;
}

/* Not blocking: a FIFO would wait for someone to write to it. */
static int open_beneath(int root, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, root, name, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

static int open_regular(int root, const char *name, struct stat *ret_stat)
{
    int fd = open_beneath(root, name);

    if (fd < 0)
        return fd;
    if (fstat(fd, ret_stat) == 0 && S_ISREG(ret_stat->st_mode))
        return fd;
    close(fd);
    return -ENOENT;
}

static int64_t modified_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * (int64_t)NS_PER_S +
           st->st_mtim.tv_nsec;
}

static void note_content(struct static_site *site, struct static_file *file,
                         enum static_coding coding, int fd)
{
    struct static_variant *variant = &file->as[coding];
    size_t place = (size_t)(file - site->files) * STATIC_CODINGS + coding;
    char *content = site->content + place * STATIC_SMALL_BYTES;

    if (variant->size > STATIC_SMALL_BYTES)
        return;
    if (pread(fd, content, variant->size, 0) == (ssize_t)variant->size)
        variant->content = content;
}

static void note(struct static_variant *variant, const struct stat *st,
                 enum static_coding coding)
{
    static const char *const suffixes[] = {"", "-br", "-gz"};
    int n;

    *variant = (struct static_variant){
        .is_there = true,
        .size = (uint64_t)st->st_size,
        .modified_ns = modified_ns(st),
    };
    n = snprintf(variant->etag, sizeof(variant->etag), "\"%llx-%llx%s\"",
                 (unsigned long long)variant->modified_ns,
                 (unsigned long long)variant->size, suffixes[coding]);
    variant->etag_len = (uint8_t)n;
}

static int open_variant(int root, const char *name, enum static_coding coding,
                        struct stat *ret_stat)
{
    static const char *const endings[] = {"", ".br", ".gz"};
    char whole[STATIC_PATH_MAX + 4];

    snprintf(whole, sizeof(whole), "%s%s", name, endings[coding]);
    return open_regular(root, whole, ret_stat);
}

/* Unchanged ones keep what they have. */
static int look(struct static_site *site, struct static_file *file,
                enum static_coding coding, int root)
{
    struct static_variant *variant = &file->as[coding];
    struct stat st;
    int fd = open_variant(root, file->name, coding, &st);

    if (fd < 0) {
        variant->is_there = false;
        return fd;
    }
    if (!variant->is_there || variant->modified_ns != modified_ns(&st) ||
        variant->size != (uint64_t)st.st_size) {
        note(variant, &st, coding);
        note_content(site, file, coding, fd);
    }
    close(fd);
    return 0;
}

/* What does not exist, for whoever asks. */
static int reason(struct static_site *site, uint32_t map, int error)
{
    switch (error) {
    case -ENOTDIR:
    case -ELOOP:
    case -EXDEV:
    case -EINVAL:
    case -ENXIO:
        return -ENOENT;
    case -EPERM:
    case -ENOSYS:
        complain(site, map, -error);
        return -EACCES;
    }
    return error;
}

static struct static_file *place_of(struct static_site *site, uint32_t map,
                                    const char *name)
{
    uint64_t hash = 14695981039346656037ULL ^ map; /* FNV-1a */

    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 1099511628211ULL;
    return &site->files[(hash ^ hash >> 32) % FILES];
}

int static_file_find(struct static_site *site, uint32_t map, const char *name,
                     uint64_t now_ns, struct static_file **ret_file)
{
    struct static_file *file = place_of(site, map, name);
    bool known = file->map == map && strcmp(file->name, name) == 0;
    size_t len = strlen(name);
    int root;
    int error;

    *ret_file = file;
    if (known && file->checked_ns && now_ns - file->checked_ns < BELIEVED_NS)
        return 0;
    if (len >= STATIC_NAME_MAX)
        return -ENAMETOOLONG;
    root = root_fd(site, map, now_ns);
    if (root < 0)
        return -ENOENT;
    if (!known) {
        memset(file, 0, sizeof(*file));
        memcpy(file->name, name, len + 1);
        file->map = map;
    }
    file->checked_ns = 0;
    error = look(site, file, STATIC_IDENTITY, root);
    if (error)
        return reason(site, map, error);
    file->type = static_path_type(bytes_of(file->name));
    look(site, file, STATIC_BROTLI, root);
    look(site, file, STATIC_GZIP, root);
    file->checked_ns = now_ns;
    return 0;
}

int static_file_open(struct static_site *site, struct static_file *file,
                     enum static_coding coding)
{
    const struct static_variant *variant = &file->as[coding];
    int root = site->roots[file->map].fd;
    struct stat st;
    int fd = root < 0 ? -ESTALE : open_variant(root, file->name, coding, &st);

    if (fd >= 0 && variant->size == (uint64_t)st.st_size &&
        variant->modified_ns == modified_ns(&st))
        return fd;
    file->checked_ns = 0;
    if (fd >= 0)
        close(fd);
    return fd >= 0 || fd == -ENOENT ? -ESTALE : fd;
}

static void make_boundary(struct static_site *site)
{
    unsigned char random[STATIC_BOUNDARY_LEN / 2];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        memset(random, 0x5a, sizeof(random)); /* cannot be: 16 bytes */
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(site->boundary + 2 * i, 3, "%02x", random[i]);
}

struct bytes static_site_boundary(const struct static_site *site)
{
    return (struct bytes){site->boundary, STATIC_BOUNDARY_LEN};
}

int static_site_new(struct static_site **ret_site,
                    const struct static_map *maps, uint32_t count)
{
    struct static_site *site = calloc(1, sizeof(*site));
    void *content = mmap(NULL, CONTENT_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (site) {
        site->content = content == MAP_FAILED ? NULL : content;
        site->files = calloc(FILES, sizeof(*site->files));
        site->roots = calloc(count ? count : 1, sizeof(*site->roots));
    }
    if (!site || !site->content || !site->files || !site->roots) {
        if (!site && content != MAP_FAILED)
            munmap(content, CONTENT_BYTES);
        static_site_free(site);
        return -ENOMEM;
    }
    site->maps = maps;
    site->count = count;
    make_boundary(site);
    for (uint32_t i = 0; i < count; i++)
        site->roots[i].fd = -1;
    *ret_site = site;
    return 0;
}

void static_site_free(struct static_site *site)
{
    if (!site)
        return;
    for (uint32_t i = 0; i < site->count; i++)
        if (site->roots[i].fd >= 0)
            close(site->roots[i].fd);
    if (site->content)
        munmap(site->content, CONTENT_BYTES);
    free(site->files);
    free(site->roots);
    free(site);
}
