/* SPDX-License-Identifier: MIT */
/*
 * A real gcorn-python (argv[1]) with the python executable argv[2] and the
 * applications in argv[3], under a master that play_master plays.
 */
#include "play_master.h"
#include "core/board.h"
#include "core/board_interp.h"
#include "core/exchange_word.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char **arguments;

static void start(struct play *play, const char *const *settings)
{
    play_start(play, arguments[1], arguments[2], arguments[3], settings);
}

/* Starts it and one interpreter in slot 0, which serves on return. */
static struct board_interp *start_serving(struct play *play,
                                          const char *const *settings)
{
    struct board_interp *interp;

    start(play, settings);
    assert_int_equal(play_hear(play).op, TEMPLATE_READY);
    interp = play_interp(play, 0);
    play_await(play, 0, BOARD_INTERP_SERVING);
    return interp;
}

static void assert_answers(struct play *play, const char *target,
                           const char *text)
{
    char *answer = play_get(play, target);

    if (!strstr(answer, text))
        fail_msg("%s: no \"%s\" in \"%s\"", target, text, answer);
    free(answer);
}

static void assert_gone_with(pid_t pid, int code)
{
    int status = play_wait(pid);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

/* What the master does to end an interpreter. */
static void drain(struct board_interp *interp)
{
    atomic_store(&interp->state, BOARD_INTERP_DRAINING);
    while (board_wake_interp(interp))
        ;
}

static char *read_file(pid_t pid, const char *name)
{
    char path[64];
    char *text = calloc(1, 4096);
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, 4095, file) > 0);
    fclose(file);
    return text;
}

static void test_serves_and_drains(void **unused)
{
    const char *settings[] = {"wsgi_app", "hello:app", NULL};
    struct play play;
    struct board_interp *interp = start_serving(&play, settings);
    char *log;

    (void)unused;
    for (int i = 0; i < 40; i++)
        assert_answers(&play, "/", "\r\n\r\nHello, world!");
    assert_int_equal(atomic_load(&interp->requests), 40);
    assert_int_equal(atomic_load(&interp->threads), 1);
    assert_int_equal(atomic_load(&interp->running), 0);
    assert_true(atomic_load(&interp->cpu_ns) > 0);
    drain(interp);
    assert_gone_with(atomic_load(&interp->pid), 0);
    log = play_log(&play);
    assert_non_null(strstr(log, "[INFO] Booting worker with pid: "));
    assert_non_null(strstr(log, "[INFO] Worker exiting (pid: "));
    free(log);
    play_stop(&play);
}

static void test_titles(void **unused)
{
    const char *settings[] = {"wsgi_app", "hello:app", NULL};
    struct play play;
    struct board_interp *interp = start_serving(&play, settings);
    char *text = read_file(atomic_load(&interp->pid), "cmdline");

    (void)unused;
    assert_string_equal(text, "gcorn: interpreter 0 [hello:app]");
    free(text);
    text = read_file(play.template_pid, "cmdline");
    assert_string_equal(text, "gcorn: template [hello:app]");
    free(text);
    text = read_file(play.template_pid, "comm");
    assert_string_equal(text, "gcorn-template\n");
    free(text);
    play_stop(&play);
}

/* The environment survives that its memory is used for the title. */
static void test_sees_its_surroundings(void **unused)
{
    const char *settings[] = {
        "wsgi_app",  "probe:app", "pythonpath", "/nowhere,/elsewhere",
        "proc_name", "named",     NULL};
    struct play play;
    char path[256];

    (void)unused;
    setenv("PLAY_MARK", "seen by the application", 1);
    start_serving(&play, settings);
    snprintf(path, sizeof(path),
             "\"path\": [\"/elsewhere\", \"/nowhere\", \"%s\"", arguments[3]);
    assert_answers(&play, "/process", path);
    snprintf(path, sizeof(path), "\"executable\": \"%s\"", arguments[2]);
    assert_answers(&play, "/process", path);
    snprintf(path, sizeof(path), "\"ppid\": %d", (int)getpid());
    assert_answers(&play, "/process", path);
    assert_answers(&play, "/process", "\"argv\": [\"gcorn\"]");
    assert_answers(&play, "/process", "\"main\": true");
    assert_answers(&play, "/env", "\"PLAY_MARK\": \"seen by the application\"");
    play_stop(&play);
}

/* What python3 -m venv makes, as far as the start of Python looks at it. */
static void make_venv(const char *dir, char python[128])
{
    const char *slash = strrchr(arguments[2], '/');
    char name[128];
    FILE *file;

    snprintf(name, sizeof(name), "%s/pyvenv.cfg", dir);
    file = fopen(name, "w");
    assert_non_null(file);
    fprintf(file, "home = %.*s\n", (int)(slash - arguments[2]), arguments[2]);
    fclose(file);
    snprintf(name, sizeof(name), "%s/bin", dir);
    assert_return_code(mkdir(name, 0700), errno);
    snprintf(python, 128, "%s/bin/python3", dir);
    assert_return_code(symlink(arguments[2], python), errno);
}

static void remove_venv(const char *dir, const char *python)
{
    char name[128];

    unlink(python);
    snprintf(name, sizeof(name), "%s/bin", dir);
    rmdir(name);
    snprintf(name, sizeof(name), "%s/pyvenv.cfg", dir);
    unlink(name);
    assert_return_code(rmdir(dir), errno);
}

static void test_virtual_environment(void **unused)
{
    const char *settings[] = {"wsgi_app", "probe:app", NULL};
    char dir[] = "/tmp/gcorn-venv-XXXXXX", python[128], text[160];
    struct play play;

    (void)unused;
    assert_non_null(mkdtemp(dir));
    make_venv(dir, python);
    play_start(&play, arguments[1], python, arguments[3], settings);
    assert_int_equal(play_hear(&play).op, TEMPLATE_READY);
    play_interp(&play, 0);
    play_await(&play, 0, BOARD_INTERP_SERVING);
    snprintf(text, sizeof(text), "\"prefix\": \"%s\"", dir);
    assert_answers(&play, "/process", text);
    snprintf(text, sizeof(text), "\"executable\": \"%s\"", python);
    assert_answers(&play, "/process", text);
    play_stop(&play);
    remove_venv(dir, python);
}

static void test_placed_on_cpus(void **unused)
{
    const char *settings[] = {"wsgi_app", "probe:app", NULL};
    struct template_message order = {
        .op = TEMPLATE_FORK, .slot = 1, .node = 0, .pinned = 1, .cpus = {1}};
    struct play play;
    char *log;

    (void)unused;
    start(&play, settings);
    assert_int_equal(play_hear(&play).op, TEMPLATE_READY);
    atomic_store(&board_interp(play.board, 1)->state, BOARD_INTERP_STARTING);
    play_order(&play, &order);
    play_await(&play, 1, BOARD_INTERP_SERVING);
    assert_answers(&play, "/process", "\"affinity\": [0]");
    log = play_log(&play);
    assert_null(strstr(log, "WARNING"));
    free(log);
    play_stop(&play);
}

/* Two requests run at once only if two threads serve. */
static void test_gthread(void **unused)
{
    const char *settings[] = {"wsgi_app", "probe:app", "worker_class",
                              "gthread",  "threads",   "3",
                              NULL};
    char file[] = "/tmp/gcorn-hold-XXXXXX", target[64];
    struct play play;
    struct board_interp *interp = start_serving(&play, settings);
    struct exchange *held;

    (void)unused;
    close(mkstemp(file));
    unlink(file);
    snprintf(target, sizeof(target), "/hold?file=%s", file);
    held = play_ask(&play, target);
    assert_answers(&play, "/process", "\"thread\": \"gcorn-");
    assert_answers(&play, "/process", "\"main\": false");
    assert_int_equal(atomic_load(&interp->threads), 3);
    assert_int_equal(atomic_load(&interp->running), 1);
    drain(interp); /* what runs is finished first */
    close(open(file, O_CREAT | O_WRONLY, 0600));
    free(play_answer(&play, held));
    assert_gone_with(atomic_load(&interp->pid), 0);
    unlink(file);
    play_stop(&play);
}

static void assert_boot_fails(const char *app, int code, const char *text)
{
    const char *settings[] = {"wsgi_app", app, NULL};
    struct play play;
    struct board_interp *interp;

    start(&play, settings);
    assert_int_equal(play_hear(&play).op, TEMPLATE_READY);
    interp = play_interp(&play, 0);
    assert_gone_with(atomic_load(&interp->pid), code);
    assert_int_equal(atomic_load(&interp->exit_code), code);
    assert_int_equal(atomic_load(&interp->state), BOARD_INTERP_STARTING);
    play_await_log(&play, text);
    play_stop(&play);
}

static void test_boot_failures(void **unused)
{
    (void)unused;
    assert_boot_fails("broken_import:app", 3,
                      "No module named 'a_module_that_nobody_wrote'");
    assert_boot_fails("broken_syntax:app", 3, "SyntaxError");
    assert_boot_fails("not_there", 3, "gcorn: looked for not_there in ");
    assert_boot_fails("hello.py", 3, "named without its suffix: hello");
    assert_boot_fails("factories:broken_factory()", 3,
                      "the factory itself is broken");
    assert_boot_fails("hello:nothing", 4, "there is no 'nothing' in 'hello'");
    assert_boot_fails("factories:not_callable", 4,
                      "int objects cannot be called");
    assert_boot_fails("factories:create_app(nope)", 4, "are not literals");
    assert_boot_fails("factories:create_app(times=2, nope=1)", 4,
                      "unexpected keyword argument 'nope'");
    assert_boot_fails("hello:1+1", 4, "is not a plain or dotted name");
    assert_boot_fails("hello:a b", 4, "is neither a name nor a call");
}

static void assert_app_says(const char *app, const char *text)
{
    const char *settings[] = {"wsgi_app", app, NULL};
    struct play play;

    start_serving(&play, settings);
    assert_answers(&play, "/", text);
    play_stop(&play);
}

static void test_expressions(void **unused)
{
    (void)unused;
    assert_app_says("hello", "Hello, world!");
    assert_app_says("factories:Holder.app", "nested");
    assert_app_says("factories:create_app()", "default|()|1|None");
    assert_app_says("factories:create_app('x', 'y', times=-2, "
                    "options={'a': [1, None]})",
                    "x|('y',)|-2|{'a': [1, None]}");
    assert_app_says("factories:ClassApp", "class");
}

static void test_preload(void **unused)
{
    const char *settings[] = {"wsgi_app", "hello:app", "preload_app", "true",
                              NULL};
    const char *broken[] = {"wsgi_app", "broken_import:app", "preload_app", "1",
                            NULL};
    struct template_message message;
    struct play play;

    (void)unused;
    start_serving(&play, settings);
    play_interp(&play, 1);
    play_await(&play, 1, BOARD_INTERP_SERVING);
    assert_answers(&play, "/", "Hello, world!");
    play_stop(&play);

    start(&play, broken);
    message = play_hear(&play);
    assert_int_equal(message.op, TEMPLATE_FAILED);
    assert_int_equal(message.code, 3);
    assert_gone_with(play.template_pid, 3);
    play_await_log(&play, "a_module_that_nobody_wrote");
    play_stop(&play);
}

/* Whose child a template is, as /proc has it. */
static pid_t parent_of(pid_t pid)
{
    char *text = read_file(pid, "stat");
    const char *after = strrchr(text, ')');
    long parent = strtol(after + 4, NULL, 10);

    free(text);
    return (pid_t)parent;
}

static pid_t template_of_node(const struct play *play, int node)
{
    char path[64], children[256] = "", wanted[32];
    const char *at = children;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
             (int)play->template_pid, (int)play->template_pid);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(children, sizeof(children), file));
    fclose(file);
    snprintf(wanted, sizeof(wanted), "of node %d", node);
    for (;;) {
        char *end;
        pid_t pid = (pid_t)strtol(at, &end, 10);
        char *title;
        bool is_it;

        if (end == at)
            return 0;
        at = end;
        title = read_file(pid, "cmdline");
        is_it = strstr(title, wanted) != NULL;
        free(title);
        if (is_it)
            return pid;
    }
}

/* Which template it was forked from, by what that one alone wrote. */
static void test_a_template_for_each_node(void **unused)
{
    const char *settings[] = {"wsgi_app",   "hello:app", "preload_app", "true",
                              "play_nodes", "yes",       NULL};
    struct template_message order = {.op = TEMPLATE_FORK, .node = 1};
    struct board_interp *second;
    struct play play;
    pid_t first;

    (void)unused;
    start(&play, settings);
    assert_int_equal(play_hear(&play).op, TEMPLATE_READY);
    assert_int_not_equal(template_of_node(&play, 0), 0);
    assert_int_not_equal(template_of_node(&play, 1), 0);
    /* Node -1 is anybody's. */
    first = atomic_load(&play_interp(&play, 0)->pid);
    play_await(&play, 0, BOARD_INTERP_SERVING);
    assert_int_equal(parent_of(first), getpid());
    assert_answers(&play, "/", "Hello, world!");

    order.slot = BOARD_INTERPS_PER_WORKER;
    second = board_interp(play.board, order.slot);
    atomic_store(&second->state, BOARD_INTERP_STARTING);
    play_order(&play, &order);
    play_await(&play, order.slot, BOARD_INTERP_SERVING);
    assert_int_equal(parent_of(atomic_load(&second->pid)), getpid());
    /* The relay ends as the first of its templates does. */
    kill(template_of_node(&play, 1), SIGKILL);
    assert_true(WIFSIGNALED(play_wait(play.template_pid)));
    play.template_pid = 0;
    play_stop(&play);
}

static void test_templates_of_nodes_quit(void **unused)
{
    const char *settings[] = {"wsgi_app",   "hello:app", "preload_app", "true",
                              "play_nodes", "yes",       NULL};
    const char *broken[] = {"wsgi_app", "broken_import:app", "preload_app",
                            "1",        "play_nodes",        "yes",
                            NULL};
    struct template_message quit = {.op = TEMPLATE_QUIT};
    struct play play;

    (void)unused;
    start(&play, settings);
    assert_int_equal(play_hear(&play).op, TEMPLATE_READY);
    play_order(&play, &quit);
    assert_gone_with(play.template_pid, 0);
    play.template_pid = 0;
    play_stop(&play);

    start(&play, broken);
    assert_int_equal(play_hear(&play).op, TEMPLATE_FAILED);
    assert_gone_with(play.template_pid, 3);
    play.template_pid = 0;
    play_stop(&play);
}

static void test_max_requests(void **unused)
{
    const char *settings[] = {"wsgi_app", "hello:app", "max_requests", "3",
                              NULL};
    struct play play;
    struct board_interp *interp = start_serving(&play, settings);

    (void)unused;
    assert_answers(&play, "/", "Hello");
    assert_answers(&play, "/", "Hello");
    assert_int_equal(atomic_load(&interp->state), BOARD_INTERP_SERVING);
    assert_answers(&play, "/", "Hello");
    play_await(&play, 0, BOARD_INTERP_RETIRING);
    assert_answers(&play, "/", "Hello"); /* nobody else is there yet */
    play_await_log(&play, "Autorestarting worker after current request.");
    drain(interp);
    assert_gone_with(atomic_load(&interp->pid), 0);
    play_stop(&play);
}

static void test_harmless_signals(void **unused)
{
    static const int signals[] = {SIGINT,  SIGQUIT, SIGHUP,
                                  SIGUSR1, SIGUSR2, SIGPIPE};
    const char *settings[] = {"wsgi_app", "hello:app", NULL};
    struct play play;
    struct board_interp *interp = start_serving(&play, settings);

    (void)unused;
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        kill(atomic_load(&interp->pid), signals[i]);
        kill(play.template_pid, signals[i]);
    }
    kill(play.template_pid, SIGTERM);
    assert_answers(&play, "/", "Hello");
    assert_int_equal(atomic_load(&interp->state), BOARD_INTERP_SERVING);
    play_interp(&play, 1);
    play_await(&play, 1, BOARD_INTERP_SERVING);
    play_stop(&play);
}

static void test_sigterm_retires(void **unused)
{
    const char *settings[] = {"wsgi_app", "hello:app", "worker_class",
                              "gthread",  "threads",   "4",
                              NULL};
    struct play play;
    struct board_interp *interp = start_serving(&play, settings);

    (void)unused;
    kill(atomic_load(&interp->pid), SIGTERM);
    play_await(&play, 0, BOARD_INTERP_RETIRING);
    assert_answers(&play, "/", "Hello");
    kill(atomic_load(&interp->pid), SIGTERM);
    assert_gone_with(atomic_load(&interp->pid), 0);
    assert_int_equal(atomic_load(&interp->state), BOARD_INTERP_DRAINING);
    play_stop(&play);
}

static void test_log_reopened(void **unused)
{
    char path[] = "/tmp/gcorn-log-XXXXXX";
    const char *settings[] = {"wsgi_app", "hello:app", "errorlog", path, NULL};
    int fd = mkstemp(path);
    struct play play;
    struct board_interp *interp = start_serving(&play, settings);
    char line[512] = "";

    (void)unused;
    kill(atomic_load(&interp->pid), SIGUSR1);
    assert_answers(&play, "/", "Hello");
    drain(interp);
    assert_gone_with(atomic_load(&interp->pid), 0);
    assert_false(play_log_has(&play, "Worker exiting"));
    assert_true(read(fd, line, sizeof(line) - 1) > 0);
    assert_non_null(strstr(line, "Worker exiting"));
    close(fd);
    unlink(path);
    play_stop(&play);
}

static void test_sigterm_while_loading(void **unused)
{
    const char *settings[] = {"wsgi_app", "slow_import:app", NULL};
    struct play play;
    struct board_interp *interp;

    (void)unused;
    start(&play, settings);
    assert_int_equal(play_hear(&play).op, TEMPLATE_READY);
    interp = play_interp(&play, 0);
    play_await_log(&play, "Booting worker");
    kill(atomic_load(&interp->pid), SIGTERM);
    play_await(&play, 0, BOARD_INTERP_RETIRING);
    play_stop(&play);
}

/* The signal may come before the call, so it is sent until the name shows. */
static void test_stacks_on_signal(void **unused)
{
    const char *settings[] = {"wsgi_app", "crash:app", NULL};
    struct play play;
    struct board_interp *interp = start_serving(&play, settings);
    struct exchange *x = play_ask(&play, "/stick-c");
    bool shown = false;

    (void)unused;
    for (int i = 0; i < PLAY_SECONDS * 10 && !shown; i++) {
        kill(atomic_load(&interp->pid), BOARD_STACKS_SIGNAL);
        usleep(100000);
        shown = play_log_has(&play, "in a_c_call_that_never_ends");
    }
    assert_true(shown);
    assert_int_equal(exchange_word_state(atomic_load(&x->word)),
                     EXCHANGE_RUNNING);
    play_stop(&play);
}

static void test_crash_shows_stack(void **unused)
{
    const char *settings[] = {"wsgi_app", "crash:app", NULL};
    struct play play;
    struct board_interp *interp = start_serving(&play, settings);
    int status;

    (void)unused;
    play_ask(&play, "/segv");
    status = play_wait(atomic_load(&interp->pid));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    play_await_log(&play, "Fatal Python error: Segmentation fault");
    play_await_log(&play, "in segfault");
    play_stop(&play);
}

static void test_application_exits(void **unused)
{
    const char *settings[] = {"wsgi_app", "probe:app", "worker_class",
                              "gthread",  "threads",   "2",
                              NULL};
    struct play play;
    struct board_interp *interp = start_serving(&play, settings);

    (void)unused;
    free(play_get(&play, "/system-exit"));
    assert_gone_with(atomic_load(&interp->pid), 0);
    play_stop(&play);
}

static void test_template_quits(void **unused)
{
    const char *settings[] = {"wsgi_app", "hello:app", NULL};
    struct template_message quit = {.op = TEMPLATE_QUIT};
    struct play play;

    (void)unused;
    start_serving(&play, settings);
    play_order(&play, &quit);
    assert_gone_with(play.template_pid, 0);
    assert_answers(&play, "/", "Hello"); /* interpreters outlive it */
    play_stop(&play);
}

/* In a child, the master of its own play, until it is killed. */
static void serve_until_killed(int tell_fd)
{
    const char *settings[] = {"wsgi_app", "hello:app", NULL};
    struct play play;
    struct board_interp *interp = start_serving(&play, settings);
    pid_t pids[2] = {play.template_pid, atomic_load(&interp->pid)};

    if (write(tell_fd, pids, sizeof(pids)) == sizeof(pids))
        pause();
    _exit(1);
}

static void test_dies_with_master(void **unused)
{
    pid_t pids[2], master;
    int pipes[2];
    int status;

    (void)unused;
    assert_return_code(prctl(PR_SET_CHILD_SUBREAPER, 1), errno);
    assert_return_code(pipe(pipes), errno);
    master = fork();
    if (master == 0)
        serve_until_killed(pipes[1]);
    close(pipes[1]);
    assert_int_equal(read(pipes[0], pids, sizeof(pids)), sizeof(pids));
    close(pipes[0]);
    kill(master, SIGKILL);
    play_wait(master);
    status = play_wait(pids[0]);
    /* The template may see its socket end before the signal comes. */
    assert_true(WIFEXITED(status) || WTERMSIG(status) == SIGKILL);
    assert_int_equal(WTERMSIG(play_wait(pids[1])), SIGKILL);
}

static void test_refuses_nonsense(void **unused)
{
    static const char *const words[] = {"", "-1", "7x", "999", "1"};

    (void)unused;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        pid_t pid = fork();

        if (pid == 0) {
            close(STDERR_FILENO);
            execl(arguments[1], arguments[1], "--channel", words[i],
                  (char *)NULL);
            _exit(127);
        }
        assert_gone_with(pid, 2);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serves_and_drains),
        cmocka_unit_test(test_titles),
        cmocka_unit_test(test_sees_its_surroundings),
        cmocka_unit_test(test_virtual_environment),
        cmocka_unit_test(test_placed_on_cpus),
        cmocka_unit_test(test_gthread),
        cmocka_unit_test(test_boot_failures),
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_preload),
        cmocka_unit_test(test_a_template_for_each_node),
        cmocka_unit_test(test_templates_of_nodes_quit),
        cmocka_unit_test(test_max_requests),
        cmocka_unit_test(test_harmless_signals),
        cmocka_unit_test(test_sigterm_retires),
        cmocka_unit_test(test_log_reopened),
        cmocka_unit_test(test_sigterm_while_loading),
        cmocka_unit_test(test_stacks_on_signal),
        cmocka_unit_test(test_crash_shows_stack),
        cmocka_unit_test(test_application_exits),
        cmocka_unit_test(test_template_quits),
        cmocka_unit_test(test_dies_with_master),
        cmocka_unit_test(test_refuses_nonsense),
    };

    if (argc < 4) {
        fprintf(stderr, "usage: %s HOST PYTHON APPS [PATTERN]\n", argv[0]);
        return 2;
    }
    argv[1] = realpath(argv[1], NULL); /* it is started in another folder */
    must(argv[1] != NULL);
    arguments = argv;
    if (argc > 4)
        cmocka_set_test_filter(argv[4]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
