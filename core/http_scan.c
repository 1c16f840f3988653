/* SPDX-License-Identifier: MIT */
#include "http_scan.h"

#include "http.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define T HTTP_CLASS_TOKEN
#define H HTTP_CLASS_HOST

/*
 * The comma may stand in a registered name, but no such host exists, and a
 * Host with a comma is what a gateway makes of two Host lines.
 */
/* clang-format off */
const uint8_t http_class[256] = {
    ['!'] = T | H,  ['#'] = T,     ['$'] = T | H, ['%'] = T | H, ['&'] = T | H,
    ['\''] = T | H, ['('] = H,     [')'] = H,     ['*'] = T | H, ['+'] = T | H,
    ['-'] = T | H,  ['.'] = T | H, [';'] = H,     ['='] = H,     ['^'] = T,
    ['_'] = T | H,  ['`'] = T,     ['|'] = T,     ['~'] = T | H,
    ['0' ... '9'] = T | H,
    ['A' ... 'Z'] = T | H,
    ['a' ... 'z'] = T | H,
};
/* clang-format on */

#undef T
#undef H

static bool is_token(uint8_t c)
{
    return (http_class[c] & HTTP_CLASS_TOKEN) != 0;
}

static bool is_value(uint8_t c)
{
    return http_is_text((char)c);
}

static bool is_target(uint8_t c)
{
    return c > ' ' && c != 0x7f && c != '?' && c != '#';
}

#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE size_t scan_bytes(struct bytes data, size_t pos,
                                       bool (*in_run)(uint8_t))
{
    while (pos < data.n && in_run((uint8_t)data.p[pos]))
        pos++;
    return pos;
}

static size_t scalar_token(struct bytes data, size_t pos)
{
    return scan_bytes(data, pos, is_token);
}

static size_t scalar_value(struct bytes data, size_t pos)
{
    return scan_bytes(data, pos, is_value);
}

static size_t scalar_target(struct bytes data, size_t pos)
{
    return scan_bytes(data, pos, is_target);
}

static const struct http_scan scan_scalar = {
    .name = "scalar",
    .token = scalar_token,
    .value = scalar_value,
    .target = scalar_target,
};

#if defined(__x86_64__)

/*
 * tchar as two tables for PSHUFB: bit h of TOKEN_ROWS[l] tells whether the
 * character h*16+l is one. A byte from 0x80 on selects zero from either.
 */
#define TOKEN_ROWS                                                             \
    (char)0xe8, (char)0xfc, (char)0xf8, (char)0xfc, (char)0xfc, (char)0xfc,    \
        (char)0xfc, (char)0xfc, (char)0xf8, (char)0xf8, (char)0xf4, 0x54,      \
        (char)0xd0, 0x54, (char)0xf4, 0x70
#define TOKEN_BITS 1, 2, 4, 8, 16, 32, 64, (char)128, 0, 0, 0, 0, 0, 0, 0, 0

#define SSE __attribute__((target("sse4.2"))) inline
#define AVX __attribute__((target("avx2"))) inline

/* Bit i of the result is set if byte i does not belong to the run. */
static SSE uint32_t sse_bad_token(__m128i x)
{
    __m128i rows = _mm_setr_epi8(TOKEN_ROWS);
    __m128i bits = _mm_setr_epi8(TOKEN_BITS);
    __m128i high = _mm_and_si128(_mm_srli_epi16(x, 4), _mm_set1_epi8(15));
    __m128i hit = _mm_and_si128(_mm_shuffle_epi8(rows, x),
                                _mm_shuffle_epi8(bits, high));

    return (uint32_t)_mm_movemask_epi8(
        _mm_cmpeq_epi8(hit, _mm_setzero_si128()));
}

static SSE uint32_t sse_bad_value(__m128i x)
{
    __m128i printable = _mm_cmpeq_epi8(_mm_max_epu8(x, _mm_set1_epi8(' ')), x);
    __m128i tab = _mm_cmpeq_epi8(x, _mm_set1_epi8('\t'));
    __m128i del = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f));
    __m128i good = _mm_andnot_si128(del, _mm_or_si128(printable, tab));

    return (uint32_t)_mm_movemask_epi8(good) ^ 0xffff;
}

static SSE uint32_t sse_bad_target(__m128i x)
{
    __m128i visible = _mm_cmpeq_epi8(_mm_max_epu8(x, _mm_set1_epi8('!')), x);
    __m128i del = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f));
    __m128i query = _mm_cmpeq_epi8(x, _mm_set1_epi8('?'));
    __m128i hash = _mm_cmpeq_epi8(x, _mm_set1_epi8('#'));
    __m128i stop = _mm_or_si128(del, _mm_or_si128(query, hash));

    return (uint32_t)_mm_movemask_epi8(_mm_andnot_si128(stop, visible)) ^
           0xffff;
}

static AVX uint32_t avx_bad_token(__m256i x)
{
    __m256i rows = _mm256_setr_epi8(TOKEN_ROWS, TOKEN_ROWS);
    __m256i bits = _mm256_setr_epi8(TOKEN_BITS, TOKEN_BITS);
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(x, 4),
                                    _mm256_set1_epi8(15));
    __m256i hit = _mm256_and_si256(_mm256_shuffle_epi8(rows, x),
                                   _mm256_shuffle_epi8(bits, high));

    return (uint32_t)_mm256_movemask_epi8(
        _mm256_cmpeq_epi8(hit, _mm256_setzero_si256()));
}

static AVX uint32_t avx_bad_value(__m256i x)
{
    __m256i space = _mm256_set1_epi8(' ');
    __m256i printable = _mm256_cmpeq_epi8(_mm256_max_epu8(x, space), x);
    __m256i tab = _mm256_cmpeq_epi8(x, _mm256_set1_epi8('\t'));
    __m256i del = _mm256_cmpeq_epi8(x, _mm256_set1_epi8(0x7f));
    __m256i good = _mm256_andnot_si256(del, _mm256_or_si256(printable, tab));

    return ~(uint32_t)_mm256_movemask_epi8(good);
}

static AVX uint32_t avx_bad_target(__m256i x)
{
    __m256i first = _mm256_set1_epi8('!');
    __m256i visible = _mm256_cmpeq_epi8(_mm256_max_epu8(x, first), x);
    __m256i del = _mm256_cmpeq_epi8(x, _mm256_set1_epi8(0x7f));
    __m256i query = _mm256_cmpeq_epi8(x, _mm256_set1_epi8('?'));
    __m256i hash = _mm256_cmpeq_epi8(x, _mm256_set1_epi8('#'));
    __m256i stop = _mm256_or_si256(del, _mm256_or_si256(query, hash));

    return ~(uint32_t)_mm256_movemask_epi8(_mm256_andnot_si256(stop, visible));
}

/*
 * Whole blocks, then one block that ends with the data and overlaps what is
 * done: the bytes behind the data are not ours to read. A macro, since a
 * function with the kernel as argument is not inlined across target attributes
 * by all compilers.
 */
#define SSE_LOAD(at) _mm_loadu_si128((const __m128i *)(const void *)(at))
#define AVX_LOAD(at) _mm256_loadu_si256((const __m256i *)(const void *)(at))

#define SCANNER(name, isa, width, load, bad, rest)                             \
    static __attribute__((target(isa))) size_t name(struct bytes data,         \
                                                    size_t pos)                \
    {                                                                          \
        uint32_t mask;                                                         \
                                                                               \
        for (; pos + (width) <= data.n; pos += (width)) {                      \
            mask = bad(load(data.p + pos));                                    \
            if (mask)                                                          \
                return pos + (size_t)__builtin_ctz(mask);                      \
        }                                                                      \
        if (data.n < (width))                                                  \
            return rest(data, pos);                                            \
        if (pos >= data.n)                                                     \
            return pos;                                                        \
        mask = bad(load(data.p + data.n - (width)));                           \
        mask >>= pos - (data.n - (width));                                     \
        return mask ? pos + (size_t)__builtin_ctz(mask) : data.n;              \
    }

SCANNER(sse_token, "sse4.2", 16, SSE_LOAD, sse_bad_token, scalar_token)
SCANNER(sse_value, "sse4.2", 16, SSE_LOAD, sse_bad_value, scalar_value)
SCANNER(sse_target, "sse4.2", 16, SSE_LOAD, sse_bad_target, scalar_target)
/*
 * Short runs on an AVX machine: the 16-byte kernels again, in VEX encoding. A
 * legacy SSE instruction stalls for tens of nanoseconds while upper halves of
 * registers are dirty, and the C library's copies leave them so.
 */
SCANNER(vex_token, "avx2", 16, SSE_LOAD, sse_bad_token, scalar_token)
SCANNER(vex_value, "avx2", 16, SSE_LOAD, sse_bad_value, scalar_value)
SCANNER(vex_target, "avx2", 16, SSE_LOAD, sse_bad_target, scalar_target)
SCANNER(avx_token, "avx2", 32, AVX_LOAD, avx_bad_token, vex_token)
SCANNER(avx_value, "avx2", 32, AVX_LOAD, avx_bad_value, vex_value)
SCANNER(avx_target, "avx2", 32, AVX_LOAD, avx_bad_target, vex_target)

static const struct http_scan scan_sse = {
    .name = "sse4.2",
    .token = sse_token,
    .value = sse_value,
    .target = sse_target,
};

static const struct http_scan scan_avx = {
    .name = "avx2",
    .token = avx_token,
    .value = avx_value,
    .target = avx_target,
};

static const struct http_scan *scan_best(void)
{
    if (__builtin_cpu_supports("avx2"))
        return &scan_avx;
    if (__builtin_cpu_supports("sse4.2"))
        return &scan_sse;
    return &scan_scalar;
}

#else

static const struct http_scan *scan_best(void)
{
    return &scan_scalar;
}

#endif

/*
 * A mutable static, the only one here: what the CPU can do is a fact of the
 * machine, and passing it down through every call would cost more than it
 * tells.
 */
static const struct http_scan *scan_now = &scan_scalar;

static __attribute__((constructor)) void scan_choose(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
    scan_now = scan_best();
}

const struct http_scan *http_scan_get(void)
{
    return scan_now;
}

const char *http_scan_name(void)
{
    return scan_now->name;
}

int http_scan_use(const char *name)
{
    const struct http_scan *all[] = {
        &scan_scalar,
#if defined(__x86_64__)
        __builtin_cpu_supports("sse4.2") ? &scan_sse : NULL,
        __builtin_cpu_supports("avx2") ? &scan_avx : NULL,
#endif
    };

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i] && strcmp(all[i]->name, name) == 0) {
            scan_now = all[i];
            return 0;
        }
    }
    return -ENOTSUP;
}

bool http_is_token(struct bytes text)
{
    return text.n > 0 && scan_now->token(text, 0) == text.n;
}

bool http_is_value(struct bytes text)
{
    return scan_now->value(text, 0) == text.n;
}
