# SPDX-License-Identifier: MIT
"""HUP after the configuration file has changed: each setting is applied, or
named as one that is not, and no client notices."""

import signal

import pytest

from client import wait_until
from load import Load

pytestmark = pytest.mark.gcorn


@pytest.fixture
def conf(tmp_path):
    """conf(text) writes the file, whole or not at all."""
    path = tmp_path / "app.conf.py"

    def write(text=""):
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        fresh.replace(path)
        return path

    write()
    return write


@pytest.fixture
def serve(start, conf):
    def go(text, *args, **kind):
        return start("probe:app", "-c", conf(text), *args, **kind)
    return go


def reload(server, how="done"):
    count = server.log().count("Reload")
    server.signal(signal.SIGHUP)
    wait_until(lambda: "Reload%s" % (": done" if how == "done" else " failed")
               in server.log()[nth(server.log(), "Reload", count):],
               what="the end of the reload")


def nth(text, word, count):
    """Where the first `count` of them are over."""
    at = 0
    for _ in range(count):
        at = text.index(word, at) + 1
    return at


def test_what_workers_go_by_changes_while_they_serve(serve, conf):
    server = serve("workers = 2\nkeepalive = 60\n")
    workers = sorted(p.pid for p in server.workers())
    with Load(server) as load, server.connect() as kept:
        assert not kept.request("/").closes
        long = "/?" + "x" * 3000
        assert kept.request(long).status == 200
        conf("workers = 2\nkeepalive = 0\nlimit_request_line = 200\n")
        reload(server)
        assert "settings that changed: " in server.log()
        wait_until(lambda: server.get(long).status == 414)
        # The connection of before is there still, and goes by the new ones.
        assert kept.request("/").closes
        load.more(50)
    load.all_good()
    assert sorted(p.pid for p in server.workers()) == workers


def test_the_number_of_workers_and_threads(serve, conf):
    server = serve("workers = 1\n")
    with Load(server) as load:
        conf("workers = 3\nthreads = 4\n")
        reload(server)
        wait_until(lambda: len(server.workers()) == 3)
        wait_until(lambda: "gcorn-" in server.get("/process").json["thread"])
        load.more(50)
        conf("workers = 2\n")
        reload(server)
        wait_until(lambda: len(server.workers()) == 2)
        load.more(50)
    load.all_good()


def test_ttin_ends_with_a_reload(serve):
    server = serve("workers = 1\n")
    server.signal(signal.SIGTTIN)
    wait_until(lambda: len(server.workers()) == 2)
    reload(server)
    wait_until(lambda: len(server.workers()) == 1)


def test_the_log_moves(serve, conf, tmp_path):
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    server = serve("workers = 1\nerrorlog = %r\n" % str(old))
    server.error_log = new
    conf("workers = 1\nerrorlog = %r\nloglevel = 'debug'\n" % str(new))
    server.signal(signal.SIGHUP)
    wait_until(lambda: new.exists() and "Reload: done" in new.read_text())
    size = len(old.read_text())
    server.get("/errors?text=to-the-new-one")
    server.signal(signal.SIGHUP)
    wait_until(lambda: new.read_text().count("Reload: done") == 2)
    # What the new interpreters say as well.
    assert "Booting worker" in new.read_text()
    assert len(old.read_text()) <= size + 200  # the last words of old ones


def test_what_needs_a_new_master_is_said(serve, conf):
    server = serve("workers = 1\n")
    conf("workers = 1\nsyslog = True\npin = 'off'\nnuma = 'strict'\n"
         "bind = '127.0.0.1:1'\n")
    reload(server)
    for name in "syslog", "pin", "numa":
        assert "Setting %s has changed: that takes effect with USR2" % (
            name) in server.log()
    # The command line has the last word.
    assert "Setting bind has changed" not in server.log()
    assert server.get("/").status == 200


@pytest.mark.parametrize("text, says", [
    ("workers = 2\nthis is no Python\n", "SyntaxError"),
    ("import nothing_of_the_name\n", "nothing_of_the_name"),
    ("workers = 'many'\n", "Invalid value for workers"),
    ("worker_class = 'nothing.of.the.Name'\n", "class uri"),
    ("import os; os._exit(5)\n", "Reload failed"),
    ("import time\ntime.sleep(600)\n",
     "the configuration file did not end in time"),
])
def test_a_broken_file_changes_nothing(serve, conf, text, says):
    server = serve("workers = 2\n", "--boot-timeout", "2")
    with Load(server) as load:
        conf(text)
        reload(server, "failed")
        assert says in server.log()
        load.more(50)
        conf("workers = 2\n")
        reload(server)
        load.more(20)
    load.all_good()
