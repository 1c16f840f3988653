/* SPDX-License-Identifier: MIT */
/* Each test builds a small /proc and /sys/fs/cgroup in a temporary folder. */
#include "topology/cgroup.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int make_root(void **state)
{
    char *root = strdup("/tmp/gcorn-cgroup-XXXXXX");

    *state = root;
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    nftw(*state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return 0;
}

static void put(const char *root, const char *name, const char *text)
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(path, 0755);
        *p = '/';
    }
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void put_v2(const char *root, const char *cgroup, const char *mounted)
{
    char text[512];

    snprintf(text, sizeof(text), "0::%s\n", cgroup);
    put(root, "proc/self/cgroup", text);
    snprintf(text, sizeof(text),
             "22 1 0:20 / /sys rw - sysfs sysfs rw\n"
             "30 22 0:26 %s /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 "
             "cgroup2 rw,nsdelegate\n",
             mounted);
    put(root, "proc/self/mountinfo", text);
    put(root, "sys/fs/cgroup/cgroup.controllers",
        "cpuset cpu io memory pids\n");
}

static struct cgroup_limits read_limits(const char *root)
{
    struct cgroup_limits limits;

    assert_int_equal(cgroup_read(root, &limits), 0);
    return limits;
}

static void no_limits_when_nothing_is_set(void **state)
{
    struct cgroup_limits limits;

    put_v2(*state, "/", "/");
    limits = read_limits(*state);
    assert_int_equal(limits.quota.value, 0);
    assert_int_equal(limits.memory_max.value, 0);
    assert_int_equal(limits.memory_high.value, 0);
    assert_int_equal(limits.pids_max.value, 0);
    assert_true(limits.has_v2);
    assert_false(limits.has_v1);
    assert_false(limits.partial);
    assert_false(limits.cpuset_exclusive);
}

static void v2_takes_the_tightest_of_all_ancestors(void **state)
{
    struct cgroup_limits limits;

    put_v2(*state, "/a/b/c", "/");
    put(*state, "sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    put(*state, "sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put(*state, "sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n");
    put(*state, "sys/fs/cgroup/a/memory.max", "max\n");
    put(*state, "sys/fs/cgroup/a/b/memory.max", "314572800\n");
    put(*state, "sys/fs/cgroup/a/b/c/memory.max", "1073741824\n");
    put(*state, "sys/fs/cgroup/a/b/c/memory.high", "209715200\n");
    put(*state, "sys/fs/cgroup/a/pids.max", "100\n");
    put(*state, "sys/fs/cgroup/a/b/pids.max", "max\n");
    put(*state, "sys/fs/cgroup/a/b/c/cpuset.cpus.effective", "4-7\n");
    put(*state, "sys/fs/cgroup/a/cpuset.cpus.effective", "0-31\n");
    limits = read_limits(*state);
    assert_int_equal(limits.quota.value, 1500);
    assert_string_equal(limits.quota.path, "/a");
    assert_int_equal(limits.memory_max.value, 300 * MIB);
    assert_string_equal(limits.memory_max.path, "/a/b");
    assert_int_equal(limits.memory_high.value, 200 * MIB);
    assert_string_equal(limits.memory_high.path, "/a/b/c");
    assert_int_equal(limits.pids_max.value, 100);
    assert_int_equal(cpus_count(&limits.cpuset), 4);
    assert_true(cpus_has(&limits.cpuset, 4));
}

static void the_lower_cgroup_is_named_on_a_tie(void **state)
{
    put_v2(*state, "/a/b", "/");
    put(*state, "sys/fs/cgroup/a/memory.max", "1048576\n");
    put(*state, "sys/fs/cgroup/a/b/memory.max", "1048576\n");
    assert_string_equal(read_limits(*state).memory_max.path, "/a/b");
}

static void a_namespace_hides_its_ancestors(void **state)
{
    struct cgroup_limits limits;

    put_v2(*state, "/", "/");
    put(*state, "sys/fs/cgroup/cgroup.type", "domain\n");
    put(*state, "sys/fs/cgroup/cpu.max", "200000 100000\n");
    limits = read_limits(*state);
    assert_int_equal(limits.quota.value, 2000);
    assert_string_equal(limits.quota.path, "/");
    assert_true(limits.partial);
}

static void a_mounted_part_is_the_whole(void **state)
{
    struct cgroup_limits limits;

    put_v2(*state, "/docker/abc/app", "/docker/abc");
    put(*state, "sys/fs/cgroup/memory.max", "104857600\n");
    put(*state, "sys/fs/cgroup/app/cpu.max", "50000 100000\n");
    limits = read_limits(*state);
    assert_int_equal(limits.memory_max.value, 100 * MIB);
    assert_int_equal(limits.quota.value, 500);
    assert_string_equal(limits.quota.path, "/app");
    assert_true(limits.partial);
}

static void a_path_outside_the_namespace_is_said(void **state)
{
    struct cgroup_limits limits;

    put_v2(*state, "/../other", "/");
    put(*state, "sys/fs/cgroup/cpu.max", "200000 100000\n");
    limits = read_limits(*state);
    assert_true(limits.partial);
    assert_int_equal(limits.quota.value, 2000);
}

/* "/docker/abcd" does not lie in a mount of "/docker/abc". */
static void a_similar_name_is_not_a_prefix(void **state)
{
    struct cgroup_limits limits;

    put_v2(*state, "/docker/abcd", "/docker/abc");
    put(*state, "sys/fs/cgroup/d/cpu.max", "200000 100000\n");
    limits = read_limits(*state);
    assert_int_equal(limits.quota.value, 0);
    assert_true(limits.partial);
}

static void put_v1(const char *root)
{
    put(root, "proc/self/cgroup",
        "9:name=systemd:/\n4:memory:/site/app\n3:cpuset:/site\n"
        "2:cpu,cpuacct:/site/app\n0::/\n");
    put(root, "proc/self/mountinfo",
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup "
        "rw,cpu,cpuacct\n"
        "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "35 31 0:32 / /sys/fs/cgroup/my\\040memory rw - cgroup cgroup "
        "rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    put(root, "sys/fs/cgroup/unified/cgroup.controllers", "\n");
}

static void v1_takes_the_tightest_of_all_ancestors(void **state)
{
    struct cgroup_limits limits;

    put_v1(*state);
    put(*state, "sys/fs/cgroup/cpu,cpuacct/site/cpu.cfs_quota_us", "250000");
    put(*state, "sys/fs/cgroup/cpu,cpuacct/site/cpu.cfs_period_us", "100000");
    put(*state, "sys/fs/cgroup/cpu,cpuacct/site/app/cpu.cfs_quota_us", "-1");
    put(*state, "sys/fs/cgroup/cpu,cpuacct/site/app/cpu.cfs_period_us",
        "100000");
    put(*state, "sys/fs/cgroup/my memory/site/memory.limit_in_bytes",
        "629145600");
    put(*state, "sys/fs/cgroup/my memory/site/app/memory.limit_in_bytes",
        "9223372036854771712");
    put(*state, "sys/fs/cgroup/cpuset/site/cpuset.cpus", "2-3");
    put(*state, "sys/fs/cgroup/cpuset/site/cpuset.cpu_exclusive", "1");
    limits = read_limits(*state);
    assert_int_equal(limits.quota.value, 2500);
    assert_string_equal(limits.quota.path, "/site");
    assert_int_equal(limits.memory_max.value, 600 * MIB);
    assert_string_equal(limits.memory_max.path, "/site");
    assert_true(limits.cpuset_exclusive);
    assert_int_equal(cpus_count(&limits.cpuset), 2);
    assert_true(limits.has_v1);
    assert_false(limits.has_v2);
}

/* Ancestors out of sight still show in memory.stat. */
static void v1_reads_the_hierarchical_limit(void **state)
{
    put_v1(*state);
    put(*state, "sys/fs/cgroup/my memory/site/app/memory.limit_in_bytes",
        "9223372036854771712");
    put(*state, "sys/fs/cgroup/my memory/site/app/memory.stat",
        "cache 12\nhierarchical_memory_limit 1048576\n");
    assert_int_equal(read_limits(*state).memory_max.value, MIB);
    /* Seen at the parent it is the parent's. */
    put(*state, "sys/fs/cgroup/my memory/site/memory.limit_in_bytes",
        "1048576");
    assert_string_equal(read_limits(*state).memory_max.path, "/site");
}

/* The root cpuset of version 1 always says that it is exclusive. */
static void the_root_is_not_exclusive(void **state)
{
    put_v1(*state);
    put(*state, "sys/fs/cgroup/cpuset/cpuset.cpu_exclusive", "1");
    put(*state, "sys/fs/cgroup/cpuset/site/cpuset.cpu_exclusive", "0");
    assert_false(read_limits(*state).cpuset_exclusive);
}

/* Memory is managed by version 1, the CPU by version 2. */
static void a_mixed_system_uses_both(void **state)
{
    struct cgroup_limits limits;

    put(*state, "proc/self/cgroup", "4:memory:/m\n0::/c\n");
    put(*state, "proc/self/mountinfo",
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    put(*state, "sys/fs/cgroup/unified/cgroup.controllers", "cpuset cpu\n");
    put(*state, "sys/fs/cgroup/unified/c/cpu.max", "100000 100000\n");
    put(*state, "sys/fs/cgroup/unified/c/memory.max", "1\n");
    put(*state, "sys/fs/cgroup/unified/c/cpuset.cpus.partition", "isolated\n");
    put(*state, "sys/fs/cgroup/memory/m/memory.limit_in_bytes", "1048576\n");
    limits = read_limits(*state);
    assert_int_equal(limits.quota.value, 1000);
    assert_int_equal(limits.memory_max.value, MIB);
    assert_true(limits.cpuset_exclusive);
    assert_true(limits.has_v1);
    assert_true(limits.has_v2);
}

static void nonsense_is_no_limit(void **state)
{
    struct cgroup_limits limits;

    put_v2(*state, "/a", "/");
    put(*state, "sys/fs/cgroup/a/cpu.max", "100000 0\n");
    put(*state, "sys/fs/cgroup/a/memory.max", "lots\n");
    put(*state, "sys/fs/cgroup/a/pids.max", "");
    put(*state, "sys/fs/cgroup/a/cpuset.cpus.effective", "7-4\n");
    limits = read_limits(*state);
    assert_int_equal(limits.quota.value, 0);
    assert_int_equal(limits.memory_max.value, 0);
    assert_int_equal(limits.pids_max.value, 0);
    assert_true(cpus_is_empty(&limits.cpuset));
}

static void a_tiny_quota_is_still_one(void **state)
{
    put_v2(*state, "/a", "/");
    put(*state, "sys/fs/cgroup/a/cpu.max", "1000 1000000000\n");
    assert_int_equal(read_limits(*state).quota.value, 1);
}

static void without_proc_there_is_an_error(void **state)
{
    struct cgroup_limits limits;

    assert_int_equal(cgroup_read(*state, &limits), -ENOENT);
}

#define IN_ROOT(test)                                                          \
    cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOT(no_limits_when_nothing_is_set),
        IN_ROOT(v2_takes_the_tightest_of_all_ancestors),
        IN_ROOT(the_lower_cgroup_is_named_on_a_tie),
        IN_ROOT(a_namespace_hides_its_ancestors),
        IN_ROOT(a_mounted_part_is_the_whole),
        IN_ROOT(a_path_outside_the_namespace_is_said),
        IN_ROOT(a_similar_name_is_not_a_prefix),
        IN_ROOT(v1_takes_the_tightest_of_all_ancestors),
        IN_ROOT(v1_reads_the_hierarchical_limit),
        IN_ROOT(the_root_is_not_exclusive),
        IN_ROOT(a_mixed_system_uses_both),
        IN_ROOT(nonsense_is_no_limit),
        IN_ROOT(a_tiny_quota_is_still_one),
        IN_ROOT(without_proc_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
