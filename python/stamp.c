/* SPDX-License-Identifier: MIT */
#include "stamp.h"

#include "core/http_write.h"

#include <stdio.h>

struct bytes stamp_now(struct stamp *stamp)
{
    struct timespec now;
    char date[HTTP_DATE_LEN];

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (unlikely(stamp->date != now.tv_sec)) {
        stamp->date = now.tv_sec;
        http_date(date, now.tv_sec);
        stamp->len = (uint32_t)snprintf(stamp->text, sizeof(stamp->text),
                                        "Server: gcorn\r\nDate: %.*s\r\n",
                                        HTTP_DATE_LEN, date);
    }
    return (struct bytes){stamp->text, stamp->len};
}
