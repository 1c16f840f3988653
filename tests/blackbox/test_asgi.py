# SPDX-License-Identifier: MIT
"""The class asgi: what ASGI 3 promises, and what gcorn adds."""

import os
import signal

import pytest

import client
from client import wait_until
from load import Load
from server import Server

pytestmark = pytest.mark.gcorn


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def site(request, tmp_path_factory):
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    directory = tmp_path_factory.mktemp("asgi")
    with Server("asgi_app:app", "-w", "1", "--asgi-loop", request.param,
                directory=directory) as server:
        server.loop = request.param
        yield server


def test_an_asgi_application_is_recognised(site):
    assert "using the class asgi" in site.log()
    seen = site.get("/some%20where?a=b").json
    assert seen["loop"] == site.loop
    assert seen["path"] == "/some where"
    assert seen["raw_path"] == "/some%20where"
    assert seen["query"] == "a=b"
    assert seen["state"] == {"from": "lifespan"}
    assert seen["client"][0] == "127.0.0.1"
    assert tuple(seen["server"]) == site.address


def test_field_names_are_lower_case_and_in_order(site):
    seen = site.get("/", headers=[("X-B", "1"), ("X-A", "2"), ("X-B", "3"),
                                  ("Accept", "a/b")]).json["headers"]
    assert [pair for pair in seen if pair[0] in ("x-a", "x-b", "accept")] == [
        ["x-b", "1"], ["x-a", "2"], ["x-b", "3"], ["accept", "a/b"]]


@pytest.mark.parametrize("size", [0, 1, 1500, 60000, 70000, 3 << 20])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies(site, size, chunked):
    data = os.urandom(size)
    with site.connect() as connection:
        for _ in range(2):
            if chunked:
                connection.send(
                    b"POST /echo HTTP/1.1\r\nHost: x\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n" +
                    client.chunked_bytes([data[i:i + 9999] for i in
                                          range(0, size, 9999)]))
                response = connection.response()
            else:
                response = connection.request("/echo", "POST", body=data)
            assert response.status == 200
            assert response.body == data


def test_expect_continue_streams(site):
    data = os.urandom(300000)
    with site.connect() as connection:
        connection.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: "
                        b"100-continue\r\nContent-Length: 300000\r\n\r\n")
        assert connection.line().startswith(b"HTTP/1.1 100")
        assert not connection.line().strip()
        connection.send(data)
        assert connection.response().body == data


def test_streams_in_both_directions_at_once(site):
    with site.connect() as connection:
        connection.send(b"POST /both_ways HTTP/1.1\r\nHost: x\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
        head = None
        for n in range(5):
            piece = b"piece %d" % n
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            head = head or connection.head()
            assert connection.chunk() == piece
        connection.send(b"0\r\n\r\n")
        assert not connection.chunk()
        connection.stays()
        assert connection.request("/").status == 200


def test_a_body_waits_for_its_reader(site, tmp_path):
    """The window is bounded: the peer cannot send all of it."""
    go = tmp_path / "go"
    size = 64 << 20
    with site.connect(timeout=30) as connection:
        connection.send(b"POST /slow_reader?%s HTTP/1.1\r\nHost: x\r\n"
                        b"Content-Length: %d\r\n\r\n"
                        % (str(go).encode(), size))
        connection.sock.settimeout(1)
        sent = 0
        try:
            while sent < size:
                sent += connection.sock.send(b"z" * min(1 << 20, size - sent))
        except TimeoutError:
            pass
        assert sent < size
        go.touch()
        connection.sock.settimeout(30)
        while sent < size:
            sent += connection.sock.send(b"z" * min(1 << 20, size - sent))
        assert connection.response().text == str(size)


@pytest.mark.parametrize("count,size", [(1, 1), (1000, 10), (300, 20000)])
def test_many_pieces(site, count, size):
    response = site.get("/pieces?%d,%d" % (count, size))
    assert len(response.body) == count * size


def test_a_response_waits_for_its_reader_and_learns_that_it_left(site):
    with site.connect(receive_buffer=8192) as connection:
        connection.send(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.exactly(100000)
        connection.reset()
    site.traced("endless: OSError after few")


def test_http_disconnect_comes_at_once(site):
    with site.connect() as connection:
        connection.send(b"GET /until_gone HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.head()
        assert connection.chunk() == b"event\n"
    site.traced("until_gone: http.disconnect")


def test_background_work_does_not_hold_up_the_connection(site, tmp_path):
    go = tmp_path / "go"
    with site.connect() as connection:
        assert connection.request("/background?%s" % go).text == "answered"
        assert connection.request("/").status == 200
        assert not site.trace_lines("background done")
        go.touch()
        site.traced("background done")


def test_exceptions(site):
    response = site.get("/fail_before")
    assert response.status == 500 and "before the response" not in response.text
    site.wait_log("Error handling request .*/fail_before.*ValueError: before")
    with pytest.raises(client.Truncated):
        site.get("/fail_after")
    assert site.get("/silent").status == 500
    site.wait_log("returned without a response")
    assert site.get("/").status == 200


def test_pathsend(site, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(os.urandom(200000))
    assert site.get("/path?%s" % file).body == file.read_bytes()
    response = site.get("/path?%s" % file, method="HEAD")
    assert response.get("content-length") == "200000"
    assert site.get("/path?/nowhere/at/all").status == 500


def test_trailers(site):
    with site.connect() as connection:
        connection.send(b"GET /trailers HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.head().chunked
        assert connection.chunk() == b"data"
        assert connection.line().strip() == b"0"
        assert connection.line().strip() == b"x-checksum: 42"
        assert connection.line().strip() == b""
        assert connection.request("/").status == 200


def test_early_hints(site):
    with site.connect() as connection:
        connection.send(b"GET /hints HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"103 Early Hints" in connection.line()
        assert connection.line().strip() == b"Link: </a.css>; rel=preload"
        connection.line()
        assert connection.response().text == "hinted"


def test_many_at_once_in_one_interpreter(site, tmp_path):
    go = tmp_path / "go"
    held = [site.connect() for _ in range(20)]
    for connection in held:
        connection.send(b"GET /hold?%s HTTP/1.1\r\nHost: x\r\n\r\n"
                        % str(go).encode())
    wait_until(lambda: len(site.trace_lines("held")) >= 20)
    assert site.get("/").status == 200
    go.touch()
    pids = {connection.response().text for connection in held}
    assert len(pids) == 1
    for connection in held:
        connection.close()


@pytest.mark.parametrize("path,text", [
    ("/threaded", "from a thread"), ("/receive_timeout", "timed out")])
def test_awaitables_are_what_asyncio_takes(site, path, text):
    assert site.get(path).text == text


def test_several_tasks_may_send(site):
    assert site.get("/at_once").body == b"y" * 2000000


def test_idle_it_uses_no_cpu(site):
    (interpreter,) = site.interpreters()
    site.get("/")

    def ticks():
        return sum(int(n) for n in interpreter.stat[11:13])

    before = ticks()
    with site.connect() as connection:
        connection.sock.settimeout(1)
        with pytest.raises(TimeoutError):
            connection.sock.recv(1)
    assert ticks() - before <= 2


# ---- start, stop, change


def test_a_failed_start_up_ends_the_boot(start, tmp_path):
    server = Server("asgi_app:app", "-w", "2", directory=tmp_path,
                    env={"LIFESPAN": "fail"})
    server.spawn()
    assert server.wait() == 3
    assert "Application startup failed: no luck" in server.log()
    assert server.log().count("Booting worker") <= 2


@pytest.mark.parametrize("name,kind,why", [
    ("of_two", "asgi", "use -k sync or -k gthread"),
    ("OfOne", "asgi", "guarantee_single_callable()"),
    ("app", "sync", "use -k asgi for it, not sync")])
def test_another_kind_of_application_ends_the_boot(tmp_path, name, kind, why):
    server = Server("asgi_app:" + name, "-k", kind, "-w", "1",
                    directory=tmp_path)
    server.spawn()
    assert server.wait() == 4
    assert why in server.log()


def test_lifespan_auto_takes_applications_without(start):
    server = start("asgi_app:app", "-k", "asgi", "-w", "1",
                   env={"LIFESPAN": "none"})
    assert server.get("/").json["state"] is None


def test_lifespan_on_demands_one(tmp_path):
    server = Server("asgi_app:app", "-w", "1", "--asgi-lifespan", "on",
                    directory=tmp_path, env={"LIFESPAN": "none"})
    server.spawn()
    assert server.wait() == 3
    assert "lifespan is not known here" in server.log()


def test_lifespan_ends_on_stop(tmp_path):
    with Server("asgi_app:app", "-w", "1", directory=tmp_path) as server:
        assert not server.trace_lines("lifespan over")
    assert server.trace_lines("lifespan over")


def test_stopping_waits_for_requests_and_background_tasks(tmp_path):
    go = tmp_path / "go"
    with Server("asgi_app:app", "-w", "1", directory=tmp_path) as server:
        with server.connect() as idle, server.connect() as busy:
            assert idle.request("/background?%s" % go).text == "answered"
            busy.send(b"GET /hold?%s HTTP/1.1\r\nHost: x\r\n\r\n"
                      % str(go).encode())
            server.traced("held")
            server.signal(signal.SIGTERM)
            idle.ends()
            go.touch()
            assert busy.response().status == 200
            assert server.wait() == 0
    assert server.trace_lines("background done")
    assert server.trace_lines("lifespan over")


def test_a_wsgi_application_is_told_its_class(tmp_path):
    server = Server("probe:app", "-k", "asgi", directory=tmp_path)
    server.spawn()
    assert server.wait() == 4
    assert "use -k sync or -k gthread" in server.log()


@pytest.mark.parametrize("name", ["uvicorn.workers.UvicornWorker",
                                  "uvicorn_worker.UvicornWorker"])
def test_names_of_uvicorns_workers(start, name):
    assert start("asgi_app:app", "-k", name).get("/").status == 200


def test_root_path(start):
    server = start("asgi_app:app", "-k", "asgi", "--root-path", "/mounted")
    assert server.get("/x").json["path"] == "/mounted/x"
    assert server.get("/mounted/x").json["path"] == "/mounted/x"
    assert server.get("/x").json["root_path"] == "/mounted"


def test_what_a_trusted_proxy_says(start):
    server = start("asgi_app:app", "-k", "asgi", "--proxy-headers", "auto")
    seen = server.get("/app/x", headers=[
        ("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"),
        ("SCRIPT_NAME", "/app")]).json
    assert seen["client"][0] == "192.0.2.7"
    assert seen["scheme"] == "https"
    assert seen["root_path"] == "/app"
    assert seen["path"] == "/app/x"


@pytest.mark.parametrize("args", [("--max-requests", "40"), ()])
def test_interpreters_are_replaced_and_nobody_sees_it(start, args):
    server = start("asgi_app:app", "-w", "2", *args)
    first = {p.pid for p in server.interpreters()}
    # So many that each of the two workers has some.
    with Load(server, connections=16) as load:
        if not args:
            server.signal(signal.SIGHUP)
        wait_until(lambda: not first &
                   {p.pid for p in server.interpreters()})
        load.more(50)
    load.all_good()


def test_a_killed_interpreter_costs_no_safe_request(start):
    server = start("asgi_app:app", "-w", "1")
    with Load(server) as load:
        os.kill(server.interpreters()[0].pid, signal.SIGKILL)
        load.more(50)
    load.all_good()


def test_a_blocked_loop_is_found_and_a_slow_request_is_not(start, tmp_path):
    server = start("asgi_app:app", "-w", "1", "--timeout", "1")
    go = tmp_path / "go"
    with server.connect() as slow:
        slow.send(b"GET /hold?%s HTTP/1.1\r\nHost: x\r\n\r\n"
                  % str(go).encode())
        server.traced("held")
        slow.sock.settimeout(2.5)
        with pytest.raises(TimeoutError):
            slow.sock.recv(1)
        go.touch()
        slow.sock.settimeout(30)
        assert slow.response().status == 200
    assert server.get("/blocking?60").status == 504
    server.wait_log("WORKER TIMEOUT")
    # The next interpreter may take longer to start than a request may wait.
    wait_until(lambda: server.get("/").status == 200, what="its successor")
    server.expect_reports = True
