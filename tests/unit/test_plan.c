/* SPDX-License-Identifier: MIT */
/* Cases that the reference plans do not show; those are in tests/machines. */
#include "topology/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static const char two_nodes[] =
    "pack:2 [numa(memory=8589934592)] l3:2(size=33554432) core:4 pu:2";
static const char one_node[] = "[numa(memory=8589934592)] pack:1 core:4 pu:1";

struct fixture {
    struct machine *machine;
    struct plan_demand demand;
    struct plan *plan;
};

static struct fixture made_of(const char *synthetic)
{
    struct machine_source source = {.synthetic = synthetic};
    struct fixture f = {0};

    assert_int_equal(machine_read(&source, &f.machine), 0);
    plan_demand_init(&f.demand);
    return f;
}

static void make(struct fixture *f)
{
    plan_free(f->plan);
    f->plan = NULL;
    assert_int_equal(plan_make(f->machine, &f->demand, &f->plan), 0);
}

static void drop(struct fixture *f)
{
    plan_free(f->plan);
    machine_free(f->machine);
}

static bool warns(const struct plan *plan, const char *text)
{
    for (uint32_t i = 0; i < plan->n_warnings; i++)
        if (strstr(plan->warnings[i], text))
            return true;
    return false;
}

static void worker_takes_the_last_thread(void **state)
{
    struct fixture f = made_of(two_nodes);

    (void)state;
    make(&f);
    assert_int_equal(f.plan->n_workers, 15);
    assert_int_equal(f.plan->pin, PLAN_PIN_CORE);
    for (uint32_t i = 0; i < f.plan->n_workers; i++) {
        const struct plan_place *p = &f.plan->places[i];

        assert_int_equal(cpus_count(&p->worker_cpus), 1);
        assert_int_equal(cpus_count(&p->interp_cpus), 2);
        assert_int_equal(cpus_last(&p->worker_cpus),
                         cpus_last(&p->interp_cpus));
    }
    drop(&f);
}

static void without_smt_both_share_the_thread(void **state)
{
    struct fixture f = made_of(one_node);

    (void)state;
    make(&f);
    assert_int_equal(f.plan->n_workers, 4);
    assert_true(cpus_equal(&f.plan->places[0].worker_cpus,
                           &f.plan->places[0].interp_cpus));
    drop(&f);
}

static void a_quota_means_no_pinning(void **state)
{
    struct fixture f = made_of(two_nodes);

    (void)state;
    f.demand.quota_milli = 2500;
    make(&f);
    assert_int_equal(f.plan->n_workers, 2);
    assert_int_equal(f.plan->bound, PLAN_BOUND_QUOTA);
    assert_string_equal(f.plan->one_more, "a CPU quota of 3 CPUs");
    assert_int_equal(f.plan->pin, PLAN_PIN_OFF);
    assert_int_equal(f.plan->n_reserved, 0);
    assert_true(cpus_is_empty(&f.plan->places[0].interp_cpus));
    assert_non_null(strstr(f.plan->pin_reason, "quota"));
    f.demand.cpuset_exclusive = true;
    make(&f);
    assert_int_equal(f.plan->pin, PLAN_PIN_CORE);
    f.demand.quota_milli = 300;
    make(&f);
    assert_int_equal(f.plan->n_workers, 1);
    drop(&f);
}

static void a_container_pins_only_in_its_own_cpuset(void **state)
{
    struct fixture f = made_of(two_nodes);

    (void)state;
    f.demand.container = true;
    make(&f);
    assert_int_equal(f.plan->pin, PLAN_PIN_OFF);
    f.machine->allowed.word[0] &= ~UINT64_C(0xf);
    make(&f);
    assert_int_equal(f.plan->pin, PLAN_PIN_CORE);
    plan_cpus(f.plan, f.machine, &f.demand.taken);
    assert_int_equal(cpus_count(&f.demand.taken), 2 * f.plan->n_workers);
    drop(&f);
}

/* An operator's taskset says as much as a cpuset. */
static void an_affinity_is_ours_under_a_quota(void **state)
{
    struct fixture f = made_of(two_nodes);

    (void)state;
    f.demand.quota_milli = 2500;
    f.machine->affinity.word[0] &= ~UINT64_C(0xf);
    make(&f);
    assert_int_equal(f.plan->pin, PLAN_PIN_CORE);
    drop(&f);
}

static void pins_to_caches_and_nodes_on_request(void **state)
{
    struct fixture f = made_of(two_nodes);

    (void)state;
    f.demand.pin = PLAN_PIN_L3;
    make(&f);
    /* Worker 1 is on node 0, where core 0 is reserved. */
    assert_int_equal(f.plan->reserved[0], 0);
    for (uint32_t i = 0; i < f.plan->n_workers; i++) {
        uint32_t llc = (uint32_t)f.plan->places[i].llc;

        assert_int_equal(cpus_count(&f.plan->places[i].interp_cpus),
                         llc == 0 ? 6 : 8);
        assert_false(cpus_has(&f.plan->places[i].interp_cpus, 0));
    }
    f.demand.pin = PLAN_PIN_NODE;
    make(&f);
    assert_int_equal(cpus_count(&f.plan->places[0].worker_cpus), 16);
    assert_int_equal(cpus_count(&f.plan->places[1].worker_cpus), 14);
    f.demand.pin = PLAN_PIN_OFF;
    make(&f);
    assert_true(cpus_is_empty(&f.plan->places[0].worker_cpus));
    drop(&f);
}

static void more_workers_than_cores_float(void **state)
{
    struct fixture f = made_of(two_nodes);

    (void)state;
    f.demand.workers = 18;
    make(&f);
    assert_int_equal(f.plan->n_workers, 18);
    assert_int_equal(f.plan->bound, PLAN_BOUND_USER);
    assert_int_equal(f.plan->n_reserved, 0);
    assert_int_equal(f.plan->n_floating, 2);
    assert_int_equal(f.plan->places[15].core, 0);
    assert_int_equal(f.plan->places[16].core, -1);
    assert_true(cpus_is_empty(&f.plan->places[17].worker_cpus));
    assert_true(warns(f.plan, "2 workers more than cores"));
    assert_true(warns(f.plan, "1 of 1 reserved cores"));
    drop(&f);
}

static void more_workers_than_memory_are_warned_of(void **state)
{
    struct fixture f = made_of(one_node);

    (void)state;
    f.demand.worker_bytes = 4 * GIB;
    f.demand.workers = 4;
    make(&f);
    assert_int_equal(f.plan->n_workers, 4);
    assert_int_equal(f.plan->n_mem, 1);
    assert_true(warns(f.plan, "memory allows 1"));
    assert_int_equal(f.plan->safe_limit_bytes, f.plan->usable_bytes / 4);
    drop(&f);
}

static void steals_near_first(void **state)
{
    struct fixture f = made_of(two_nodes);
    const struct plan_place *p;

    (void)state;
    make(&f);
    p = f.plan->places;
    for (uint32_t w = 0; w < f.plan->n_workers; w++) {
        const uint16_t *order = plan_steal_order(f.plan, w);
        uint32_t same_llc = 0;

        while (same_llc < 14 && p[order[same_llc]].llc == p[w].llc)
            same_llc++;
        assert_int_equal(same_llc, p[w].llc == 0 ? 2 : 3);
        for (uint32_t k = same_llc; k < (p[w].node == 0 ? 6 : 7); k++)
            assert_int_equal(p[order[k]].node, p[w].node);
    }
    drop(&f);
}

static void cores_of_another_master_are_left_alone(void **state)
{
    struct fixture f = made_of(two_nodes);

    (void)state;
    /* Both threads of core 1, one of core 2. */
    cpus_add(&f.demand.taken, 2);
    cpus_add(&f.demand.taken, 3);
    cpus_add(&f.demand.taken, 5);
    make(&f);
    assert_int_equal(f.plan->n_workers, 13);
    assert_int_equal(f.plan->n_reserved, 1);
    for (uint32_t i = 0; i < f.plan->n_workers; i++)
        assert_false(
            cpus_intersect(&f.plan->places[i].interp_cpus, &f.demand.taken));
    assert_true(warns(f.plan, "2 cores are claimed"));
    drop(&f);
}

/* Two masters share; both leave the same core; a third finds none. */
static void masters_share_the_cores(void **state)
{
    struct fixture f = made_of(two_nodes);
    struct cpus first, second;

    (void)state;
    f.demand.workers = 8;
    make(&f);
    plan_cpus(f.plan, f.machine, &first);
    f.demand.taken = first;
    f.demand.workers = 0;
    make(&f);
    assert_int_equal(f.plan->n_workers, 7);
    assert_int_equal(f.plan->reserved[0], 0);
    plan_cpus(f.plan, f.machine, &second);
    assert_false(cpus_intersect(&first, &second));
    assert_false(cpus_has(&second, 0));
    cpus_or(&f.demand.taken, &second);
    make(&f);
    assert_int_equal(f.plan->n_workers, 1);
    assert_int_equal(f.plan->n_floating, 1);
    f.demand.workers = 2;
    make(&f);
    /* The reserve is what is left for who insists. */
    assert_int_equal(f.plan->places[0].core, 0);
    assert_int_equal(f.plan->n_floating, 1);
    memset(&f.demand.taken, 0xff, sizeof(f.demand.taken));
    make(&f);
    assert_int_equal(f.plan->n_floating, 2);
    assert_int_equal(f.plan->pin, PLAN_PIN_OFF);
    assert_non_null(strstr(f.plan->pin_reason, "no core"));
    drop(&f);
}

static void a_memory_limit_bounds(void **state)
{
    struct fixture f = made_of(two_nodes);
    struct cgroup_limits limits = {0};

    (void)state;
    limits.memory_max.value = 600 * MIB;
    plan_demand_limit(&f.demand, &limits);
    f.demand.worker_bytes = 100 * MIB;
    make(&f);
    assert_int_equal(f.plan->os_reserve_bytes, 32 * MIB);
    assert_int_equal(f.plan->n_mem, 4);
    assert_int_equal(f.plan->n_workers, 4);
    assert_int_equal(f.plan->bound, PLAN_BOUND_MEMORY);
    /* 568 MiB are usable: five workers need 5 * 100 / 0.8. */
    assert_string_equal(
        f.plan->one_more,
        "at least 57 MiB more memory, or workers of at most 90 MiB");
    limits.memory_high.value = 400 * MIB;
    plan_demand_limit(&f.demand, &limits);
    make(&f);
    assert_int_equal(f.plan->ram_bytes, 380 * MIB);
    assert_int_equal(f.plan->n_workers, 2);
    limits.memory_max.value = 64 * GIB;
    limits.memory_high.value = 0;
    plan_demand_limit(&f.demand, &limits);
    make(&f);
    assert_int_equal(f.plan->ram_bytes, 16 * GIB);
    drop(&f);
}

static void shared_memory_is_counted_once(void **state)
{
    struct fixture f = made_of(one_node);

    (void)state;
    f.demand.worker_bytes = 1 * GIB;
    make(&f);
    assert_int_equal(f.plan->n_mem, 6);
    f.demand.shared_bytes = 4 * GIB;
    make(&f);
    assert_int_equal(f.plan->n_mem, 2);
    f.demand.shared_bytes = 64 * GIB;
    make(&f);
    assert_int_equal(f.plan->n_workers, 1);
    assert_int_equal(f.plan->usable_bytes, 0);
    assert_true(warns(f.plan, "does not fit"));
    drop(&f);
}

static void less_memory_is_believed(void **state)
{
    struct fixture f = made_of(one_node);

    (void)state;
    f.machine->meminfo_bytes = 4 * GIB;
    make(&f);
    assert_int_equal(f.plan->ram_bytes, 4 * GIB);
    assert_true(warns(f.plan, "/proc/meminfo"));
    f.machine->meminfo_bytes = 8 * GIB - MIB;
    make(&f);
    assert_int_equal(f.plan->n_warnings, 0);
    f.machine->meminfo_bytes = 32 * GIB;
    make(&f);
    assert_int_equal(f.plan->ram_bytes, 8 * GIB);
    assert_true(warns(f.plan, "/proc/meminfo"));
    drop(&f);
}

static void impossible_demands_are_refused(void **state)
{
    struct fixture f = made_of(one_node);

    (void)state;
    f.demand.worker_bytes = 0;
    assert_int_equal(plan_make(f.machine, &f.demand, &f.plan), -EINVAL);
    plan_demand_init(&f.demand);
    f.demand.safety_percent = 101;
    assert_int_equal(plan_make(f.machine, &f.demand, &f.plan), -EINVAL);
    plan_demand_init(&f.demand);
    f.demand.workers = 65536;
    assert_int_equal(plan_make(f.machine, &f.demand, &f.plan), -EINVAL);
    drop(&f);
}

static void policies_have_names(void **state)
{
    enum plan_pin pin = PLAN_PIN_OFF;

    (void)state;
    assert_int_equal(plan_pin_parse("on", &pin), 0);
    assert_int_equal(pin, PLAN_PIN_CORE);
    assert_int_equal(plan_pin_parse("l3", &pin), 0);
    assert_string_equal(plan_pin_name(pin), "l3");
    assert_int_equal(plan_pin_parse("yes", &pin), -EINVAL);
    assert_int_equal(pin, PLAN_PIN_L3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worker_takes_the_last_thread),
        cmocka_unit_test(without_smt_both_share_the_thread),
        cmocka_unit_test(a_quota_means_no_pinning),
        cmocka_unit_test(a_container_pins_only_in_its_own_cpuset),
        cmocka_unit_test(an_affinity_is_ours_under_a_quota),
        cmocka_unit_test(pins_to_caches_and_nodes_on_request),
        cmocka_unit_test(more_workers_than_cores_float),
        cmocka_unit_test(more_workers_than_memory_are_warned_of),
        cmocka_unit_test(steals_near_first),
        cmocka_unit_test(cores_of_another_master_are_left_alone),
        cmocka_unit_test(masters_share_the_cores),
        cmocka_unit_test(a_memory_limit_bounds),
        cmocka_unit_test(shared_memory_is_counted_once),
        cmocka_unit_test(less_memory_is_believed),
        cmocka_unit_test(impossible_demands_are_refused),
        cmocka_unit_test(policies_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
