/* SPDX-License-Identifier: MIT */
/*
 * Dates of HTTP, written and read without the C library's time zones.
 */
#include "http_write.h"

#define MONTHS "JanFebMarAprMayJunJulAugSepOctNovDec"

static void two_digits(char *out, int value)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
}

struct date {
    int year;
    int month; /* 0 is January */
    int day;   /* 1 is the first */
};

/*
 * Days since 1970 to a date of the Gregorian calendar. A year is counted from
 * March, so that the leap day is its last; 400 years are 146097 days. Not
 * gmtime_r(), which takes the C library's time zone lock.
 */
static struct date date_of(int64_t days)
{
    int64_t z = days + 719468; /* since 1 March of the year 0 */
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day = z - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* 0 is March */
    struct date date;

    date.day = (int)(of_year - (153 * month + 2) / 5 + 1);
    date.month = (int)((month + 2) % 12);
    date.year = (int)(year + era * 400 + (month >= 10));
    return date;
}

void http_date(char text[HTTP_DATE_LEN], time_t when)
{
    static const char week[] = "SunMonTueWedThuFriSat";
    /* Four digits of a year, no more: 253402300799 is the end of 9999. */
    int64_t t = when < 0 ? 0 : (int64_t)min_u64((uint64_t)when, 253402300799);
    int64_t days = t / 86400;
    int second = (int)(t % 86400);
    struct date date = date_of(days);

    memcpy(text, "Sun, 06 Nov 1994 08:49:37 GMT", HTTP_DATE_LEN);
    memcpy(text, week + (days + 4) % 7 * 3, 3); /* 1970 began on a Thursday */
    two_digits(text + 5, date.day);
    memcpy(text + 8, MONTHS + (ptrdiff_t)date.month * 3, 3);
    two_digits(text + 12, date.year / 100);
    two_digits(text + 14, date.year % 100);
    two_digits(text + 17, second / 3600);
    two_digits(text + 20, second / 60 % 60);
    two_digits(text + 23, second % 60);
}

/* The reverse: see date_of(). */
static int64_t days_of(struct date date)
{
    int64_t year = date.year - (date.month < 2);
    int64_t era = year / 400;
    int64_t of_era = year - era * 400;
    int64_t month = (date.month + 10) % 12; /* 0 is March */
    int64_t of_year = (153 * month + 2) / 5 + date.day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
           719468;
}

struct reader {
    struct bytes rest;
    bool bad;
};

static int digits(struct reader *in, size_t n)
{
    int value = 0;

    for (size_t i = 0; i < n; i++) {
        if (in->rest.n <= i || in->rest.p[i] < '0' || in->rest.p[i] > '9') {
            in->bad = true;
            return 0;
        }
        value = value * 10 + (in->rest.p[i] - '0');
    }
    in->rest.p += n;
    in->rest.n -= n;
    return value;
}

static void expect(struct reader *in, struct bytes text)
{
    if (in->rest.n < text.n || memcmp(in->rest.p, text.p, text.n) != 0) {
        in->bad = true;
        return;
    }
    in->rest.p += text.n;
    in->rest.n -= text.n;
}

static int month(struct reader *in)
{
    for (int i = 0; i < 12; i++) {
        if (in->rest.n < 3 ||
            memcmp(in->rest.p, MONTHS + (ptrdiff_t)i * 3, 3) != 0)
            continue;
        in->rest.p += 3;
        in->rest.n -= 3;
        return i;
    }
    in->bad = true;
    return 0;
}

/* "08:49:37"; a leap second is the next minute's first. */
static int64_t clock_of(struct reader *in)
{
    int hours = digits(in, 2);
    int minutes;
    int seconds;

    expect(in, BYTES(":"));
    minutes = digits(in, 2);
    expect(in, BYTES(":"));
    seconds = digits(in, 2);
    if (hours > 23 || minutes > 59 || seconds > 60)
        in->bad = true;
    return hours * 3600 + minutes * 60 + seconds;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" and "Sunday, 06-Nov-94 08:49:37 GMT" */
static int64_t with_comma(struct reader *in, bool old)
{
    struct bytes between = old ? BYTES("-") : BYTES(" ");
    struct date date;
    int64_t clock;

    expect(in, BYTES(", "));
    date.day = digits(in, 2);
    expect(in, between);
    date.month = month(in);
    expect(in, between);
    date.year = digits(in, old ? 2 : 4);
    if (old) /* never more than 50 years ahead of those who still use it */
        date.year += date.year < 70 ? 2000 : 1900;
    expect(in, BYTES(" "));
    clock = clock_of(in);
    expect(in, BYTES(" GMT"));
    in->bad |= date.day < 1 || date.day > 31;
    return days_of(date) * 86400 + clock;
}

/* "Sun Nov  6 08:49:37 1994" */
static int64_t of_asctime(struct reader *in)
{
    struct date date;
    int64_t clock;

    expect(in, BYTES(" "));
    date.month = month(in);
    expect(in, BYTES(" "));
    if (in->rest.n > 0 && in->rest.p[0] == ' ') {
        expect(in, BYTES(" "));
        date.day = digits(in, 1);
    } else {
        date.day = digits(in, 2);
    }
    expect(in, BYTES(" "));
    clock = clock_of(in);
    expect(in, BYTES(" "));
    date.year = digits(in, 4);
    in->bad |= date.day < 1 || date.day > 31;
    return days_of(date) * 86400 + clock;
}

int http_date_parse(struct bytes text, int64_t *ret_when)
{
    struct reader in = {text, false};
    size_t name = 0;
    int64_t when;

    while (name < text.n && name < 10 &&
           ((text.p[name] | 0x20) >= 'a' && (text.p[name] | 0x20) <= 'z'))
        name++;
    in.rest.p += name;
    in.rest.n -= name;
    if (name < 3)
        return -EINVAL;
    if (in.rest.n > 0 && in.rest.p[0] == ',')
        when = with_comma(&in, name > 3);
    else
        when = of_asctime(&in);
    if (in.bad || in.rest.n > 0)
        return -EINVAL;
    *ret_when = when;
    return 0;
}
