# SPDX-License-Identifier: MIT
"""Logs that many processes write: long lines, and clients that leave."""

import json
import re

import pytest

from client import request_bytes, wait_until

pytestmark = pytest.mark.gcorn

# One call, one line: longer than a pipe takes at once.
APP = """
import os, sys
from probe import app as probe
def app(environ, start):
    if environ["PATH_INFO"] == "/long":
        mark = environ["QUERY_STRING"]
        for i in range(20):
            environ["wsgi.errors"].write(
                "<%s %d %s>\\n" % (mark, i, mark[0] * 9000))
        environ["PATH_INFO"] = "/"
    return probe(environ, start)
"""


@pytest.mark.parametrize("kind", ["file", "json"])
def test_long_lines_of_many_processes_are_whole(start, tmp_path, kind):
    (tmp_path / "long_.py").write_text(APP)
    log = tmp_path / "error.log"
    server = start("long_:app", "-w", "4", "--pythonpath", tmp_path,
                   "--error-logfile", log, "--access-logfile",
                   tmp_path / "access.log",
                   *(("--log-format", "json", "--access-logformat", "json")
                     if kind == "json" else ()))
    clients = [server.connect() for _ in range(4)]
    for client, mark in zip(clients, "abcd"):
        client.send(request_bytes("/long?%s" % mark))
    for client in clients:
        assert client.response().status == 200
        client.close()
    lines = log.read_text().splitlines()
    for mark in "abcd":
        whole = re.compile("<%s \\d+ %s>" % (mark, mark * 9000))
        assert sum(bool(whole.search(line)) for line in lines) == 20
    if kind == "json":
        assert all(json.loads(line)["message"] is not None for line in lines
                   if line.startswith("{"))


def test_who_leaves_is_in_the_access_log(start, tmp_path, go):
    """Before its response, and in the middle of it."""
    log = tmp_path / "access.log"
    server = start("probe:app", "-w", "2", "--access-logfile", log)
    server.access_log = log
    early = server.connect()
    early.send(request_bytes("/hold?t=early&file=%s" % go))
    server.traced("hold early")
    early.reset()
    late = server.connect(receive_buffer=4096)
    late.send(request_bytes("/endless?t=late"))
    late.head()
    late.reset()
    go.touch()
    wait_until(lambda: sum("t=early" in line or "t=late" in line
                           for line in server.access_lines()) == 2,
               what="both lines")
    lines = {name: next(line for line in server.access_lines()
                        if "t=" + name in line) for name in ("early", "late")}
    # nginx's number for those who wait no longer; what was sent counts.
    assert '" 499 0 "' in lines["early"]
    assert re.search('" 200 [1-9][0-9]+ "', lines["late"])
