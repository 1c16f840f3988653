# SPDX-License-Identifier: MIT
"""What gcorn and Gunicorn have beside ASGI, in the class asgi: hooks, loggers,
warm-up, timeouts, what becomes of a request whose client has left."""

import signal

import pytest

from client import wait_until
from server import APPS, Server

pytestmark = pytest.mark.gcorn

HOOKS = """
import os
def note(*words):
    with open(os.environ["PROBE_TRACE"], "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")
def post_worker_init(worker): note("post_worker_init", callable(worker.wsgi))
def pre_request(worker, req):
    note("before", req.method, req.path, req.query, req.version,
         dict(req.headers).get("X-A"), worker.nr)
def post_request(worker, req, environ, resp):
    note("after", resp.status, resp.sent, environ["RAW_URI"],
         environ["REMOTE_ADDR"], dict(resp.headers)["content-type"])
def worker_exit(server, worker): note("worker_exit", worker.age)
"""


def serve(start, tmp_path, text, *args, **kind):
    (tmp_path / "conf.py").write_text(text)
    return start("asgi_app:app", "-w", "1", "-c", tmp_path / "conf.py", *args,
                 **kind)


@pytest.mark.parametrize("args", [(), ("--preload", "-k", "asgi")])
def test_hooks(start, tmp_path, args):
    server = serve(start, tmp_path, HOOKS, *args)
    server.traced("post_worker_init True")
    response = server.get("/echo?a=b", "POST", body=b"four",
                          headers=[("X-A", "yes")])
    assert response.body == b"four"
    server.traced("before POST /echo a=b (1, 1) yes")
    server.traced("after 200 OK 4 /echo?a=b 127.0.0.1 text/plain")
    assert server.get("/fail_before").status == 500
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    server.traced("worker_exit 1")
    server.expect_reports = True


def test_a_hook_that_raises_is_a_failed_request(start, tmp_path):
    server = serve(start, tmp_path, """
def pre_request(worker, req):
    if req.path == "/never":
        raise ValueError("not this one")
def post_request(worker, req):
    raise ValueError("nobody is harmed")
""")
    assert server.get("/never").status == 500
    assert server.get("/").status == 200
    server.wait_log("not this one")
    server.wait_log("Exception in post_request hook")


def test_a_logger_class_writes_the_access_log(start, tmp_path):
    server = serve(start, tmp_path, """
from gunicorn.glogging import Logger
accesslog = "-"
access_log_format = '%(m)s %(U)s %(s)s %(B)s "%({x-a}i)s" %({content-type}o)s'
class Mine(Logger):
    def access(self, resp, req, environ, request_time):
        self.info("mine: %s", resp.status)
        super().access(resp, req, environ, request_time)
logger_class = Mine
""")
    server.get("/echo", "POST", body=b"12345", headers=[("X-A", "yes")])
    server.wait_log("mine: 200 OK")
    server.wait_log('POST /echo 200 5 "yes" text/plain')
    assert server.get("/fail_before").status == 500
    server.wait_log("mine: 500 Internal")
    with server.connect() as connection:
        connection.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket"
                        b"\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
                        b"\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                        b"\r\n")
        connection.head()
    server.wait_log(r"mine: (101|403|500|200)")


def test_warm_up(start):
    server = start("asgi_app:app", "-w", "1", "--warmup-url", "/?a=b")
    assert server.trace_lines("asked")[0] == "asked by gcorn-warm-up"
    assert server.get("/").json["state"] == {"from": "lifespan"}


@pytest.mark.parametrize("path,said", [
    ("/broken", "GET /broken was answered 503"),
    ("/fail_before", "GET /fail_before failed"),
    ("/silent", "GET /silent was answered without a response")])
def test_a_warm_up_that_fails_ends_the_boot(tmp_path, path, said):
    server = Server("asgi_app:app", "-w", "1", "--warmup-url", path,
                    directory=tmp_path)
    server.spawn()
    assert server.wait() == 3
    assert said in server.log()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_soft_timeout(start, loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = start("asgi_app:app", "-w", "1", "--asgi-loop", loop,
                   "--timeout", "1", "--timeout-soft", "29")
    pid = server.get("/").json["pid"]
    for _ in range(2):
        assert server.get("/busy").text == "RequestTimeout"
    server.wait_log("WORKER TIMEOUT.*event loop was held up for 1 s.*--timeout-soft")
    assert server.get("/").json["pid"] == pid


def leave(server):
    with server.connect() as connection:
        connection.send(b"GET /stays HTTP/1.1\r\nHost: x\r\n\r\n")
        server.traced("stays")
        connection.reset()


@pytest.mark.parametrize("seconds", ["0", "1"])
def test_who_does_not_notice_that_its_client_left(start, seconds):
    server = start("asgi_app:app", "-w", "1",
                   "--asgi-disconnect-grace-period", seconds)
    leave(server)
    server.traced("cancelled")
    assert server.get("/").status == 200
    assert "Error handling" not in server.log()


def test_uvicorns_workers_do_not_cancel(start):
    server = start("asgi_app:app", "-w", "1",
                   "-k", "uvicorn.workers.UvicornWorker", "--graceful-timeout",
                   "1", "--asgi-disconnect-grace-period", "0")
    leave(server)
    with server.connect() as connection:  # the loop has seen it by then
        for _ in range(20):
            assert connection.request("/").status == 200
    assert not server.trace_lines("cancelled")


def test_the_graceful_timeout_cancels(tmp_path):
    with Server("asgi_app:app", "-w", "1", "--graceful-timeout", "2",
                directory=tmp_path) as server:
        with server.connect() as connection:
            connection.send(b"GET /stays HTTP/1.1\r\nHost: x\r\n\r\n")
            server.traced("stays")
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
    assert server.trace_lines("cancelled")
    assert "/stays: it was cancelled, the graceful timeout is over" \
        in server.log()


def test_informational_responses(start):
    server = start("asgi_app:app", "-w", "1")
    with server.connect() as connection:
        connection.send(b"GET /informs HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.line().startswith(b"HTTP/1.1 102 ")
        assert connection.line().strip() == b"x-step: 1"
        connection.line()
        assert connection.response().text == "informed"
    assert server.get("/informs").status == 200


def test_with_reload_a_first_start_that_fails_is_shown(start, tmp_path):
    module = tmp_path / "broken_site.py"
    module.write_text("import nothing_of_that_name\n")
    server = start("broken_site:app", "-w", "1", "-k", "asgi", "--reload",
                   "--chdir", tmp_path, "--pythonpath", APPS, ready=None)
    wait_until(server.answers)
    response = server.get("/")
    assert response.status == 500
    assert "nothing_of_that_name" in response.text
    module.write_text("from asgi_app import app\n")
    wait_until(lambda: server.get("/").status == 200)


def test_a_traceback_in_a_failed_start_up_is_readable(tmp_path):
    server = Server("asgi_app:app", "-w", "1", directory=tmp_path,
                    env={"LIFESPAN": "traceback"})
    server.spawn()
    assert server.wait() == 3
    log = server.log()
    assert "Application startup failed: Traceback" in log
    assert "\\n" not in log
    assert log.count("no luck at all") == 1
