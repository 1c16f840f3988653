# SPDX-License-Identifier: MIT
"""Health paths: answered by the workers, whatever the interpreters do."""

import pytest

from client import wait_until

pytestmark = pytest.mark.gcorn
PATHS = ("--health-path", "/healthz", "--ready-path", "/readyz")


def ready(server):
    return server.get("/readyz")


def test_alive_and_ready(start):
    server = start("probe:app", *PATHS)
    alive = server.get("/healthz")
    assert (alive.status, alive.body) == (200, b"ok\n")
    assert ready(server).status == 200
    assert ready(server).body == b"ready\n"


def test_other_paths_and_methods_are_the_applications(start):
    server = start("probe:app", *PATHS)
    assert server.get("/healthz/").status == 404
    assert server.get("/healthz", method="POST").status == 404
    assert server.get("/?/healthz").status == 200


def test_off_by_default(probe):
    assert probe.get("/healthz").status == 404


def test_head_and_keep_alive(start):
    server = start("probe:app", *PATHS)
    with server.connect() as client:
        head = client.request("/healthz", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert client.request("/healthz").body == b"ok\n"
        assert client.request("/").status == 200
        assert client.request("/readyz").body == b"ready\n"


def test_answers_while_every_interpreter_is_busy(start, go):
    server = start("probe:app", "-w", "2", *PATHS, "--ready-window", "1")
    holders = [server.connect() for _ in range(2)]
    for holder in holders:
        holder.send(b"GET /hold?file=%s HTTP/1.1\r\nHost: x\r\n\r\n"
                    % str(go).encode())
    try:
        answer = wait_until(lambda: ready(server).status == 503 and
                            ready(server), what="not ready")
        assert b"no interpreter has been free" in answer.body
        assert server.get("/healthz").status == 200
    finally:
        go.touch()
    assert all(holder.response().status == 200 for holder in holders)
    assert ready(server).status == 200


def test_not_in_the_access_log_unless_asked(start, tmp_path):
    server = start("probe:app", *PATHS, "--access-logfile",
                   tmp_path / "server0" / "access.log")
    server.get("/healthz")
    server.get("/readyz")
    server.get("/?after")
    wait_until(lambda: any("?after" in line for line in
                           server.access_lines()), what="the line")
    assert not any("healthz" in line or "readyz" in line
                   for line in server.access_lines())


def test_in_the_access_log_if_asked(start, tmp_path):
    server = start("probe:app", *PATHS, "--health-log", "--access-logfile",
                   tmp_path / "server0" / "access.log")
    server.get("/healthz")
    wait_until(lambda: any("/healthz" in line for line in
                           server.access_lines()), what="the line")


@pytest.mark.parametrize("path", ["healthz", "/health z", "/a?b"])
def test_a_path_that_cannot_be(start, path):
    server = start("probe:app", "--health-path", path, ready=None)
    assert server.wait() == 1
    assert "Invalid path" in server.log()
