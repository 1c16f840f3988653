# SPDX-License-Identifier: MIT
"""The same command lines, environments and configuration files for Gunicorn
and for gcorn: settings, messages, exit codes, hooks. What differs is in
DIFFERENT and in the rows that say `because`."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

import pytest

from client import wait_until
from server import COMMAND, Server

pytest.importorskip("gunicorn")
pytestmark = pytest.mark.gcorn
GUNICORN = [sys.executable, "-m", "gunicorn"]
CLEAN = {key: value for key, value in os.environ.items()
         if not key.startswith(("GUNICORN", "PYTHON")) and key not in (
             "PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS")}
CLEAN.update({"VIRTUAL_ENV": sys.prefix, "PYTHONDONTWRITEBYTECODE": "1",
              "ASAN_OPTIONS": "detect_leaks=0:handle_segv=0"})

# Settings whose printed values may differ, and why.
DIFFERENT = {
    "default_proc_name": "Gunicorn puts the application's name here",
    "wsgi_app": "gcorn puts the application's name here",
    "control_socket": "each server has its own",
}

APPS = {
    "good.py": """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b""]
application = app
number = 7
def factory(name="x", count=1):
    return app
""",
    "bad.py": "raise ValueError('while importing')\n",
    "wrong.py": "import nothing_like_this\n",
}


def row(*args, conf=None, files=None, env=None, app="good:app", says=None,
        but=None, because=None):
    """says: a pattern in both outputs. but: settings that differ in this row,
    or (Gunicorn's exit code, gcorn's); because: the reason."""
    assert (but is None) == (because is None)
    return dict(args=args, conf=conf, files=files or {}, env=env or {},
                app=app, says=says, but=but, because=because)


PLAN = "unset, the number of workers is that of the machine's plan"
ROWS = {
    # ---- flags
    "nothing": row(but=["workers"], because=PLAN),
    "short": row("-w", "3"),
    "stuck": row("-w3"),
    "equals": row("--workers=3"),
    "two binds": row("-w1", "-b", "127.0.0.1:1", "-b", "unix:/tmp/x"),
    "prefix": row("-w1", "--worker-conn", "5", "--max-requests-j", "3"),
    "exact beats prefix": row("-w1", "--max-requests", "3"),
    "dashes": row("-w1", "--name", "x", "--"),
    "dash as a value": row("-w1", "--access-logfile", "-", "--log-file", "-"),
    "one letter, no value": row("-w1", "-R"),
    "octal": row("-w1", "-m", "022"),
    "octal as Python has it": row("-w1", "-m", "0o22"),
    "decimal mask": row("-w1", "--umask", "18"),
    "hexadecimal mask": row("-w1", "--umask", "0x12"),
    "user and group": row("-w1", "-u", "nobody", "-g", "root"),
    "numbers as user": row("-w1", "--user", "1", "--group", "1"),
    "proxy protocol alone": row("-w1", "--proxy-protocol", "--preload"),
    "proxy protocol": row("-w1", "--proxy-protocol", "v1"),
    "networks": row("-w1", "--forwarded-allow-ips", "10.0.0.0/8, ::1",
                    "--proxy-allow-from", "*"),
    "headers": row("-w1", "--header-map", "refuse", "--forwarder-headers",
                   "A_B,C_D"),
    "limits": row("-w1", "--limit-request-line", "0",
                  "--limit-request-field_size", "10",
                  "--limit-request-fields", "5"),
    "leniency": row("-w1", "--permit-obsolete-folding",
                    "--strip-header-spaces", "--casefold-http-method",
                    "--permit-unconventional-http-method",
                    "--permit-unconventional-http-version"),
    "times": row("-w1", "-t", "0", "--keep-alive", "0", "--graceful-timeout",
                 "1"),
    "logs": row("-w1", "--log-level", "debug", "--access-logformat",
                "%(h)s %(s)s", "--capture-output"),
    "syslog": row("-w1", "--log-syslog-prefix", "x", "--log-syslog-facility",
                  "daemon", "--log-syslog-to", "udp://localhost:1"),
    "statsd": row("-w1", "--statsd-prefix", "a", "--dogstatsd-tags", "b:c"),
    "no control socket": row("-w1", "--no-control-socket"),
    "variables": row("-w1", "-e", "A=1", "--env", "B=2=3"),
    "directories": row("-w1", "--chdir", "sub", "--pythonpath", "/tmp,sub",
                       files={"sub/good.py": APPS["good.py"]}),
    "temporary files": row("-w1", "--worker-tmp-dir", "/dev/shm"),
    "asgi": row("-w1", "--asgi-loop", "asyncio", "--asgi-lifespan", "off",
                "--root-path", "/x"),
    "threads": row("-w1", "--threads", "2", but=["worker_class"],
                   because="shown is what it becomes"),
    "class by name": row("-w1", "-k", "gunicorn.workers.gthread.ThreadWorker",
                         but=["worker_class"],
                         because="shown is what it becomes"),
    "words in a row": row("-w1", "good:app", app="second:app"),
    "words apart": row("good:app", "-w1", app="second:app",
                       says="unrecognized arguments: second:app"),
    # ---- environment
    "PORT": row("-w1", env={"PORT": "5000"}),
    "PORT and bind": row("-w1", "-b", ":1", env={"PORT": "5000"}),
    "WEB_CONCURRENCY": row(env={"WEB_CONCURRENCY": "5"}),
    "WEB_CONCURRENCY and -w": row("-w1", env={"WEB_CONCURRENCY": "5"}),
    "FORWARDED_ALLOW_IPS": row("-w1", env={"FORWARDED_ALLOW_IPS": "*"}),
    "CMD_ARGS": row(env={"GUNICORN_CMD_ARGS": "-w 4 -b :1 --preload"}),
    "CMD_ARGS quoted": row("-w1", env={
        "GUNICORN_CMD_ARGS": "--name 'two words' --access-logformat \"%(h)s\""
        }),
    "CMD_ARGS and flags": row("-w", "2", "-b", ":2", env={
        "GUNICORN_CMD_ARGS": "-w 4 -b :1 -b :3 --timeout 5"}),
    "CMD_ARGS with an application": row("-w1", env={
        "GUNICORN_CMD_ARGS": "--timeout 3 other:app"}),
    # ---- configuration files
    "the default file": row(conf="workers = 2\ntimeout = 3\n"),
    "a named file": row("-c", "named.py", conf="workers = 9",
                        files={"named.py": "workers = 2"}),
    "file:": row("-c", "file:named.py", files={"named.py": "workers = 2"}),
    "python:": row("-c", "python:named", files={"named.py": "workers = 2"}),
    "a file without suffix": row("-c", "named", files={
        "named": "workers = 2"}, says="valid Python extension"),
    "a file named by CMD_ARGS": row(
        env={"GUNICORN_CMD_ARGS": "-c named.py"},
        files={"named.py": "workers = 2"}, conf="workers = 9"),
    "all sources": row(
        "--timeout", "4", conf="workers = 1\nbacklog = 1\ntimeout = 1\n"
        "keepalive = 1\n", env={"WEB_CONCURRENCY": "2", "GUNICORN_CMD_ARGS":
                                "--keep-alive 3 --timeout 3"}),
    "lists are replaced": row("-w1", "-b", ":3", conf="bind = [':1', ':2']\n"
                              "raw_env = 'A=1'\n"),
    "types": row(conf="workers = '0x2'\nthreads = True\npreload_app = 'true'\n"
                 "umask = 0o22\nbind = ':1'\nraw_env = []\npidfile = None\n"
                 "proxy_protocol = True\nuser = 1\nreload_extra_files = ()\n"
                 "loglevel = ' info '\nssl_version = 2\n"),
    "Python": row("-w1", conf="import os, io, multiprocessing as workers_of\n"
                  "from good import app\nTIMEOUT = 3\ntimeout = TIMEOUT * 2\n"
                  "class reload_it: pass\nlogger = object()\n"),
    "objects": row("-w1", conf="""
secure_scheme_headers = {"X-FORWARDED-SSL": "1", "X-FORWARDED-PROTO": "s"}
logconfig_dict = {"version": 1, "a": [1, None, {"b": True}]}
def on_starting(server): pass
def post_request(worker, req, environ): pass
class Hooks:
    def when_ready(self, server): pass
    @staticmethod
    def pre_fork(server, worker): pass
when_ready = Hooks().when_ready
pre_fork = Hooks.pre_fork
child_exit = lambda server, worker: None
on_exit = "gc.is_tracked"
""", but=["post_request"],
                   because="Gunicorn shows a wrapper of its own"),
    "an application in the file": row("-w1", app=None,
                                      conf="wsgi_app = 'good:app'"),
    "a directory in the file": row("-w1", conf="chdir = 'sub'\n", files={
        "sub/good.py": APPS["good.py"]}),
    # ---- what is wrong
    "an unknown flag": row("--nothing", says="unrecognized arguments: "
                           "--nothing"),
    "an ambiguous flag": row("--worker", "1", says="ambiguous option: "
                             "--worker could match --workers, "),
    "no number": row("-w", "x", says="argument -w/--workers: invalid int "
                     "value: 'x'"),
    "no value": row("-w", app=None, says="argument -w/--workers: expected one "
                    "argument"),
    "a value too many": row("--preload=1", says="argument --preload: ignored "
                            "explicit argument '1'"),
    "a negative number": row("--threads", "-1", says="Value must be positive: "
                             "-1"),
    "no application": row("-w1", app=None, says="Error: No application module "
                          "specified"),
    "no such directory": row("-w1", "--chdir", "/nothing",
                             says="can't chdir to '/nothing'"),
    "no such user": row("-w1", "-u", "nobody-here", says="No such user: "
                        "'nobody-here'"),
    "bits behind the prefix": row("-w1", "--proxy-allow-from", "10.0.0.1/8",
                                  says="10.0.0.1/8"),
    "a header map": row("-w1", "--header-map", "x",
                        says="Invalid header map behaviour: x"),
    "PROXY of no version": row("-w1", "--proxy-protocol=v3",
                               says="proxy_protocol must be: off, v1, v2, "
                               "or auto"),
    "no network": row("-w1", "--forwarded-allow-ips", "me",
                      says="'me' does not appear to be an IPv4 or IPv6 "
                      "network"),
    "a parser": row("-w1", "--http-parser", "x", says="http_parser must be "
                    "one of: auto, fast, python"),
    "a loop in the file": row(conf="asgi_loop = 'x'", says="Invalid value for "
                              "asgi_loop: x\n\n\nError: Invalid ASGI loop: x"),
    "a network in the file": row(
        conf="proxy_allow_ips = '10.0.0.1/8'", says="Invalid value for "
        "proxy_allow_ips: 10.0.0.1/8\n\n\nError: 10.0.0.1/8 has host bits set"),
    "None for a word": row(conf="http_protocols = None\nasgi_loop = None\n"
                           "http2_cleartext = None\nworkers = 1\n"),
    "no word": row(conf="header_map = 3", says="Error: Invalid type for "
                   "casting: 3"),
    "reload engine": row("-w1", "--reload-engine", "x",
                         says="Invalid reload_engine: '?x'?"),
    "a file to watch": row("-w1", "--reload-extra-file", "nothing.py",
                           says="File nothing.py does not exists"),
    "HTTP/2 frames": row("-w1", "--http2-max-frame-size", "1",
                         says="http2_max_frame_size must be between"),
    "a port": row("-w1", "-b", "127.0.0.1:80x", but=(0, 1),
                  because="Gunicorn finds it when it binds"),
    "TLS": row("-w1", "--certfile", "x.pem", but=(0, 1),
               because="TLS is not supported"),
    "no file": row("-c", "nothing.py", says="'nothing.py' doesn't exist"),
    "syntax": row(conf="def x(:", says="Failed to read config file: "
                  ".*SyntaxError: "),
    "an exception": row(conf="1 / 0", says="ZeroDivisionError: division by "
                        "zero"),
    "a word for a number": row(conf="workers = 'abc'", says=
                               "Invalid value for workers: abc\n.*Error: "
                               "invalid literal for int\\(\\) with base 0"),
    "a fraction": row(conf="timeout = 1.5", says="Invalid value for timeout: "
                      "1.5\n.*Error: int\\(\\) can't convert non-string"),
    "no boolean": row(conf="preload_app = 'x'", says="Error: Invalid boolean: "
                      "x"),
    "no string": row(conf="pidfile = 3", says="Error: Not a string: 3"),
    "no dictionary": row(conf="secure_scheme_headers = 3",
                         says="Error: Value is not a dictionary: 3"),
    "no function": row(conf="on_exit = 3", says="Error: Value is not "
                       "callable: 3"),
    "arguments of a hook": row(conf="def pre_fork(server): pass",
                               says="Error: Value must have an arity of: 2"),
    "arguments of post_request": row(
        conf="def post_request(worker): pass",
        says="Error: Value must have an arity of: 4"),
    "a hook that is not there": row(conf="on_exit = 'os.nothing'", says=
                                    "Can not load 'nothing' from 'os'"),
    # ---- the application
    "a factory": row("-w1", app="good:factory('y', count=2)"),
    "the default name": row("-w1", app="good"),
    "a dotted name": row("-w1", app="good:app.__call__", but=(1, 0),
                         because="gcorn takes attributes of attributes"),
    "no module": row("-w1", app="nothing:app", says="nothing"),
    "an import that fails": row("-w1", app="wrong:app",
                                says="No module named 'nothing_like_this'"),
    "an exception at import": row("-w1", app="bad:app",
                                  says="ValueError: while importing"),
    "no such name": row("-w1", app="good:nothing", says="nothing"),
    "nothing to call": row("-w1", app="good:number", says="good:number|"
                           "callable"),
}


def files_of(case, folder):
    texts = dict(APPS, **case["files"])
    if case["conf"] is not None:
        texts["gunicorn.conf.py"] = case["conf"]
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def start_both(command, case, folder):
    words = [*command, "--print-config", *case["args"]]
    words += [case["app"]] if case["app"] else []
    return subprocess.Popen(
        words, cwd=folder, env=dict(CLEAN, **case["env"]), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)


def settings_in(text):
    pairs = (line.partition(" = ") for line in text.splitlines()
             if re.match(r"[a-z0-9_]+ += ", line))
    return {name.strip(): value.strip() for name, _, value in pairs}


@pytest.fixture
def folder():
    """Other users can read it: gcorn checks as --user."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        os.chmod(path, 0o755)
        yield pathlib.Path(path)


@pytest.mark.parametrize("name", ROWS)
def test_settings_and_messages(name, folder):
    case = ROWS[name]
    files_of(case, folder)
    both = [start_both(command, case, folder)
            for command in (GUNICORN, COMMAND)]
    said = [process.communicate(timeout=60)[0] for process in both]
    codes = tuple(process.returncode for process in both)
    text = "\n---- gunicorn\n%s\n---- gcorn\n%s" % tuple(said)
    if isinstance(case["but"], tuple):
        assert codes == case["but"], text
        return
    assert codes[0] == codes[1], text
    if case["says"]:
        for output in said:
            assert re.search(case["says"], output, re.S), text
    theirs, ours = map(settings_in, said)
    expected = set(case["but"] or ()) | set(DIFFERENT)
    found = {key: (value, ours.get(key)) for key, value in theirs.items()
             if ours.get(key) != value}
    assert not {key: value for key, value in found.items()
                if key not in expected}
    # What is said to differ does.
    assert all(key in found for key in case["but"] or ())


HOOKS = """
import os
def note(*words):
    with open(os.environ["PROBE_TRACE"], "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")
def on_starting(server): note("on_starting", server.num_workers, server.address)
def when_ready(server): note("when_ready", len(server.WORKERS))
def nworkers_changed(server, new, old): note("nworkers_changed", new, old)
def pre_fork(server, worker): note("pre_fork", worker.age)
def post_fork(server, worker):
    note("post_fork", worker.age, worker.pid == os.getpid(),
         worker.ppid == server.pid, worker.cfg.timeout, server.cfg.keepalive)
def post_worker_init(worker): note("post_worker_init", worker.age)
def pre_request(worker, req):
    note("pre_request", req.method, req.uri, req.path, req.query, req.version,
         req.scheme, req.peer_addr[0], dict(req.headers).get("X-A"))
def post_request(worker, req, environ, resp):
    note("post_request", resp.status, resp.status_code, resp.sent,
         environ["PATH_INFO"])
def worker_exit(server, worker): note("worker_exit", worker.age)
def child_exit(server, worker): note("child_exit", worker.age)
def on_exit(server): note("on_exit")
def on_reload(server): note("on_reload")
"""


def life(command, folder, conf):
    """The trace of hooks: start, a request, HUP, one more worker, TERM."""
    folder.mkdir()
    (folder / "conf.py").write_text(conf)
    with Server("probe:app", "-w", "1", "-c", "conf.py", directory=folder,
                bind="127.0.0.1:0", command=command, ready=None) as server:
        def listening():
            found = re.search(r"Listening at: http://127.0.0.1:(\d+)",
                              server.log())
            return found and int(found[1])

        server.address = ("127.0.0.1", wait_until(listening))
        server.traced("post_worker_init 1")
        server.get("/echo?a=b", headers=[("X-A", "c")])
        server.traced("post_request")
        server.signal(signal.SIGHUP)
        server.traced("child_exit 1")
        server.signal(signal.SIGTTIN)
        server.traced("post_worker_init 3")
        server.signal(signal.SIGTERM)
        code = server.wait()
        lines = [line for line in server.trace_lines()
                 if not line.startswith("import")]
    return code, lines


def test_hooks_in_the_same_order(tmp_path):
    code, theirs = life(GUNICORN, tmp_path / "gunicorn", HOOKS)
    our_code, ours = life(COMMAND, tmp_path / "gcorn", HOOKS)
    assert our_code == code == 0
    # Gunicorn lets the old worker go while the new one starts, gcorn after.
    assert ours.index("post_worker_init 2") < ours.index("worker_exit 1")
    both = []
    for lines in theirs, ours:
        old = [lines.index(line) for line in ("worker_exit 1", "child_exit 1")]
        assert old[0] < old[1]
        both.append([line for i, line in enumerate(lines) if i not in old])
    theirs, ours = both
    # At the end two workers leave in any order.
    end = theirs.index("post_worker_init 3") + 1
    assert ours[:end] == theirs[:end]
    assert sorted(ours[end:-1]) == sorted(theirs[end:-1])
    assert ours[-1] == theirs[-1] == "on_exit"


@pytest.mark.parametrize("app, args", [
    ("bad:app", ()), ("bad:app", ("--preload",)), ("wrong:app", ()),
    ("good:nothing", ()), ("good:number", ()), ("good:factory(1, 2, 3)", ())])
def test_exit_codes_of_what_cannot_start(tmp_path, app, args):
    files_of(row(), tmp_path)
    codes = []
    for command in (GUNICORN, COMMAND):
        done = subprocess.run(
            [*command, "-b", "127.0.0.1:0", "-w1", *args, app], cwd=tmp_path,
            env=CLEAN, timeout=60, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        codes.append(done.returncode)
    if args and codes == [1, 3]:
        return  # preloading, Gunicorn does not say what kind of error it was
    assert codes[0] == codes[1]
