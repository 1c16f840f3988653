# SPDX-License-Identifier: MIT
"""--paste: applications of PasteDeploy files, with the real package."""

import os
import signal
import subprocess
import sys

import pytest

from client import wait_until
from server import COMMAND, SANITIZERS, free_port

pytest.importorskip("paste.deploy")
APP = """
def make(text):
    def factory(global_conf, **local_conf):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [("%s %s %s" % (text, local_conf.get("word"),
                                   global_conf.get("city"))).encode()]
        return app
    return factory
first, second = make("first"), make("second")
"""
INI = """
[DEFAULT]
city = Bonn
[app:main]
paste.app_factory = pasted:first
word = %(here)s
[app:other]
paste.app_factory = pasted:second
word = two
"""


@pytest.fixture
def ini(tmp_path):
    (tmp_path / "pasted.py").write_text(APP)
    path = tmp_path / "site.ini"

    def write(more="", text=INI):
        path.write_text(text + more)
        return path

    write()
    return write


def test_the_application_of_the_file(start, ini, tmp_path):
    path = ini()
    server = start(None, "--paste", path, "-w", "1", chdir=tmp_path)
    assert server.get("/").text == "first %s Bonn" % tmp_path


def test_another_one_with_variables(start, ini, tmp_path):
    ini("", INI.replace("city = Bonn\n", ""))
    server = start(None, "--paster", "site.ini#other", "--paste-global",
                   r"city=a\=b", "-w", "1", chdir=tmp_path, cwd=tmp_path)
    assert server.get("/").text == "second two a=b"


@pytest.mark.gcorn
@pytest.mark.parametrize("use, workers", [("egg:gunicorn", 2),
                                          ("egg:gunicorn#main", 2),
                                          ("egg:waitress", 1)])
def test_the_section_of_the_server(start, ini, tmp_path, use, workers):
    """It counts when it is meant for us; the configuration file and the
    command line have the last words."""
    port = free_port()
    path = ini("[server:main]\nuse = %s\nhost = 127.0.0.1\nport = %d\n"
               "workers = 2\nkeepalive = 0\n" % (use, port))
    conf = tmp_path / "conf.py"
    conf.write_text("keepalive = 60\n")
    server = start(None, "--paste", path, "-c", conf, chdir=tmp_path,
                   env={"WEB_CONCURRENCY": "1"})
    wait_until(lambda: len(server.workers()) == workers)
    assert not server.get("/").closes


@pytest.mark.gcorn
def test_it_is_read_again(start, ini, tmp_path):
    server = start(None, "--paste", ini(), "-w", "1", "--preload",
                   chdir=tmp_path)
    ini("", INI.replace("Bonn", "Trier"))
    server.signal(signal.SIGHUP)
    server.wait_log("Reload: done")
    assert server.get("/").text.endswith("Trier")
    (tmp_path / "site.ini").unlink()
    server.signal(signal.SIGHUP)
    server.wait_log("Reload failed")
    assert server.get("/").text.endswith("Trier")


LOGGING = """
[loggers]
keys = root, access
[handlers]
keys = file
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = file
[logger_access]
level = INFO
handlers = file
propagate = 0
qualname = gunicorn.access
[handler_file]
class = FileHandler
args = (%r, "a")
formatter = plain
[formatter_plain]
format = ini: %%(name)s %%(message)s
"""


@pytest.mark.gcorn
def test_its_loggers_log(start, ini, tmp_path):
    log = tmp_path / "from.ini.log"
    server = start(None, "--paste", ini(LOGGING % str(log)), "-w", "1",
                   chdir=tmp_path)
    server.get("/logged")
    wait_until(lambda: log.exists() and "GET /logged" in log.read_text())


def check(tmp_path, *args):
    return subprocess.run(
        [*COMMAND, "--check-config", "--chdir", tmp_path, *args],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
        env={**os.environ, **SANITIZERS, "VIRTUAL_ENV": sys.prefix})


@pytest.mark.parametrize("args, more, says", [
    (("--paste", "none.ini"), "", "none.ini' not found"),
    (("--paste", "site.ini#nothing"), "", "nothing"),
    (("--paste", "site.ini"), "[server:main]\nuse = egg:gunicorn\nworkrs = 1\n",
     "there is no setting 'workrs'"),
    (("--paste", "site.ini"), "[server:main]\nuse = egg:gunicorn\n"
     "workers = many\n", "Invalid value for workers"),
])
@pytest.mark.gcorn
def test_what_is_wrong_is_said(ini, tmp_path, args, more, says):
    ini(more)
    found = check(tmp_path, *args)
    assert found.returncode == 1
    assert says in found.stdout + found.stderr


@pytest.mark.gcorn
def test_without_the_package(ini, tmp_path):
    found = check(tmp_path, "--paste", ini(), "--python",
                  sys._base_executable)
    assert found.returncode == 1
    assert "pip install PasteDeploy" in found.stdout + found.stderr
