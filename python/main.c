/* SPDX-License-Identifier: MIT */
/* gcorn-python3.X: the host as a program of its own, with libpython. */
#include "host.h"

int main(int argc, char **argv)
{
    return host_main(argc, argv);
}
