/* SPDX-License-Identifier: MIT */
#include "file_send.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

/* A look at one byte: read-ahead brings in much more than that at once. */
static bool is_cached(int fd, uint64_t off)
{
    char byte;
    struct iovec iov = {&byte, 1};

    return preadv2(fd, &iov, 1, (off_t)off, RWF_NOWAIT) == 1;
}

/*
 * sendfile() knows no flag for not waiting, only the socket's own. Nothing else
 * happens to the socket meanwhile: the ring works in this thread, when it is
 * called, and finds the socket as it was.
 */
uint64_t file_send_now(int socket_fd, int file_fd, uint64_t off, uint64_t len)
{
    off_t at = (off_t)off;
    ssize_t n;

    if (len < FILE_SEND_MIN)
        return 0;
    len = min_u64(len, FILE_SEND_MAX);
    if (!is_cached(file_fd, off) || !is_cached(file_fd, off + len - 1) ||
        fcntl(socket_fd, F_SETFL, O_NONBLOCK) != 0)
        return 0;
    n = sendfile(socket_fd, file_fd, &at, len);
    must(fcntl(socket_fd, F_SETFL, 0) == 0);
    return n > 0 ? (uint64_t)n : 0;
}
