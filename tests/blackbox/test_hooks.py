# SPDX-License-Identifier: MIT
"""Hooks of the configuration file: when, where and with what."""

import os
import pathlib
import re
import signal

import pytest

from client import wait_until
from masters import ended, pid_in, wait_pid

CONFIG = """
import os
TRACE = os.environ["PROBE_TRACE"]
def note(*words):
    with open(TRACE, "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")
workers = 1
def on_starting(server):
    note("on_starting", server.num_workers, type(server.cfg.timeout).__name__)
    server.log.info("said by %s", "on_starting")
def when_ready(server): note("when_ready", len(server.WORKERS))
def nworkers_changed(server, new, old): note("nworkers_changed", new, old)
def pre_fork(server, worker): note("pre_fork", worker.age)
def post_fork(server, worker):
    note("post_fork", worker.age, worker.pid == os.getpid(),
         worker.ppid == server.pid == os.getppid())
def post_worker_init(worker): note("post_worker_init", callable(worker.wsgi))
def worker_exit(server, worker): note("worker_exit", worker.age)
def child_exit(server, worker): note("child_exit", worker.age, worker.pid)
def on_exit(server): note("on_exit")
def on_reload(server): note("on_reload")
"""


def serve(start, tmp_path, text, *args, **kind):
    (tmp_path / "conf.py").write_text(text)
    return start("probe:app", "-c", tmp_path / "conf.py", *args, **kind)


@pytest.mark.parametrize("args", [(), ("--preload",), ("--threads", "2")])
def test_a_life_in_order(start, tmp_path, args):
    server = serve(start, tmp_path, CONFIG, *args)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    lines = [line for line in server.trace_lines()
             if not line.startswith("import")]
    assert lines[:6] == [
        "nworkers_changed 1 None", "on_starting 1 int", "when_ready 0",
        "pre_fork 1", "post_fork 1 True True", "post_worker_init True"]
    assert lines[6] == "worker_exit 1"
    assert lines[7].startswith("child_exit 1 ")
    assert lines[8:] == ["on_exit"]
    assert re.search(r"\[INFO\] said by on_starting", server.log())


def test_more_workers_and_a_reload(start, tmp_path):
    server = serve(start, tmp_path, CONFIG)
    server.signal(signal.SIGTTIN)
    server.traced("post_fork 2")
    assert "nworkers_changed 2 1" in server.trace_lines()
    lines = server.trace_lines()
    assert lines.index("nworkers_changed 2 1") < lines.index("pre_fork 2")
    server.signal(signal.SIGHUP)
    server.traced("worker_exit 2")
    lines = server.trace_lines()
    assert lines.index("on_reload") < lines.index("pre_fork 3")


def test_child_exit_knows_who(start, tmp_path):
    server = serve(start, tmp_path, CONFIG)
    pid = server.interpreters()[0].pid
    os.kill(pid, signal.SIGKILL)
    assert server.traced("child_exit") == ["child_exit 1 %d" % pid]


def test_requests(start, tmp_path):
    server = serve(start, tmp_path, CONFIG + """
def pre_request(worker, req):
    note("before", req.method, req.path, req.query, req.version,
         dict(req.headers).get("X-A"), worker.nr)
def post_request(worker, req, environ, resp):
    note("after", resp.status_code, resp.sent, environ["PATH_INFO"])
    raise ValueError("nobody is harmed")
""")
    response = server.get("/echo?a=b", headers=[("X-A", "yes")])
    assert response.status == 200
    assert server.traced("before GET /echo a=b (1, 1) yes 2")
    server.traced("after 200 %d /echo" % len(response.body))
    server.wait_log("Exception in post_request hook")
    assert server.get("/").status == 200


@pytest.mark.parametrize("arguments", ["worker, req", "worker, req, environ"])
def test_post_request_may_take_less(start, tmp_path, arguments):
    server = serve(start, tmp_path, CONFIG + """
def post_request(%s):
    note("after", req.method)
""" % arguments)
    assert server.get("/").status == 200
    server.traced("after GET")


@pytest.mark.parametrize("hook, code", [
    ("on_starting(server)", 1), ("when_ready(server)", 1),
    ("post_fork(server, worker)", 3), ("post_worker_init(worker)", 3)])
def test_a_hook_that_fails_at_the_start(start, tmp_path, hook, code):
    server = serve(start, tmp_path,
                   "def %s:\n    raise ValueError('no start')\n" % hook,
                   ready=None)
    assert server.wait() == code
    assert "ValueError: no start" in server.log()


def test_a_hook_that_fails_later_is_logged(start, tmp_path):
    server = serve(start, tmp_path, """
workers = 1
def pre_fork(server, worker): raise ValueError("in pre_fork")
def child_exit(server, worker): raise ValueError("in child_exit")
""")
    os.kill(server.interpreters()[0].pid, signal.SIGKILL)
    server.wait_log("in child_exit")
    wait_until(server.answers)


def test_worker_abort(start, tmp_path):
    server = serve(start, tmp_path, CONFIG + """
timeout = 1
def worker_abort(worker): note("worker_abort", worker.pid == os.getpid())
""")
    assert server.get("/sleep?s=100").status == 504
    server.traced("worker_abort True")
    wait_until(server.answers)


def test_no_hook_runs_where_only_the_settings_are_checked(tmp_path):
    from test_settings import run
    (tmp_path / "conf.py").write_text(CONFIG)
    trace = tmp_path / "trace"
    code, text = run("--check-config", "-c", tmp_path / "conf.py", "probe:app",
                     env={"PROBE_TRACE": str(trace)})
    assert code == 0, text
    assert not trace.exists() or "post_fork" not in trace.read_text()


def test_on_exit_removes_what_on_starting_made(start, tmp_path):
    """What many configurations do."""
    flag = tmp_path / "flag"
    server = serve(start, tmp_path, """
import pathlib
FLAG = pathlib.Path(%r)
def on_starting(server): FLAG.write_text(str(server.pid))
def on_exit(server): FLAG.unlink()
""" % str(flag))
    assert flag.read_text() == str(server.pid)
    server.signal(signal.SIGINT)
    assert server.wait() == 0
    assert not pathlib.Path(flag).exists()


INTERRUPTS = CONFIG + """
def worker_int(worker): note("worker_int", worker.age, worker.pid == os.getpid())
def pre_exec(server): note("pre_exec", server.pid)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT,
                                    signal.SIGTERM])
@pytest.mark.parametrize("args", [(), ("--threads", "2")])
def test_worker_int(start, tmp_path, number, args):
    """For the master's INT and QUIT, which Gunicorn's passes on."""
    server = serve(start, tmp_path, INTERRUPTS, *args)
    server.signal(number)
    assert server.wait() == 0
    seen = [line.split()[0] for line in server.trace_lines()]
    assert ("worker_int" in seen) == (number != signal.SIGTERM)
    assert seen.index("worker_exit") > (
        seen.index("worker_int") if "worker_int" in seen else 0)


def test_pre_exec(start, tmp_path):
    """In the old master, before the new one starts."""
    pidfile = tmp_path / "pid"
    server = serve(start, tmp_path, INTERRUPTS, "-p", pidfile)
    with ended(pidfile) as spared:
        spared.append(server.pid)
        server.signal(signal.SIGUSR2)
        new = wait_pid(str(pidfile) + ".2")
        server.traced("post_worker_init True")
        wait_until(lambda: server.trace_lines("on_starting")[1:])
        lines = [line.split()[0] for line in server.trace_lines()]
        assert lines.count("pre_exec") == 1
        assert lines.index("pre_exec") < len(lines) - 1 - lines[::-1].index(
            "on_starting")
        assert "pre_exec %d" % server.pid in server.trace_lines("pre_exec")
        os.kill(new, signal.SIGTERM)
        wait_until(lambda: pid_in(str(pidfile) + ".2") == 0)
