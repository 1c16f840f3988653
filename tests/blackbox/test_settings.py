# SPDX-License-Identifier: MIT
"""The command line: flags, environment, binds, what is checked and shown."""

import grp
import os
import pathlib
import pwd
import re
import socket
import stat
import subprocess
import sys

import pytest

from client import Client, wait_until
from server import APPS, COMMAND, SANITIZERS, free_port


def run(*args, env=None, cwd=APPS):
    """The command to its end: (exit code, stdout + stderr)."""
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith("GUNICORN")
                   and key not in ("PORT", "WEB_CONCURRENCY")}
    environment.update(SANITIZERS)
    if sys.prefix != sys.base_prefix:
        environment["VIRTUAL_ENV"] = sys.prefix
    environment.update(env or {})
    done = subprocess.run([*COMMAND, *map(str, args)], env=environment,
                          cwd=cwd, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


# ---- shown and checked

def test_version():
    for flag in ("-v", "--version"):
        code, text = run(flag)
        assert code == 0
        assert re.search(r"g(corn|unicorn).*\d+\.\d+", text)


FLAGS = ["-b", "--bind", "-w", "--workers", "--threads", "-k",
         "--worker-class", "--worker-connections", "--backlog", "-t",
         "--timeout", "--graceful-timeout", "--keep-alive", "--max-requests",
         "--max-requests-jitter", "--preload", "--chdir", "--pythonpath",
         "-p", "--pid", "--access-logfile", "--error-logfile", "--log-level",
         "-u", "--user", "-g", "--group", "-m", "--umask", "-n", "--name",
         "--check-config", "--print-config", "--version", "--help"]


def test_help_tells_all_flags():
    for flag in ("-h", "--help"):
        code, text = run(flag)
        assert code == 0
        missing = [name for name in FLAGS
                   if not re.search(r"(^|[\s,\[])%s\b" % name, text, re.M)]
        assert not missing


@pytest.mark.gcorn
def test_help_tells_our_own_flags():
    _, text = run("--help")
    for name in ("--pin", "--autotune", "--python"):
        assert name in text


def test_check_config():
    assert run("--check-config", "hello:app")[0] == 0
    code, text = run("--check-config", "broken_import:app")
    assert code != 0
    assert "a_module_that_nobody_wrote" in text


def test_print_config():
    code, text = run("--print-config", "-w", "3", "--keep-alive", "7",
                     "-b", "127.0.0.1:9999", "hello:app")
    assert code == 0
    shown = dict(re.findall(r"^(\w+)\s*=\s*(.*)$", text, re.M))
    assert shown["workers"] == "3"
    assert shown["keepalive"] == "7"
    assert shown["bind"] == "['127.0.0.1:9999']"
    assert shown["timeout"] == "30"
    assert shown["backlog"] == "2048"
    assert shown["max_requests"] == "0"
    assert shown["worker_class"] in ("sync", "'sync'")
    assert shown["preload_app"] == "False"


@pytest.mark.parametrize("args", [
    ("--no-such-flag",), ("--workers", "many"), ("--workers", "-1"),
    ("--bind",), ("--timeout", "x"), ("--keep-alive", "-5"),
    ("--pin", "sideways"), ("-k", "no_such_class"),
    ("--bind", "127.0.0.1:99999"), ("--bind", "127.0.0.1:port"),
    ("--chdir", "/no/such/directory"), ("--user", "no-such-user-here"),
    ("--group", "no-such-group-here"), ("--python", "/no/such/python"),
    ("--umask", "abc"), ("--max-requests", "1.5"), ("--log-level",),
])
@pytest.mark.gcorn
def test_bad_values_are_told_with_the_value(args):
    code, text = run(*args, "hello:app") if args[-1] not in (
        "--bind", "--log-level") else run("hello:app", *args)
    assert code in (1, 2), text
    value = args[-1].lstrip("-").rpartition(":")[2]
    assert value in text or args[0] in text
    assert "Traceback" not in text
    assert len(text.splitlines()) < 60


def test_unknown_flag_is_exit_2():
    assert run("--no-such-flag", "hello:app")[0] == 2


def test_no_application_is_exit_1_or_2():
    code, text = run()
    assert code in (1, 2)
    assert re.search("(?i)application|app_module", text)


# ---- where values come from

def config(*args, env=None):
    code, text = run("--print-config", *args, "hello:app", env=env)
    assert code == 0, text
    return dict(re.findall(r"^(\w+)\s*=\s*(.*)$", text, re.M))


def test_environment():
    assert config(env={"WEB_CONCURRENCY": "3"})["workers"] == "3"
    assert config("-w", "2", env={"WEB_CONCURRENCY": "3"})["workers"] == "2"
    assert config(env={"PORT": "1234"})["bind"] == "['0.0.0.0:1234']"
    shown = config("-w", "5", env={
        "GUNICORN_CMD_ARGS": "-w 4 --keep-alive 9 --name 'a b'"})
    assert shown["workers"] == "5"
    assert shown["keepalive"] == "9"
    assert shown["proc_name"] in ("'a b'", "a b")


def test_abbreviations_and_equals():
    assert config("--worker-conn", "5")["worker_connections"] == "5"
    assert config("--workers=6")["workers"] == "6"
    assert config("-w7")["workers"] == "7"
    assert config("--keep-alive=3")["keepalive"] == "3"


def test_ambiguous_abbreviation_is_refused():
    code, text = run("--worker", "5", "hello:app")
    assert code == 2
    assert "--worker" in text


# ---- binds

def test_several_binds(start, tmp_path):
    second = free_port()
    path = tmp_path / "sock"
    server = start("hello:app", "-b", "127.0.0.1:%d" % second,
                   "-b", "unix:%s" % path)
    for address in (server.address, ("127.0.0.1", second), str(path)):
        with Client(address) as client:
            assert client.request("/").status == 200


def test_unix_socket_mode_and_end(start, tmp_path):
    path = tmp_path / "sock"
    server = start("hello:app", "--umask", "077", bind="unix:%s" % path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    server.stop()
    assert not path.exists()


def test_unix_socket_is_open_to_all_by_default(start, tmp_path):
    path = tmp_path / "sock"
    start("hello:app", bind="unix:%s" % path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o777


def test_stale_unix_socket_is_replaced(start, tmp_path):
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    server = start("hello:app", bind="unix:%s" % path)
    assert server.get("/").status == 200


@pytest.mark.gcorn
def test_a_file_in_the_place_of_the_socket_is_kept(start, tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    server = start("hello:app", bind="unix:%s" % path, ready=None)
    assert server.wait() == 1
    assert path.read_text() == "data"


def test_inherited_descriptor(start):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        server = start("probe:app", bind="fd://%d" % sock.fileno(),
                       pass_fds=(sock.fileno(),), ready=None)
        server.address = sock.getsockname()
        assert server.get("/").status == 200
        seen = server.get("/environ").json
        assert seen["SERVER_PORT"] == str(server.address[1])


def test_ipv6(start):
    server = start("hello:app", bind="[::1]:%d" % free_port("::1"))
    assert server.get("/").status == 200


def test_port_alone_and_names(start):
    port = free_port()
    server = start("hello:app", bind="localhost:%d" % port)
    assert server.get("/").status == 200


def test_autotune_shows_the_plan(start):
    if not COMMAND[0].endswith("gcorn"):
        pytest.skip("ours alone")
    server = start("hello:app", "--autotune")
    assert re.search(r"(?i)worker", server.log())
    assert server.get("/").status == 200


# ---- files and names

def test_pidfile(start, tmp_path):
    path = tmp_path / "pid"
    server = start("hello:app", "-p", path)
    assert path.read_text() == "%d\n" % server.pid
    server.stop()
    assert not path.exists()


def test_pidfile_of_the_living(start, tmp_path):
    path = tmp_path / "pid"
    first = start("hello:app", "-p", path)
    second = start("hello:app", "-p", path, ready=None)
    assert second.wait() == 1
    assert str(first.pid) in second.log()
    assert path.read_text() == "%d\n" % first.pid
    assert first.get("/").status == 200


def test_pidfile_of_the_dead(start, tmp_path):
    path = tmp_path / "pid"
    path.write_text("4194303\n")
    server = start("hello:app", "-p", path)
    assert path.read_text() == "%d\n" % server.pid


@pytest.mark.gcorn
def test_titles(start):
    server = start("hello:app", "-w", "2", "--name", "a-name")
    # One that is just being forked, or is gone, has none.
    titles = [t for t in (p.title for p in server.processes()) if t]
    assert sum("master" in title for title in titles) == 1
    assert sum("worker" in title for title in titles) >= 2
    assert all("a-name" in title for title in titles), titles


# ---- the application

def test_chdir_and_path(start, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "here.py").write_text(
        "import os\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [os.getcwd().encode()]\n")
    server = start("here:app", chdir=tmp_path / "elsewhere")
    assert server.get("/").text == str(tmp_path / "elsewhere")


def test_current_directory_is_on_the_path(start):
    server = start("hello:app", chdir=None, cwd=APPS)
    assert server.get("/").status == 200


def test_pythonpath(start, tmp_path):
    server = start("hello:app", "--pythonpath", "/nowhere,%s" % APPS,
                   chdir=tmp_path)
    assert server.get("/").status == 200


def test_default_name_is_application(start):
    assert start("hello").get("/").body == b"Hello, world!"


@pytest.mark.parametrize("app, body", [
    ("factories:create_app()", "default|()|1|None"),
    ("factories:create_app('x')", "x|()|1|None"),
    ("factories:create_app('x', 2, times=3)", "x|(2,)|3|None"),
    ("factories:create_app(options={'a': [1, None]})",
     "default|()|1|{'a': [1, None]}"),
])
def test_factories(start, app, body):
    assert start(app).get("/").text == body


@pytest.mark.gcorn
def test_dotted_attribute(start):
    server = start("factories:holder.app")
    assert server.get("/").text == "nested"


def test_preload(start):
    server = start("probe:app", "-w", "2", "--preload")
    assert len(server.pids()) == 2


@pytest.mark.gcorn
def test_python_of_a_virtual_environment(start, tmp_path):
    made = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made],
                   check=True)
    site = next((made / "lib").glob("python3*/site-packages"))
    (site / "only_here.py").write_text("WHERE = 'venv'\n")
    (tmp_path / "needs.py").write_text("import only_here\n"
                                       "from probe import app\n")
    server = start("needs:app", "--python", made / "bin" / "python3",
                   "--pythonpath", APPS, chdir=tmp_path,
                   env={"VIRTUAL_ENV": None})
    assert server.get("/process").json["prefix"] == str(made)


@pytest.mark.gcorn
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_other_pythons(start, tmp_path, version):
    found = [pathlib.Path("/usr/bin/python" + version)]
    found += sorted(pathlib.Path.home().glob(
        ".pyenv/versions/%s.*/bin/python%s" % (version, version)))
    found = [path for path in found if path.exists()]
    hosts = list(pathlib.Path(COMMAND[0]).parents[1].rglob(
        "gcorn-python" + version))
    if not found or not hosts:
        pytest.skip("no python%s, or no host for it" % version)
    server = start("probe:app", "--python", found[0],
                   env={"VIRTUAL_ENV": None})
    seen = server.get("/process").json
    assert "%d.%d" % tuple(seen["version"][:2]) == version


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change user")
def test_user_and_group(start, tmp_path):
    tmp_path.chmod(0o755)
    server = start("probe:app", "--user", "nobody", "--group", "nogroup")
    seen = server.get("/process").json
    assert seen["uid"] == pwd.getpwnam("nobody").pw_uid
    assert seen["gid"] == grp.getgrnam("nogroup").gr_gid


@pytest.mark.parametrize("args", [(), ("--umask", "0")])
def test_umask_is_not_the_applications(start, args):
    """As in Gunicorn it is about what the server makes: its default of 0
    must not make an application's files writable for all."""
    inherited = os.umask(0)
    os.umask(inherited)
    server = start("probe:app", *args)
    assert server.get("/process").json["umask"] == inherited


@pytest.mark.gcorn
def test_the_application_inherits_no_descriptors_of_ours(start):
    """What an application passes to its own children is its business: all
    of gcorn's descriptors are close-on-exec."""
    server = start("spawner:app")
    assert server.get("/").json == ["0", "1", "2"]


@pytest.mark.gcorn
def test_pin_off_leaves_the_affinity_alone(start):
    server = start("probe:app", "-w", "2", "--pin", "off")
    for _ in range(10):
        assert server.get("/process").json["affinity"] == sorted(
            os.sched_getaffinity(0))


@pytest.mark.gcorn
def test_pin_on_gives_each_pair_its_core(start):
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("one CPU")
    server = start("probe:app", "-w", "2", "--pin", "on")
    seen = {}

    def both_seen():  # the second may still be loading
        one = server.get("/process").json
        seen[one["pid"]] = set(one["affinity"])
        return len(seen) == 2

    wait_until(both_seen, what="an answer of each interpreter")
    first, second = seen.values()
    assert not first & second
    masks = [frozenset(os.sched_getaffinity(p.pid))
             for p in server.workers()]
    assert len(set(masks)) == 2
