# SPDX-License-Identifier: MIT
"""Requests are balanced, not connections: no request waits for a busy
interpreter while another is idle."""

import pytest

from client import request_bytes, wait_until
from load import Load

pytestmark = pytest.mark.gcorn


def hold(server, name, file):
    """Keeps one interpreter busy; returns the connection that waits."""
    client = server.connect(timeout=60)
    client.send(request_bytes("/hold?t=%s&file=%s" % (name, file)))
    server.traced("hold " + name)
    return client


def test_one_busy_interpreter_holds_nobody_up(start, go):
    server = start("probe:app", "-w", "2")
    held = hold(server, "one", go)
    for _ in range(100):  # connections go to either worker
        assert server.get("/").body == b"hello"
    go.touch()
    assert held.response().body == b"released"


def test_one_idle_interpreter_serves_all_workers(start, go):
    server = start("probe:app", "-w", "4")
    helds = [hold(server, "of4-%d" % i, go) for i in range(3)]
    pids = set()
    for _ in range(60):
        pids.add(server.get("/process").json["pid"])
    assert len(pids) == 1
    go.touch()
    for held in helds:
        assert held.response().body == b"released"


def test_old_connections_too(start, go):
    """Keep-alive connections opened before, on every worker."""
    server = start("probe:app", "-w", "3", "--keep-alive", "60")
    clients = [server.connect() for _ in range(30)]
    for client in clients:
        client.request("/")
    helds = [hold(server, "of3-%d" % i, go) for i in range(2)]
    for _ in range(3):
        for client in clients:
            assert client.request("/").body == b"hello"
    go.touch()
    for held in helds:
        held.response()


def test_the_next_idle_interpreter_takes_what_waits(start, tmp_path):
    """All are busy, requests wait at every worker; one interpreter becomes
    free and must serve them all, wherever they wait."""
    server = start("probe:app", "-w", "3")
    files = [tmp_path / ("go%d" % i) for i in range(3)]
    helds = [hold(server, "all-%d" % i, file)
             for i, file in enumerate(files)]
    waiting = [server.connect() for _ in range(60)]
    for client in waiting:
        client.send(request_bytes("/process"))
    files[1].touch()
    assert helds[1].response().body == b"released"
    pids = {client.response().json["pid"] for client in waiting}
    assert len(pids) == 1
    for file in files:
        file.touch()
    for held in (helds[0], helds[2]):
        assert held.response().body == b"released"


def test_sync_runs_one_at_a_time(start, tmp_path):
    server = start("probe:app", "-w", "1")
    files = [tmp_path / "a", tmp_path / "b"]
    first = hold(server, "first", files[0])
    second = server.connect()
    second.send(request_bytes("/hold?t=second&file=%s" % files[1]))
    other = server.connect()
    other.send(request_bytes("/"))
    assert not server.trace_lines("hold second")
    files[0].touch()
    assert first.response().body == b"released"
    server.traced("hold second")
    files[1].touch()
    assert second.response().body == b"released"
    assert other.response().body == b"hello"


@pytest.mark.parametrize("args", [("--threads", "4"),
                                  ("-k", "gthread", "--threads", "4")])
def test_threads_run_at_once(start, go, args):
    server = start("probe:app", "-w", "1", *args)
    helds = [hold(server, "thread-%d" % i, go) for i in range(4)]
    last = server.connect()
    last.send(request_bytes("/"))
    go.touch()
    for held in helds:
        assert held.response().body == b"released"
    assert last.response().body == b"hello"


def test_threads_of_one_interpreter(start, go):
    """An interpreter with a free thread is idle enough."""
    server = start("probe:app", "-w", "2", "--threads", "2")
    helds = [hold(server, "two-%d" % i, go) for i in range(3)]
    for _ in range(40):
        assert server.get("/").body == b"hello"
    go.touch()
    for held in helds:
        assert held.response().body == b"released"


def test_all_interpreters_take_part(start):
    server = start("probe:app", "-w", "3")
    pids = set()

    def note(response):
        pids.add(response.json["pid"])
        return True

    with Load(server, "/sleep?s=0.005", connections=12, check=note) as load:
        load.more(300)
        wait_until(lambda: len(pids) == 3)
    load.all_good()


def test_one_connection_may_use_any_interpreter(start, go):
    """A single connection: its worker's own interpreter is busy with a
    request of another one, so a neighbour answers."""
    server = start("probe:app", "-w", "2", "--keep-alive", "60")
    with server.connect() as client:
        client.request("/")
        held = hold(server, "neighbour", go)
        busy = int(server.trace_lines("hold neighbour")[0].split()[-1])
        for _ in range(20):
            assert client.request("/process").json["pid"] != busy
        go.touch()
        held.response()
