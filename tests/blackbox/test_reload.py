# SPDX-License-Identifier: MIT
"""HUP, and what the supervision does beside it: code changes while requests
run, and processes are lost that no client ever sees."""

import os
import re
import signal

import pytest

from client import wait_until
from load import FreshLoad, Load

pytestmark = pytest.mark.gcorn

CODE = """
VERSION = %r
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [VERSION.encode()]
"""


@pytest.fixture
def site(tmp_path):
    """site(text) writes the application's file, whole or not at all."""
    def write(text):
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        fresh.replace(tmp_path / "site_.py")

    write(CODE % "one")
    return write


def serve(start, tmp_path, *args):
    return start("site_:app", "-w", "2", *args, chdir=tmp_path)


@pytest.mark.parametrize("args", [(), ("--preload",)])
def test_hup_brings_new_code_and_loses_nothing(start, site, tmp_path, args):
    server = serve(start, tmp_path, *args)
    with Load(server) as load:
        for version in ("two", "three", "four"):
            site(CODE % version)
            server.signal(signal.SIGHUP)
            wait_until(lambda: all(server.get("/").text == version
                                   for _ in range(20)))
        load.more(50)
    load.all_good()
    wait_until(lambda: len(server.interpreters()) == 2)
    # One template: that of the code that serves.
    wait_until(lambda: len(server.hosts()) == 3)


@pytest.mark.parametrize("args", [(), ("--preload",)])
@pytest.mark.parametrize("code", [
    "raise RuntimeError('this release is broken')\n",
    "def nothing_of_the_name(): pass  # this release is broken\n",
    "import os; os._exit(7)  # this release is broken\n",
])
def test_broken_code_changes_nothing(start, site, tmp_path, args, code):
    server = serve(start, tmp_path, *args)
    with Load(server) as load:
        site(code)
        server.signal(signal.SIGHUP)
        server.wait_log("Reload failed")
        load.more(100)
        assert server.get("/").text == "one"
        # And it is not stuck there.
        site(CODE % "mended")
        server.signal(signal.SIGHUP)
        wait_until(lambda: all(server.get("/").text == "mended"
                               for _ in range(20)))
    load.all_good()
    wait_until(lambda: len(server.hosts()) == 3)


HANGS = """
import os, time
open(os.environ["PROBE_TRACE"], "a").write("hangs\\n")
time.sleep(600)  # for a host that does not answer, say
"""
SICK = """
def app(environ, start_response):
    if environ.get("HTTP_USER_AGENT") == "gcorn-warm-up":
        %s
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"well"]
"""


@pytest.mark.parametrize("args", [(), ("--preload",)])
def test_an_import_that_hangs_is_given_up(start, site, tmp_path, args):
    server = serve(start, tmp_path, "--boot-timeout", "2", *args)
    with Load(server) as load:
        site(HANGS)
        server.signal(signal.SIGHUP)
        server.wait_log("Reload failed: .*did not load in time")
        # Where it hangs is said.
        assert re.search(r'File ".*site_.py", line 4', server.log())
        load.more(100)
        assert server.get("/").text == "one"
    load.all_good()
    wait_until(lambda: len(server.hosts()) == 3)


@pytest.mark.parametrize("args", [(), ("--preload",)])
def test_a_first_start_that_hangs_ends_with_3(start, site, tmp_path, args):
    site(HANGS)
    server = start("site_:app", "--boot-timeout", "1", *args, chdir=tmp_path,
                   ready=None)
    assert server.wait() == 3
    assert re.search(r'File ".*site_.py", line 4', server.log())
    assert "Worker failed to boot" in server.log()


@pytest.mark.parametrize("what", [
    'start_response("503 Not Yet", []); return [b""]',
    'raise RuntimeError("cold")',
    'import os; os._exit(9)',
])
def test_a_warm_up_that_fails_changes_nothing(start, site, tmp_path, what):
    server = serve(start, tmp_path, "--warmup-url", "/ready?deep=1")
    with Load(server) as load:
        site(SICK % what)
        server.signal(signal.SIGHUP)
        server.wait_log("Reload failed: the first new worker")
        load.more(100)
        assert server.get("/").text == "one"
        site(SICK % "pass")
        server.signal(signal.SIGHUP)
        server.wait_log("Reload: done")
        assert all(server.get("/").text == "well" for _ in range(20))
    load.all_good()
    if "503" in what:
        assert "GET /ready?deep=1 was answered 503 Not Yet" in server.log()


def test_a_module_that_is_gone_changes_nothing(start, site, tmp_path):
    (tmp_path / "part.py").write_text("")
    site("import part\n" + CODE % "one")
    server = serve(start, tmp_path)
    with Load(server) as load:
        (tmp_path / "part.py").unlink()
        server.signal(signal.SIGHUP)
        server.wait_log("No module named 'part'")
        server.wait_log("Reload failed")
        load.more(100)
    load.all_good()


def test_hup_upon_hup(start, site, tmp_path):
    server = serve(start, tmp_path)
    with Load(server) as load:
        for _ in range(20):
            server.signal(signal.SIGHUP)
        site(CODE % "last")
        server.signal(signal.SIGHUP)
        wait_until(lambda: all(server.get("/").text == "last"
                               for _ in range(20)))
    load.all_good()
    wait_until(lambda: len(server.hosts()) == 3)


def test_a_lost_template_is_replaced(start, site, tmp_path):
    server = serve(start, tmp_path)

    def templates():
        interpreters = {p.pid for p in server.interpreters()}
        return [p.pid for p in server.hosts() if p.pid not in interpreters]

    wait_until(lambda: len(server.interpreters()) == 2)
    with Load(server) as load:
        old = templates()
        assert len(old) == 1
        os.kill(old[0], signal.SIGKILL)
        wait_until(lambda: templates() and templates() != old)
        os.kill(server.interpreters()[0].pid, signal.SIGKILL)
        wait_until(lambda: len(server.interpreters()) == 2)
        load.more(50)
    load.all_good()


def test_term_resets_nobody_who_connects(start, site, tmp_path):
    """Each request on a connection of its own, also while it stops."""
    server = serve(start, tmp_path)
    with FreshLoad(server) as load:
        load.more(100)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    lost = [error for error in load.broken
            if "ConnectionRefused" not in error]
    assert not lost, lost[:5]
    assert set(load.statuses) == {200}
