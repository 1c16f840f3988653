/* SPDX-License-Identifier: MIT */
#include "topology/machine.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "topology/bind.h"

static void the_running_system_is_read(void **state)
{
    struct machine_source live = {0};
    struct machine *m;
    struct cpus mine, seen = {0};

    (void)state;
    assert_int_equal(bind_cpus_get(0, &mine), 0);
    assert_int_equal(machine_read(&live, &m), 0);
    assert_true(m->is_this_system);
    assert_true(m->meminfo_bytes > 0);
    assert_true(cpus_equal(&m->affinity, &mine));
    for (uint32_t i = 0; i < m->n_cores; i++) {
        assert_false(cpus_intersect(&seen, &m->cores[i].pus));
        cpus_or(&seen, &m->cores[i].pus);
        assert_true(cpus_contain(&mine, &m->cores[i].usable));
    }
    assert_true(cpus_contain(&seen, &mine));
    machine_free(m);
}

/* The operator's taskset is a wish about which cores we may use. */
static void an_inherited_affinity_is_respected(void **state)
{
    struct machine_source live = {0};
    struct cpus before, one = {0};
    struct machine *m;
    uint32_t usable = 0;

    (void)state;
    assert_int_equal(bind_cpus_get(0, &before), 0);
    cpus_add(&one, (uint32_t)cpus_last(&before));
    assert_int_equal(bind_cpus(&one), 0);
    assert_int_equal(machine_read(&live, &m), 0);
    for (uint32_t i = 0; i < m->n_cores; i++)
        usable += machine_core_is_usable(&m->cores[i]);
    assert_int_equal(usable, 1);
    assert_true(cpus_equal(&m->affinity, &one));
    machine_free(m);
    assert_int_equal(bind_cpus(&before), 0);
}

static void a_description_is_read(void **state)
{
    struct machine_source source = {
        .synthetic = "pack:2 [numa(memory=1073741824)] l3:2(size=1048576) "
                     "core:3 pu:2"};
    struct machine *m;

    (void)state;
    assert_int_equal(machine_read(&source, &m), 0);
    assert_false(m->is_this_system);
    assert_int_equal(m->n_cores, 12);
    assert_int_equal(m->n_llcs, 4);
    assert_int_equal(m->n_nodes, 2);
    assert_int_equal(m->packages, 2);
    assert_int_equal(m->l3_bytes, 4 << 20);
    assert_int_equal(m->cores[11].node, 1);
    assert_int_equal(m->cores[11].llc, 3);
    assert_int_equal(m->cores[11].package, 1);
    assert_int_equal(cpus_count(&m->online), 24);
    machine_free(m);
}

/* hwloc alone would silently describe the running system. */
static void bad_sources_are_errors(void **state)
{
    struct machine_source missing = {.xml = "/nonexistent/machine.xml"};
    struct machine_source nonsense = {.synthetic = "nonsense"};
    struct machine *m = NULL;

    (void)state;
    assert_int_equal(machine_read(&missing, &m), -ENOENT);
    assert_int_equal(machine_read(&nonsense, &m), -EINVAL);
    assert_null(m);
}

/* A left-over of another tool must not plan for another machine. */
static void the_environment_is_ignored(void **state)
{
    struct machine_source live = {0};
    struct machine *m;

    (void)state;
    assert_int_equal(setenv("HWLOC_SYNTHETIC", "core:77 pu:1", 1), 0);
    assert_int_equal(machine_read(&live, &m), 0);
    assert_true(m->is_this_system);
    assert_int_not_equal(m->n_cores, 77);
    assert_null(getenv("HWLOC_SYNTHETIC"));
    machine_free(m);
}

static void other_xml_is_an_error(void **state)
{
    char path[] = "/tmp/gcorn-machine-XXXXXX";
    struct machine_source source = {.xml = path};
    struct machine *m = NULL;
    int fd = mkstemp(path);
    int saved = dup(STDERR_FILENO);
    FILE *file;

    (void)state;
    assert_true(fd >= 0 && saved >= 0);
    assert_true(dprintf(fd, "<topology version=\"9.0\"></topology>\n") > 0);
    close(fd);
    /* hwloc complains in its own words. */
    file = freopen("/dev/null", "w", stderr);
    assert_non_null(file);
    assert_true(machine_read(&source, &m) < 0);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    unlink(path);
    assert_null(m);
}

static void more_cpus_than_fit_are_an_error(void **state)
{
    struct machine_source source = {.synthetic = "core:4097 pu:1"};
    struct machine *m = NULL;

    (void)state;
    assert_int_equal(machine_read(&source, &m), -E2BIG);
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_running_system_is_read),
        cmocka_unit_test(an_inherited_affinity_is_respected),
        cmocka_unit_test(a_description_is_read),
        cmocka_unit_test(bad_sources_are_errors),
        cmocka_unit_test(the_environment_is_ignored),
        cmocka_unit_test(other_xml_is_an_error),
        cmocka_unit_test(more_cpus_than_fit_are_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
