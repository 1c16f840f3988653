/* SPDX-License-Identifier: MIT */
/*
 * Which backend is taken, and what is said about it, where io_uring is
 * forbidden: by a container's seccomp profile (EPERM with Docker, ENOSYS with
 * Podman), by the administrator, or by RLIMIT_MEMLOCK. Each in a child, which cannot undo it.
 */
#include "core/ring.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

/* How a child ends. */
enum { GOOD, WRONG, CANNOT_TRY };

static int open_with(struct ring **ret_ring, enum ring_backend backend)
{
    struct ring_config config = {.backend = backend};

    return ring_open(ret_ring, &config);
}

/* The system calls from first to last fail with this error from now on. */
static bool forbid(uint32_t first, uint32_t last, uint32_t error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {ARRAY_SIZE(filter), filter};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* What the child finds: epoll, with these words, and a refusal of io_uring. */
static int is_refused(int error, const char *words)
{
    struct ring *ring;
    bool good;

    if (open_with(&ring, RING_URING) != -error)
        return WRONG;
    if (open_with(&ring, RING_AUTO) != 0)
        return WRONG;
    good = strcmp(ring_name(ring), "epoll") == 0 &&
           strstr(ring_why(ring), words) != NULL;
    ring_free(ring);
    return good ? GOOD : WRONG;
}

static int child_without_setup(int error, const char *words)
{
    if (!forbid(SYS_io_uring_setup, SYS_io_uring_register, (uint32_t)error))
        return CANNOT_TRY;
    return is_refused(error, words);
}

/* A profile that forgets one of the three calls is caught as well. */
static int child_without_enter(int error, const char *words)
{
    (void)error;
    if (!forbid(SYS_io_uring_enter, SYS_io_uring_enter, EPERM))
        return CANNOT_TRY;
    return is_refused(ENOTSUP, words);
}

static int child_without_register(int error, const char *words)
{
    if (!forbid(SYS_io_uring_register, SYS_io_uring_register, (uint32_t)error))
        return CANNOT_TRY;
    return is_refused(error, words);
}

/*
 * As the kernel refuses where the administrator forbids io_uring to all: with
 * EPERM, and the sysctl says so. The sysctl is a file laid over the real one in
 * a mount namespace: the real one is for the whole machine.
 */
static int child_without_sysctl(int error, const char *words)
{
    char path[] = "/tmp/gcorn-XXXXXX";
    int fd = mkstemp(path);
    bool laid;

    if (fd < 0 || write(fd, "2\n", 2) != 2)
        return CANNOT_TRY;
    close(fd);
    laid = unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(path, "/proc/sys/kernel/io_uring_disabled", NULL, MS_BIND,
                 NULL) == 0;
    unlink(path);
    if (!laid || !forbid(SYS_io_uring_setup, SYS_io_uring_setup, EPERM))
        return CANNOT_TRY;
    return is_refused(error, words);
}

static int child_without_memory(int error, const char *words)
{
    struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || setuid(NOBODY) != 0)
        return CANNOT_TRY;
    return is_refused(error, words);
}

static void run_child(int (*child)(int, const char *), int error,
                      const char *words)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(child(error, words));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT_TRY)
        skip();
    assert_int_equal(WEXITSTATUS(status), GOOD);
}

static bool have_uring(void)
{
    struct ring *ring;

    if (open_with(&ring, RING_URING) != 0)
        return false;
    ring_free(ring);
    return true;
}

static void test_docker(void **state)
{
    (void)state;
    run_child(child_without_setup, EPERM, "forbidden");
}

static void test_podman(void **state)
{
    (void)state;
    run_child(child_without_setup, ENOSYS, "not there");
}

static void test_incomplete_profiles(void **state)
{
    (void)state;
    if (!have_uring())
        skip();
    run_child(child_without_enter, EPERM, "otherwise than expected");
    run_child(child_without_register, EPERM, "forbidden");
}

static void test_forbidden_by_sysctl(void **state)
{
    (void)state;
    run_child(child_without_sysctl, EPERM, "kernel.io_uring_disabled is 2");
}

/* Kernels that do not count rings (5.12 to 6.13) have nothing to refuse. */
static void test_no_memory_to_lock(void **state)
{
    (void)state;
    if (!have_uring() || geteuid() != 0)
        skip();
    run_child(child_without_memory, ENOMEM, "RLIMIT_MEMLOCK (0 KiB)");
}

static void test_auto_never_fails(void **state)
{
    struct ring *ring;

    (void)state;
    assert_int_equal(open_with(&ring, RING_AUTO), 0);
    if (strcmp(ring_name(ring), "io_uring") == 0)
        assert_string_equal(ring_why(ring), "");
    else
        assert_true(strlen(ring_why(ring)) > 0);
    assert_int_equal(ring_buffers_free(ring), 256);
    ring_free(ring);
}

static void test_epoll_on_request(void **state)
{
    struct ring *ring;

    (void)state;
    assert_int_equal(open_with(&ring, RING_EPOLL), 0);
    assert_string_equal(ring_name(ring), "epoll");
    assert_string_equal(ring_why(ring), "");
    ring_free(ring);
}

static void test_refuses_odd_buffer_counts(void **state)
{
    struct ring_config config = {.backend = RING_EPOLL, .buffers = 100};
    struct ring *ring;

    (void)state;
    assert_int_equal(ring_open(&ring, &config), -EINVAL);
    config.buffers = 65536;
    assert_int_equal(ring_open(&ring, &config), -EINVAL);
}

static void test_explanations(void **state)
{
    static const int errors[] = {EPERM, ENOSYS, EINVAL, ENOMEM, ENOTSUP, EIO};
    char text[RING_WHY_BYTES];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        ring_explain(-errors[i], text);
        assert_non_null(strstr(text, "io_uring"));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_docker),
        cmocka_unit_test(test_podman),
        cmocka_unit_test(test_incomplete_profiles),
        cmocka_unit_test(test_forbidden_by_sysctl),
        cmocka_unit_test(test_no_memory_to_lock),
        cmocka_unit_test(test_auto_never_fails),
        cmocka_unit_test(test_epoll_on_request),
        cmocka_unit_test(test_refuses_odd_buffer_counts),
        cmocka_unit_test(test_explanations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
