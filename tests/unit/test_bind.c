/* SPDX-License-Identifier: MIT */
/*
 * Binding on the machine that runs the tests. Where a sandbox forbids memory
 * policies the tests about them skip.
 */
#include "topology/bind.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH ((size_t)1 << 20)

static void cpus_are_read_back(void **state)
{
    struct cpus before, one = {0}, got;

    (void)state;
    assert_int_equal(bind_cpus_get(0, &before), 0);
    assert_false(cpus_is_empty(&before));
    cpus_add(&one, (uint32_t)cpus_last(&before));
    assert_int_equal(bind_cpus(&one), 0);
    assert_int_equal(bind_cpus_get(getpid(), &got), 0);
    assert_true(cpus_equal(&one, &got));
    assert_int_equal(bind_cpus(&before), 0);
}

static void an_empty_set_changes_nothing(void **state)
{
    struct cpus before, none = {0}, after;

    (void)state;
    assert_int_equal(bind_cpus_get(0, &before), 0);
    assert_int_equal(bind_cpus(&none), 0);
    assert_int_equal(bind_cpus_get(0, &after), 0);
    assert_true(cpus_equal(&before, &after));
}

static void cpus_that_are_not_there_are_an_error(void **state)
{
    struct cpus before, far = {0}, partly;

    (void)state;
    assert_int_equal(bind_cpus_get(0, &before), 0);
    cpus_add(&far, CPUS_MAX - 1);
    assert_int_equal(bind_cpus(&far), -EINVAL);
    partly = before;
    cpus_or(&partly, &far);
    assert_int_equal(bind_cpus(&partly), -ESTALE);
    assert_int_equal(bind_cpus(&before), 0);
}

static void children_inherit_the_binding(void **state)
{
    struct cpus before, one = {0}, got;
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(bind_cpus_get(0, &before), 0);
    cpus_add(&one, (uint32_t)cpus_last(&before));
    assert_int_equal(bind_cpus(&one), 0);
    pid = fork();
    if (pid == 0)
        _exit(bind_cpus_get(0, &got) == 0 && cpus_equal(&one, &got) ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(bind_cpus(&before), 0);
}

static int first_node(void)
{
    char page = 1;
    int node = bind_page_node(&page);

    if (node == -EPERM || node == -ENOSYS)
        skip();
    return node;
}

static void ranges_come_from_their_node(void **state)
{
    int node = first_node();
    char *memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(bind_range(memory, LENGTH, node, false), 0);
    memset(memory, 1, LENGTH);
    assert_int_equal(bind_page_node(memory), node);
    assert_int_equal(bind_page_node(memory + LENGTH - 1), node);
    assert_int_equal(bind_range(memory, LENGTH, node, true), 0);
    assert_int_equal(bind_range(memory, LENGTH, -1, false), 0);
    munmap(memory, LENGTH);
}

static void pages_are_counted_by_node(void **state)
{
    int node = first_node();
    struct bind_pages before, after;
    char *memory;

    (void)state;
    if (bind_count_pages(0, node, &before) == -ENOENT)
        skip();
    memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(bind_range(memory, LENGTH, node, false), 0);
    memset(memory, 1, LENGTH);
    assert_int_equal(bind_count_pages(getpid(), node, &after), 0);
    assert_true(after.local >= before.local + LENGTH / 4096 - 16);
    munmap(memory, LENGTH);
}

static void a_policy_holds_for_new_pages(void **state)
{
    int node = first_node();
    char *memory;

    (void)state;
    assert_int_equal(bind_memory(node, true), 0);
    memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    memset(memory, 1, LENGTH);
    assert_int_equal(bind_page_node(memory), node);
    assert_int_equal(bind_memory(node, false), 0);
    assert_int_equal(bind_memory(-1, false), 0);
    munmap(memory, LENGTH);
}

static void nodes_that_are_not_there_are_an_error(void **state)
{
    (void)state;
    first_node();
    assert_int_equal(bind_memory(1023, true), -EINVAL);
    assert_int_equal(bind_memory(1024, true), -EINVAL);
    assert_int_equal(bind_memory(-1, false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpus_are_read_back),
        cmocka_unit_test(an_empty_set_changes_nothing),
        cmocka_unit_test(cpus_that_are_not_there_are_an_error),
        cmocka_unit_test(children_inherit_the_binding),
        cmocka_unit_test(ranges_come_from_their_node),
        cmocka_unit_test(pages_are_counted_by_node),
        cmocka_unit_test(a_policy_holds_for_new_pages),
        cmocka_unit_test(nodes_that_are_not_there_are_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
