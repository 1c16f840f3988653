/* SPDX-License-Identifier: MIT */
/*
 * libgcorn-python3.X.so: the host inside the user's own python executable.
 *
 * Preloaded into it, this takes the place of its main(). Then the code that
 * runs applications is the one that the distribution has tuned (linked as a
 * whole, laid out by profile), not libpython, which is compiled for any
 * address and takes 1.45 times as long (json.dumps, Debian 12). It is also
 * the very Python that applications and their extension modules are tested
 * with. The C library calls main() from __libc_start_main(), which, unlike
 * main(), another library can define.
 */
#include "host.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef int main_fn(int argc, char **argv, char **envp);
typedef int start_fn(main_fn *main, int argc, char **argv, void (*init)(void),
                     void (*fini)(void), void (*unload)(void), void *stack);

start_fn __libc_start_main;

/*
 * We are first in the list, before what the user preloads. What the
 * application starts is to be without us. Returns 0 or -errno.
 */
static int variable_restore(void)
{
    const char *list = getenv("LD_PRELOAD");
    const char *users = list ? strchr(list, ':') : NULL;
    char *copy;
    int error;

    if (!users)
        return unsetenv("LD_PRELOAD") == 0 ? 0 : -errno;
    copy = strdup(users + 1); /* setenv() writes where it reads */
    error = copy && setenv("LD_PRELOAD", copy, 1) == 0 ? 0 : -ENOMEM;
    free(copy);
    return error;
}

/* "--channel" alone is the master's question whether this works here. */
static int host_as_main(int argc, char **argv, char **envp)
{
    (void)envp;
    if (argc == 2)
        return 0;
    return variable_restore() < 0 ? 1 : host_main(argc, argv);
}

/* NOLINTNEXTLINE(readability-function-size): its arguments are the C library's */
__attribute__((visibility("default"))) int __libc_start_main(
    main_fn *main, int argc, char **argv, void (*init)(void),
    void (*fini)(void), void (*unload)(void), void *stack)
{
    start_fn *start = (start_fn *)dlsym(RTLD_NEXT, "__libc_start_main");

    if (argc >= 2 && strcmp(argv[1], "--channel") == 0)
        main = host_as_main;
    return start(main, argc, argv, init, fini, unload, stack);
}
