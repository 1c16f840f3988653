/* SPDX-License-Identifier: MIT */
#include "static_path.h"

#include "percent.h"

#include <stdlib.h>

int static_path_decode(struct bytes path, bool decoded,
                       char out[STATIC_PATH_MAX])
{
    size_t n = 0;

    /* One is left for the NUL behind a name. */
    for (size_t i = 0; i < path.n; i++) {
        struct bytes rest = {path.p + i, path.n - i};
        int byte = decoded ? -1 : percent_byte(rest);

        if (n == STATIC_PATH_MAX - 1)
            return -ENAMETOOLONG;
        out[n] = byte < 0 ? path.p[i] : (char)byte;
        if (byte >= 0)
            i += 2;
        n++;
    }
    return (int)n;
}

bool static_path_is_below(struct bytes path, struct bytes prefix)
{
    return path.n > prefix.n && path.p[prefix.n] == '/' &&
           memcmp(path.p, prefix.p, prefix.n) == 0;
}

/* ".git" and ".env" lie in many a directory that is served. */
static bool may_name(struct bytes part)
{
    return memchr(part.p, '\0', part.n) == NULL &&
           (part.p[0] != '.' || bytes_equal(part, BYTES(".well-known")));
}

int static_path_name(struct bytes rest, char *out)
{
    size_t n = 0;
    size_t at = 0;

    if (rest.n == 0 || rest.p[rest.n - 1] == '/')
        return -ENOENT; /* a directory */
    while (at < rest.n) {
        const char *slash = memchr(rest.p + at, '/', rest.n - at);
        size_t end = slash ? (size_t)(slash - rest.p) : rest.n;
        struct bytes part = {rest.p + at, end - at};

        if (part.n > 0 && !may_name(part))
            return -ENOENT;
        if (part.n > 0 && n > 0)
            out[n++] = '/';
        memmove(out + n, part.p, part.n);
        n += part.n;
        at = end + 1;
    }
    out[n] = '\0';
    return (int)n;
}

/*
 * Sorted by extension. What is text says that it is UTF-8: browsers would
 * otherwise guess.
 */
#define TYPES(X)                                                               \
    X("3gp", "video/3gpp")                                                     \
    X("7z", "application/x-7z-compressed")                                     \
    X("aac", "audio/aac")                                                      \
    X("apng", "image/apng")                                                    \
    X("atom", "application/atom+xml")                                          \
    X("avi", "video/x-msvideo")                                                \
    X("avif", "image/avif")                                                    \
    X("bmp", "image/bmp")                                                      \
    X("br", "application/x-brotli")                                            \
    X("bz2", "application/x-bzip2")                                            \
    X("css", "text/css; charset=utf-8")                                        \
    X("csv", "text/csv; charset=utf-8")                                        \
    X("deb", "application/vnd.debian.binary-package")                          \
    X("doc", "application/msword")                                             \
    X("docx", "application/vnd.openxmlformats-officedocument"                  \
              ".wordprocessingml.document")                                    \
    X("eot", "application/vnd.ms-fontobject")                                  \
    X("epub", "application/epub+zip")                                          \
    X("flac", "audio/flac")                                                    \
    X("gif", "image/gif")                                                      \
    X("gz", "application/gzip")                                                \
    X("htm", "text/html; charset=utf-8")                                       \
    X("html", "text/html; charset=utf-8")                                      \
    X("ico", "image/vnd.microsoft.icon")                                       \
    X("ics", "text/calendar; charset=utf-8")                                   \
    X("jpeg", "image/jpeg")                                                    \
    X("jpg", "image/jpeg")                                                     \
    X("js", "text/javascript; charset=utf-8")                                  \
    X("json", "application/json")                                              \
    X("jsonld", "application/ld+json")                                         \
    X("jxl", "image/jxl")                                                      \
    X("m3u8", "application/vnd.apple.mpegurl")                                 \
    X("m4a", "audio/mp4")                                                      \
    X("m4v", "video/mp4")                                                      \
    X("map", "application/json")                                               \
    X("md", "text/markdown; charset=utf-8")                                    \
    X("mid", "audio/midi")                                                     \
    X("mjs", "text/javascript; charset=utf-8")                                 \
    X("mkv", "video/matroska")                                                 \
    X("mov", "video/quicktime")                                                \
    X("mp3", "audio/mpeg")                                                     \
    X("mp4", "video/mp4")                                                      \
    X("mpeg", "video/mpeg")                                                    \
    X("mpg", "video/mpeg")                                                     \
    X("odp", "application/vnd.oasis.opendocument.presentation")                \
    X("ods", "application/vnd.oasis.opendocument.spreadsheet")                 \
    X("odt", "application/vnd.oasis.opendocument.text")                        \
    X("oga", "audio/ogg")                                                      \
    X("ogg", "audio/ogg")                                                      \
    X("ogv", "video/ogg")                                                      \
    X("opus", "audio/ogg")                                                     \
    X("otf", "font/otf")                                                       \
    X("pdf", "application/pdf")                                                \
    X("png", "image/png")                                                      \
    X("ppt", "application/vnd.ms-powerpoint")                                  \
    X("pptx", "application/vnd.openxmlformats-officedocument"                  \
              ".presentationml.presentation")                                  \
    X("rar", "application/vnd.rar")                                            \
    X("rss", "application/rss+xml")                                            \
    X("rtf", "application/rtf")                                                \
    X("svg", "image/svg+xml")                                                  \
    X("tar", "application/x-tar")                                              \
    X("tif", "image/tiff")                                                     \
    X("tiff", "image/tiff")                                                    \
    X("ts", "video/mp2t")                                                      \
    X("ttf", "font/ttf")                                                       \
    X("txt", "text/plain; charset=utf-8")                                      \
    X("vtt", "text/vtt; charset=utf-8")                                        \
    X("wasm", "application/wasm")                                              \
    X("wav", "audio/wav")                                                      \
    X("weba", "audio/webm")                                                    \
    X("webm", "video/webm")                                                    \
    X("webmanifest", "application/manifest+json")                              \
    X("webp", "image/webp")                                                    \
    X("woff", "font/woff")                                                     \
    X("woff2", "font/woff2")                                                   \
    X("xhtml", "application/xhtml+xml")                                        \
    X("xls", "application/vnd.ms-excel")                                       \
    X("xlsx", "application/vnd.openxmlformats-officedocument"                  \
              ".spreadsheetml.sheet")                                          \
    X("xml", "text/xml")                                                       \
    X("xsl", "application/xslt+xml")                                           \
    X("xz", "application/x-xz")                                                \
    X("yaml", "application/yaml")                                              \
    X("yml", "application/yaml")                                               \
    X("zip", "application/zip")                                                \
    X("zst", "application/zstd")

struct type {
    const char *extension;
    const char *name;
};

static const struct type types[] = {
#define X(extension, name) {extension, name},
    TYPES(X)
#undef X
};

static int compare(const void *key, const void *row)
{
    const struct bytes *extension = key;
    const char *other = ((const struct type *)row)->extension;
    int order = strncasecmp(extension->p, other, extension->n);

    return order ? order : -(int)(other[extension->n] != '\0');
}

struct bytes static_path_type(struct bytes name)
{
    const char *dot = memrchr(name.p, '.', name.n);
    struct bytes extension;
    const struct type *found;

    if (!dot || memchr(dot, '/', (size_t)(name.p + name.n - dot)))
        return BYTES("application/octet-stream");
    extension.p = dot + 1;
    extension.n = (size_t)(name.p + name.n - extension.p);
    found = bsearch(&extension, types, ARRAY_SIZE(types), sizeof(types[0]),
                    compare);
    return found ? bytes_of(found->name) : BYTES("application/octet-stream");
}
