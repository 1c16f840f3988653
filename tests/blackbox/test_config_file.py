# SPDX-License-Identifier: MIT
"""The configuration file: which one, what it may say, and what goes wrong."""

import signal

import pytest

from client import wait_until
from server import free_port
from test_settings import run

APP = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ.get("GREETING", "none").encode()]
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "greet.py").write_text(APP)
    return tmp_path


def write(site, text, name="gunicorn.conf.py"):
    (site / name).write_text(text)
    return name


def printed(site, *args, env=None):
    """What --print-config says: name -> text."""
    code, text = run("--print-config", *args, "greet:app", cwd=site, env=env)
    assert code == 0, text
    pairs = (line.partition(" = ") for line in text.splitlines()
             if " = " in line)
    return {name.strip(): value for name, _, value in pairs}


def test_the_default_file_is_the_one_that_is_there(site):
    assert printed(site)["timeout"] == "30"
    write(site, "timeout = 7")
    assert printed(site)["timeout"] == "7"


def test_which_file(site):
    write(site, "timeout = 1")
    write(site, "timeout = 2", "two.py")
    write(site, "timeout = 3", "three.py")
    env = {"GUNICORN_CMD_ARGS": "-c three.py"}
    assert printed(site, "-c", "two.py")["timeout"] == "2"
    assert printed(site, env=env)["timeout"] == "3"
    assert printed(site, "-c", "two.py", env=env)["timeout"] == "2"
    assert printed(site, "-c", "file:two.py")["timeout"] == "2"
    assert printed(site, "-c", "python:two")["timeout"] == "2"


def test_who_wins(site):
    write(site, "timeout = 1\ngraceful_timeout = 1\nkeepalive = 1\n"
                "bind = ['127.0.0.1:1', '127.0.0.1:2']\nworkers = 1\n")
    values = printed(site, "--graceful-timeout", "2",
                     env={"GUNICORN_CMD_ARGS": "--keep-alive 3 "
                                               "--graceful-timeout 3",
                          "WEB_CONCURRENCY": "4", "PORT": "5"})
    assert values["timeout"] == "1"
    assert values["graceful_timeout"] == "2"
    assert values["keepalive"] == "3"
    assert values["workers"] == "1"
    assert values["bind"] == "['127.0.0.1:1', '127.0.0.1:2']"


def test_it_is_python(site):
    write(site, """
import io, os, sys
import multiprocessing
from greet import app as ignored
wsgi_app = "greet:app"
threads = 2 + 1
bind = "127.0.0.1:0"
pidfile = None
raw_env = []
unknown = object()
reload = "false"
proxy_protocol = True
secure_scheme_headers = {"x-forwarded-proto": "tls"}
logconfig_dict = {"version": 1, "nested": {"a": [1]}}
def when_ready(server):
    pass
class Hook:
    def __call__(self, server):
        pass
on_exit = Hook()
""")
    values = printed(site)
    assert values["threads"] == "3"
    assert values["bind"] == "['127.0.0.1:0']"
    assert values["pidfile"] == "None"
    assert values["proxy_protocol"] == "auto"
    assert values["secure_scheme_headers"] == "{'x-forwarded-proto': 'tls'}"
    assert values["logconfig_dict"] == "{'version': 1, 'nested': {'a': [1]}}"
    assert values["when_ready"] == "<when_ready()>"
    assert values["worker_class"] == "gthread"


@pytest.mark.parametrize("text, message", [
    ("workers = 'abc'", "Invalid value for workers: abc"),
    ("workers = -1", "Value must be positive: -1"),
    ("workers = None", "Invalid value for workers: None"),
    ("timeout = 3.5", "Invalid value for timeout: 3.5"),
    ("pidfile = 3", "Not a string: 3"),
    ("preload_app = 'maybe'", "Invalid boolean: maybe"),
    ("preload_app = 2", "Invalid type for casting: 2"),
    ("secure_scheme_headers = []", "Value is not a dictionary: []"),
    ("secure_scheme_headers = {'X-SCHEME': 'https'}",
     "let the proxy set one of these"),
    ("on_starting = 3", "Value is not callable: 3"),
    ("def on_starting(): pass", "Value must have an arity of: 1"),
    ("def post_request(a): pass", "Value must have an arity of: 4"),
    ("on_exit = 'nothing.here'", "No module named 'nothing'"),
    ("on_exit = 'os.nothing'", "Can not load 'nothing' from 'os'"),
    ("header_map = 'x'", "Invalid value for header_map: x"),
    ("certfile = 'x.pem'", "certfile: TLS is not supported yet"),
    ("1 / 0", "Failed to read config file: "),
    ("def x(:", "SyntaxError"),
    ("import sys; sys.exit(7)", "SystemExit: 7"),
])
def test_what_is_wrong_is_said(site, text, message):
    write(site, text)
    code, said = run("greet:app", cwd=site)
    assert code == 1
    assert message in said
    assert "Listening" not in said


def test_a_file_that_is_not_there(site):
    for name in ("nothing.py", "file:nothing.py"):
        code, said = run("-c", name, "greet:app", cwd=site)
        assert code == 1
        assert "Error: 'nothing.py' doesn't exist" in said
    code, said = run("-c", "python:nothing", "greet:app", cwd=site)
    assert code == 1
    assert "No module named 'nothing'" in said


def test_no_application(site):
    code, said = run(cwd=site)
    assert code == 1
    assert "Error: No application module specified." in said


def test_what_proxies_say_is_set(start, site):
    (site / "scheme.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [environ['wsgi.url_scheme'].encode()]\n")
    write(site, "secure_scheme_headers = {'X-FORWARDED-PROTO': 'tls'}\n"
                "workers = 1\n")
    server = start("scheme:app", cwd=site, chdir=None)

    def scheme(name, value):
        return server.get("/", headers=[(name, value)]).text

    assert scheme("X-Forwarded-Proto", "tls") == "https"
    assert scheme("X-Forwarded-Proto", "https") == "http"
    assert scheme("X-Forwarded-Ssl", "on") == "http"


def test_it_serves_as_the_file_says(start, site):
    port = free_port()
    write(site, "bind = '127.0.0.1:%d'\nraw_env = ['GREETING=hello']\n"
                "wsgi_app = 'greet:app'\nworkers = 1\n"
                "kept = open('/dev/null')\n" % port)
    server = start(None, bind="none", cwd=site, chdir=None, ready=None)
    server.address = ("127.0.0.1", port)
    wait_until(server.answers)
    assert server.get("/").text == "hello"


@pytest.mark.parametrize("args", [(), ("--preload",)])
def test_hup_reads_it_again(start, site, args):
    write(site, "raw_env = ['GREETING=one']\nworkers = 1\n")
    server = start("greet:app", *args, cwd=site, chdir=None)
    assert server.get("/").text == "one"
    write(site, "raw_env = ['GREETING=two']\nworkers = 1\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.get("/").text == "two")


@pytest.mark.parametrize("text", ["def x(:", "workers = 'abc'", "1 / 0",
                                  "certfile = 'x.pem'", "umask = -1"])
def test_hup_with_a_broken_file_changes_nothing(start, site, text):
    write(site, "raw_env = ['GREETING=one']\nworkers = 1\n")
    server = start("greet:app", cwd=site, chdir=None)
    write(site, text)
    server.signal(signal.SIGHUP)
    server.wait_log("Reload failed")
    assert server.get("/").text == "one"
    write(site, "raw_env = ['GREETING=mended']\nworkers = 1\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.get("/").text == "mended")


def test_term_while_it_hangs(site):
    import os
    import subprocess
    from server import COMMAND, SANITIZERS
    write(site, "print('here', flush=True)\nimport time\ntime.sleep(1000)\n")
    process = subprocess.Popen([*COMMAND, "greet:app"], cwd=site,
                               env=dict(os.environ, **SANITIZERS),
                               stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
