/* SPDX-License-Identifier: MIT */
/* Serves echo_site on a port until SIGINT: the C side alone, to be measured. */
#include "echo_site.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct echo_options options;
    struct echo_site site;
    sigset_t set;
    int number;

    echo_defaults(&options);
    options.port = (uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 0);
    if (argc > 2)
        options.interps = (uint32_t)strtoul(argv[2], NULL, 10);
    if (argc > 3 && strcmp(argv[3], "epoll") == 0)
        options.ring.backend = RING_EPOLL;
    if (argc > 4 && strcmp(argv[4], "log") == 0)
        options.access_log_fd = STDOUT_FILENO;
    if (echo_start(&site, &options) != 0)
        return 1;
    fprintf(stderr, "http://127.0.0.1:%u/ master %d\n", site.port, site.master);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigwait(&set, &number);
    return echo_stop(&site);
}
