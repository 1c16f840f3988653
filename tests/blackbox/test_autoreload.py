# SPDX-License-Identifier: MIT
"""--reload."""

import pytest

from client import wait_until
from load import Load

pytestmark = pytest.mark.gcorn

CODE = """
import part
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [part.TEXT.encode()]
"""


@pytest.fixture
def site(tmp_path):
    def write(name, text):
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        fresh.replace(tmp_path / name)

    write("site_.py", CODE)
    write("part.py", "TEXT = 'one'\n")
    return write


@pytest.mark.parametrize("args", [
    ("--reload-engine", "inotify"), ("--reload-engine", "poll"),
    ("--preload",)], ids=" ".join)
def test_a_change_is_seen(start, site, tmp_path, args):
    server = start("site_:app", "-w", "2", "--reload", *args, chdir=tmp_path)
    with Load(server) as load:
        # Of another size: Python's cache knows a file by that and the second.
        site("part.py", "TEXT = 'second'\n")
        wait_until(lambda: server.get("/").text == "second")
        server.wait_log("part.py modified")
        # What is broken is said, and the old code goes on.
        site("part.py", "TEXT = \n")
        server.wait_log("SyntaxError")
        server.wait_log("Reload failed")
        load.more(50)
        site("part.py", "TEXT = 'three'\n")
        wait_until(lambda: server.get("/").text == "three")
    load.all_good()


def test_other_files_too(start, site, tmp_path):
    pages = tmp_path / "pages" / "deep"
    pages.mkdir(parents=True)
    (pages / "a.html").write_text("a")
    server = start("site_:app", "-w", "1", "--reload", "--reload-extra-file",
                   "pages/**/*.html", chdir=tmp_path, cwd=tmp_path)
    (pages / "b.html").write_text("b")
    server.wait_log("b.html modified")
    server.wait_log("Reload: done")


def test_a_first_start_that_fails_is_shown(start, site, tmp_path):
    site("part.py", "TEXT = undefined_name\n")
    server = start("site_:app", "-w", "1", "--reload", chdir=tmp_path,
                   ready=None)
    wait_until(server_says(server, 500, "undefined_name"))
    site("part.py", "TEXT = 'mended'\n")
    wait_until(server_says(server, 200, "mended"))


def server_says(server, status, text):
    def says():
        try:
            response = server.get("/")
        except OSError:
            return False
        return response.status == status and text in response.text
    return says
