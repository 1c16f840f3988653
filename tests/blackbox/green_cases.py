# SPDX-License-Identifier: MIT
"""What the classes gevent and eventlet have in common: imported by
test_gevent.py and test_eventlet.py, whose KIND is the class."""

import hashlib
import os
import re
import signal

import pytest

import postgres
from client import wait_until
from server import Server


@pytest.fixture(scope="module")
def kind(request):
    return request.module.KIND


@pytest.fixture(scope="module")
def site(kind, tmp_path_factory):
    """One interpreter."""
    directory = tmp_path_factory.mktemp(kind)
    with Server("green_app:app", "-w", "1", "-k", kind,
                directory=directory) as server:
        yield server


def ask(connection, target, method="GET", extra=b""):
    connection.send(b"%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n"
                    % (method.encode(), target.encode(), extra))


def test_is_patched_before_the_application_is_imported(site, kind):
    who = site.get("/who").json
    assert who["package"] == kind and who["patched"]
    assert who["imported_here"]


def test_environ(site):
    shown = site.get("/environ").json
    assert shown["wsgi.multithread"] is True
    assert shown["wsgi.multiprocess"] is False
    assert shown["wsgi.run_once"] is False
    assert shown["*exact"]


def test_200_requests_sleep_at_once(site):
    connections = [site.connect(timeout=60) for _ in range(200)]
    for connection in connections:
        ask(connection, "/most?s=1")
    answers = [connection.response() for connection in connections]
    assert {answer.status for answer in answers} == {200}
    assert max(answer.json for answer in answers) == 200
    for connection in connections:
        connection.close()


def test_locals_are_a_requests_own(site):
    connections = [site.connect() for _ in range(10)]
    for n, connection in enumerate(connections):
        ask(connection, "/local?t=%d" % n)
    for n, connection in enumerate(connections):
        assert connection.response().json == [None, "%d" % n]
        connection.close()


def test_body(site):
    data = os.urandom(3 << 20)
    answer = site.get("/sha256", "POST", body=data).json
    assert answer["sha256"] == hashlib.sha256(data).hexdigest()



# ---- bodies in and out

def test_streams_in_both_directions_while_others_run(site):
    with site.connect() as slow, site.connect() as other:
        ask(slow, "/both-ways?n=5", "POST",
            b"Transfer-Encoding: chunked\r\n")
        head = None
        for n in range(5):
            slow.send(b"5\r\n%05d\r\n" % n)
            head = head or slow.head()
            assert slow.chunk() == b"%05d" % n
            assert other.request("/").status == 200
        slow.send(b"0\r\n\r\n")
        assert not slow.chunk()
        assert slow.request("/").status == 200


def test_an_upload_that_pauses_holds_nobody_up(site):
    data = os.urandom(1 << 20)
    with site.connect() as slow:
        ask(slow, "/sha256", "POST",
            b"Content-Length: %d\r\n" % len(data))
        slow.send(data[:200000])
        assert site.get("/").status == 200
        slow.send(data[200000:])
        answer = slow.response().json
    assert answer["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_body_waits_for_its_reader(site, go):
    """Nothing but the window is read before the application asks."""
    size = 32 << 20
    with site.connect() as connection:
        ask(connection, "/hold?t=up&file=%s" % go, "POST",
            b"Content-Length: %d\r\n" % size)
        site.traced("hold up")
        connection.sock.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < size:
                sent += connection.sock.send(b"z" * (1 << 20))
        assert site.get("/").status == 200
        go.touch()


@pytest.mark.parametrize("do", [
    "readline,read:3,readline:2,readline,read", "readlines", "iter",
    "next,readlines:5,read"])
def test_lines_of_a_body_that_streams(site, do):
    """The same as of one that is all there."""
    lines = [b"x" * (n * 997 % 70000) + b"\n" for n in range(40)] + [b"end"]
    data = b"".join(lines)
    streamed = site.get("/read?do=" + do, "POST", body=data).json
    with site.connect() as connection:
        ask(connection, "/read?do=" + do, "POST",
            b"Transfer-Encoding: chunked\r\n")
        for start in range(0, len(data), 33333):
            piece = data[start:start + 33333]
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
        assert connection.response().json == streamed
    flat = "".join("".join(answer) for answer in streamed)
    assert flat == data.decode()


def test_a_body_is_asked_for(site):
    data = b"b" * 300000
    with site.connect() as connection:
        ask(connection, "/sha256", "POST",
            b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(data))
        assert connection.line().startswith(b"HTTP/1.1 100")
        assert not connection.line().strip()
        assert site.get("/").status == 200
        connection.send(data)
        assert connection.response().json["size"] == len(data)


def test_another_greenlet_reads_the_body(site):
    data = b"e" * (1 << 20)
    assert site.get("/elsewhere", "POST", body=data).json == len(data)


def test_a_greenlet_that_reads_after_the_end_finds_nothing_more(site):
    with site.connect() as connection:
        ask(connection, "/left-behind", "POST", b"Content-Length: 200000\r\n")
        connection.send(b"x" * 100000)
        assert connection.response().status == 200
    site.traced("left behind")
    assert site.get("/").status == 200


def test_an_application_may_give_up_reading(site):
    with site.connect() as connection:
        ask(connection, "/impatient", "POST", b"Content-Length: 200000\r\n")
        connection.send(b"x" * 100000)
        assert connection.response().json == "gave up"
    assert site.get("/").status == 200


def test_a_body_that_breaks_off(site):
    """The client's fault, also when it is found while the request runs."""
    with site.connect() as connection:
        ask(connection, "/sha256", "POST", b"Transfer-Encoding: chunked\r\n")
        connection.send(b"5\r\nfirst\r\n")
        assert site.get("/").status == 200
        connection.send(b"no number\r\n")
        assert connection.response().status == 400
        connection.ends()


def test_a_reader_that_pauses_holds_nobody_up(site):
    size = 64 << 20
    with site.connect(timeout=60) as slow:
        ask(slow, "/big?size=%d" % size)
        head = slow.head()
        for _ in range(20):
            assert site.get("/").status == 200
        assert head.get("content-length") == str(size)
        assert len(slow.exactly(size)) == size
        assert slow.request("/").status == 200


def test_many_streams(site):
    connections = [site.connect(timeout=60) for _ in range(30)]
    for connection in connections:
        ask(connection, "/pieces?as=generator&n=40&size=20000")
    for connection in connections:
        assert len(connection.response().body) == 40 * 20000
        connection.close()


def test_a_file(site):
    assert len(site.get("/file?size=3000000").body) == 3000000


def test_a_client_that_leaves(site):
    connection = site.connect()
    ask(connection, "/endless?t=left")
    connection.head()
    connection.reset()
    site.traced("close left")
    assert site.get("/").status == 200


def test_exceptions(site):
    assert site.get("/raises").status == 500
    site.wait_log("the application raises on purpose")
    with pytest.raises(AssertionError):
        site.get("/raises-late?cl=1")
    assert site.get("/").status == 200


def test_there_is_no_socket(site):
    with site.connect() as connection:
        ask(connection, "/socket", extra=(
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"))
        assert connection.response().json == {
            "websocket": False, "socket": False, "rfile": False}
    site.wait_log("asks for a WebSocket.*-k asgi")


def test_an_idle_server_sleeps(site):
    """Nobody wakes the interpreter while there is nothing to do."""
    def switches():
        status = site.interpreters()[0].read("status")
        return int(re.search(r"^voluntary_ctxt\S+\s+(\d+)", status,
                             re.M).group(1))

    assert site.get("/").status == 200
    seen = []

    def rests():
        seen.append(switches())
        return len(seen) > 15 and seen[-1] == seen[-15]
    wait_until(rests, 20, "the interpreter to rest")


# ---- lives and deaths

def test_at_most_so_many_at_once(start, kind):
    server = start("green_app:app", "-w", "1", "-k", kind,
                   "--worker-connections", "5")
    connections = [server.connect(timeout=60) for _ in range(12)]
    for connection in connections:
        ask(connection, "/most?s=0.2", extra=b"Connection: close\r\n")
    most = [connection.response().json for connection in connections]
    assert max(most) == 5
    for connection in connections:
        connection.close()


def test_stops(start, kind):
    server = start("green_app:app", "-w", "1", "-k", kind)
    with server.connect() as connection:
        ask(connection, "/sleep?s=0.5&t=stop")
        server.traced("sleep stop")
        server.signal(signal.SIGTERM)
        assert connection.response().status == 200
    assert server.wait() == 0


def test_what_does_not_end_is_killed(start, kind):
    server = start("green_app:app", "-w", "1", "-k", kind,
                   "--graceful-timeout", "2")
    with server.connect() as connection:
        ask(connection, "/unwind")
        server.traced("unwind")
        server.signal(signal.SIGTERM)
        server.traced("unwound")
        with pytest.raises(AssertionError):
            assert connection.response().status == 200
    assert server.wait() == 0
    assert "GreenletExit" not in server.log()


def test_an_interpreter_that_is_killed(start, kind, go):
    server = start("green_app:app", "-w", "1", "-k", kind)
    with server.connect(timeout=60) as connection:
        ask(connection, "/hold?t=kill&file=%s" % go)
        pid = int(server.traced("hold kill")[0].split()[2])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(server.trace_lines("hold kill")) > 1, 30,
                   "another try")
        go.touch()
        assert connection.response().text == "released"


def test_reload(start, kind, go):
    server = start("green_app:app", "-w", "1", "-k", kind)
    with server.connect(timeout=60) as held, \
            server.connect(timeout=60) as kept:
        old = kept.request("/process").json["pid"]
        ask(held, "/hold?t=reload&file=%s" % go)
        server.traced("hold reload")
        server.signal(signal.SIGHUP)
        wait_until(lambda: kept.request("/process").json["pid"] != old, 30,
                   "the new code")
        go.touch()
        assert held.response().text == "released"
        assert kept.request("/").status == 200


def test_another_class_by_reload(start, kind, tmp_path):
    """Threads can read bodies that workers hand over before they are there."""
    conf = tmp_path / "class.conf.py"
    conf.write_text("worker_class = %r\nworkers = 1\n" % kind)
    server = start("probe:app", "-c", conf)
    old = server.get("/process").json
    assert not old["main"]
    conf.write_text("worker_class = 'sync'\nworkers = 1\n")
    server.signal(signal.SIGHUP)
    wait_for_another(server, old["pid"])
    assert server.get("/process").json["main"]
    data = os.urandom(3 << 20)
    answer = server.get("/sha256", "POST", body=data).json
    assert answer["sha256"] == hashlib.sha256(data).hexdigest()


def test_max_requests(start, kind):
    server = start("green_app:app", "-w", "1", "-k", kind,
                   "--max-requests", "20")
    pids = set()
    with server.connect(timeout=60) as connection:
        def others():
            pids.add(connection.request("/process").json["pid"])
            return len(pids) > 2
        wait_until(others, 40, "three interpreters")


def test_a_request_may_take_longer_than_timeout(start, kind):
    server = start("green_app:app", "-w", "1", "-k", kind, "-t", "2")
    pid = server.get("/process").json["pid"]
    answer = server.get("/sleep?s=3.5&t=long")
    assert answer.status == 200 and answer.json["pid"] == pid
    assert "WORKER TIMEOUT" not in server.log()


def wait_for_another(server, pid):
    """The one that takes the place of an interpreter."""
    def answers():
        response = server.get("/process")
        return response.status == 200 and response.json["pid"] != pid
    wait_until(answers, 40, "another interpreter")


def test_a_hub_that_is_blocked(start, kind):
    server = start("green_app:app", "-w", "1", "-k", kind, "-t", "1")
    with server.connect(timeout=60) as connection:
        ask(connection, "/block?s=300")
        pid = int(server.traced("block")[0].split()[1])
        assert connection.response().status == 504
    server.wait_log(r"WORKER TIMEOUT \(pid:%d\) GET /block" % pid)
    wait_for_another(server, pid)


def test_a_hub_that_is_blocked_beside_requests(start, kind):
    """By no request: what the application runs in the background."""
    server = start("green_app:app", "-w", "1", "-k", kind, "-t", "1")
    pid = server.get("/background-block?s=300").json
    server.traced("background")
    with server.connect(timeout=60) as connection:
        assert connection.request("/").status == 504
    server.wait_log(r"WORKER TIMEOUT \(pid:%d\): it takes no requests" % pid)
    wait_for_another(server, pid)


def test_a_hub_that_is_held_up_gets_an_exception(start, kind):
    server = start("green_app:app", "-w", "1", "-k", kind, "-t", "1",
                   "--timeout-soft", "20")
    with server.connect(timeout=60) as held:
        ask(held, "/spin")
        pid = int(server.traced("spin")[0].split()[1])
        assert held.response().status == 504
    assert server.get("/process").json["pid"] == pid


def test_preload(start, kind):
    server = start("green_app:app", "-w", "2", "-k", kind, "--preload")
    who = server.get("/who").json
    assert who["patched"] and not who["imported_here"]
    wait_until(lambda: len(server.pids()) == 2, 40, "two interpreters")
    server.signal(signal.SIGHUP)
    server.wait_log("Booting worker.*Booting worker.*Booting worker")
    assert server.get("/sleep?s=0.1").status == 200


HOOKS = """
import time
requests = []

def pre_request(worker, req):
    time.sleep(0.01)
    requests.append(req.path)
    worker.log.info("before %s", req.path)

def post_request(worker, req, environ, resp):
    time.sleep(0.01)
    worker.log.info("after %s %s", req.path, resp.status_code)
"""


def test_hooks(start, kind, tmp_path):
    conf = tmp_path / "hooks.conf.py"
    conf.write_text(HOOKS)
    server = start("green_app:app", "-w", "1", "-k", kind, "-c", conf)
    connections = [server.connect() for _ in range(5)]
    for n, connection in enumerate(connections):
        ask(connection, "/sleep?s=0.1&t=%d" % n)
    for connection in connections:
        assert connection.response().status == 200
        connection.close()
    wait_until(lambda: server.log().count("after /sleep 200") == 5, 20,
               "the hooks")
    assert server.log().count("before /sleep") == 5


def test_names_of_the_class(kind, tmp_path):
    for n, name in enumerate(NAMES[kind]):
        directory = tmp_path / str(n)
        directory.mkdir()
        with Server("green_app:app", "-w", "1", "-k", name,
                    directory=directory) as server:
            assert server.get("/who").json["package"] == kind


NAMES = {
    "gevent": ["gevent_pywsgi", "egg:gunicorn#gevent",
               "gunicorn.workers.ggevent.GeventWorker"],
    "eventlet": ["gunicorn.workers.geventlet.EventletWorker"],
}


def refused(tmp_path, *args):
    """The log of a server that does not start."""
    server = Server("green_app:app", *args, directory=tmp_path, ready=None)
    with server:
        assert server.wait() == 1
    return server.log()


def test_a_package_that_is_missing(kind, tmp_path):
    (tmp_path / ("%s.py" % kind)).write_text(
        "raise ModuleNotFoundError('no', name=%r)" % kind)
    log = refused(tmp_path, "-k", kind, "--pythonpath", tmp_path)
    assert "pip install %s" % kind in log
    assert "Booting" not in log


def test_an_asgi_application(kind, tmp_path):
    server = Server("asgi_app:app", "-k", kind, directory=tmp_path, ready=None)
    with server:
        assert server.wait() == 4
    assert "use -k asgi" in server.log()


# ---- a database

@pytest.fixture(scope="module")
def database(kind, tmp_path_factory):
    for name in "flask", "psycopg", "psycopg2", "psycogreen":
        pytest.importorskip(name)
    with postgres.cluster() as url:
        if not url:
            pytest.skip("NOT RUN: no PostgreSQL")
        url = url.replace("postgres://", "postgresql://")
        with Server("green_database:app", "-w", "1", "-k", kind,
                    env={"DATABASE_URL": url},
                    directory=tmp_path_factory.mktemp("db")) as server:
            yield server


@pytest.mark.parametrize("driver", [2, 3])
def test_queries_wait_at_once(database, kind, driver):
    if kind == "eventlet" and driver == 3:
        pytest.skip("psycopg 3 knows gevent only")
    connections = [database.connect(timeout=60) for _ in range(20)]
    for connection in connections:
        ask(connection, "/sleep/%d?s=1" % driver)
    answers = [connection.response().json for connection in connections]
    assert {answer["answer"] for answer in answers} == {42}
    assert max(answer["most"] for answer in answers) == 20
    for connection in connections:
        connection.close()


def test_what_is_written_is_read(database):
    text = "note " * 30000
    number = database.get("/notes", "POST", body=text.encode()).json["id"]
    assert database.get("/notes/%d" % number).text == text
