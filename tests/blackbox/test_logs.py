# SPDX-License-Identifier: MIT
"""Access log and error log, as Gunicorn writes them."""

import json
import os
import re
import signal
import threading
import time
import urllib.parse

import pytest

from client import request_bytes, wait_until

LINE = re.compile(
    r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
    r'"(?P<r>.*)" (?P<s>\d{3}) (?P<b>\d+|-) "(?P<f>.*)" "(?P<a>.*)"')


def line_about(server, text):
    def find():
        return [line for line in server.access_lines() if text in line]
    return wait_until(find, what="%r in the access log" % text)[0]


def test_default_format(probe):
    probe.get("/?default-format", headers=[
        ("Referer", "http://from.here/"), ("User-Agent", "tests/1 (x)")])
    match = LINE.fullmatch(line_about(probe, "default-format"))
    assert match
    assert match["r"] == "GET /?default-format HTTP/1.1"
    assert (match["s"], match["b"]) == ("200", "5")
    assert match["f"] == "http://from.here/"
    assert match["a"] == "tests/1 (x)"


def test_missing_fields_are_dashes(probe):
    probe.get("/?no-fields")
    match = LINE.fullmatch(line_about(probe, "no-fields"))
    assert (match["f"], match["a"]) == ("-", "-")


def test_one_line_for_each_request_in_order(probe):
    with probe.connect() as client:
        for i in range(50):
            client.request("/?order-%d-" % i)
    line_about(probe, "order-49-")
    seen = [int(n) for line in probe.access_lines()
            for n in re.findall(r"order-(\d+)-", line)]
    assert seen == list(range(50))


@pytest.mark.parametrize("target, status, size", [
    ("/pieces?as=generator&n=3&size=7&log-a", 200, "21"),
    ("/file?size=12345&log-b", 200, "12345"),
    ("/nowhere?log-c", 404, "0"),
    ("/raises?log-d", 500, None),
    ("/big?size=100000&log-e", 200, "100000"),
])
def test_status_and_bytes(probe, target, status, size):
    probe.get(target)
    match = LINE.fullmatch(line_about(probe, target[-5:]))
    assert match["s"] == str(status)
    if size is not None:
        assert match["b"] == size


@pytest.mark.gcorn
@pytest.mark.parametrize("target", [
    "/big?size=90000000&cut-a", "/file?size=90000000&cl=90000000&cut-b"])
def test_a_response_that_was_cut(probe, target):
    with probe.connect() as client:
        client.send(request_bytes(target))
        client.head()
        client.exactly(1_000_000)
        client.reset()
    match = LINE.fullmatch(line_about(probe, target[-5:]))
    assert match["s"] == "200"
    assert 1_000_000 <= int(match["b"]) < 90_000_000


@pytest.mark.gcorn
def test_a_client_that_left_before_its_answer(probe):
    with probe.connect() as client:
        client.send(request_bytes("/sleep?s=1&left-a"))
        probe.get("/")
        client.reset()
    with probe.connect() as client:
        client.send(request_bytes("/sha256?left-b", "POST", headers=[
            ("Content-Length", "9")]) + b"abc")
        probe.get("/")
        client.reset()
    for text in ("left-a", "left-b"):
        match = LINE.fullmatch(line_about(probe, text))
        assert (match["s"], match["b"]) == ("499", "0")


def test_a_client_cannot_forge_a_line(probe):
    evil = '" 200 1 "-" "-"\\" x'
    probe.get("/?forge", headers=[("User-Agent", evil),
                                  ("Referer", "caf\u00e9 \\ \"")])
    line = line_about(probe, "/?forge")
    assert LINE.fullmatch(line)
    assert re.search(r'(?<!\\)" 200 1 "-"', line) is None


def test_what_the_server_refuses_is_in_the_error_log(probe):
    with probe.connect() as client:
        client.send(b"GET /refused HTTP/9.9\r\n\r\n")
        assert client.response().status in (400, 505)
    probe.wait_log(r"\[WARNING\] Invalid request from ip=127\.0\.0\.1: ")


def test_custom_format(start, tmp_path):
    form = ("%(m)s|%(U)s|%(q)s|%(H)s|%(s)s|%(B)s|%(T)s|%(D)s|%(M)s|%(L)s|"
            "%(p)s|%({x-in}i)s|%({X-Out}o)s|%(h)s|%(u)s|%(nothing)s")
    log = tmp_path / "custom.log"
    server = start("probe:app", "--access-logfile", log,
                   "--access-logformat", form)
    server.access_log = log
    answer = urllib.parse.quote('["201 Made",[["X-Out","out"]],"123"]')
    server.get("/respond?r=" + answer, "PUT",
               headers=[("X-In", "in"), ("Authorization", "Basic dXM6cHc=")])
    fields = line_about(server, "/respond").split("|")
    assert fields[0] == "PUT"
    assert fields[1] == "/respond"
    assert fields[2].startswith("r=%5B")
    assert fields[3:6] == ["HTTP/1.1", "201", "3"]
    assert fields[6].isdigit() and fields[7].isdigit()
    assert fields[8].isdigit()
    assert re.fullmatch(r"\d+\.\d{6}", fields[9])
    assert re.fullmatch(r"<\d+>", fields[10])
    assert fields[11:] == ["in", "out", "127.0.0.1", "us", "-"]


def test_access_log_on_standard_output(start):
    server = start("probe:app", "--access-logfile", "-")
    server.get("/?stdout-line")
    server.wait_log(r'"GET /\?stdout-line HTTP/1.1" 200 5 "-" "-"')


def test_no_access_log_by_default(start):
    server = start("probe:app")
    server.get("/?unlogged")
    time.sleep(0.2)
    assert "unlogged" not in server.log()


ERROR_LINE = (r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] "
              r"\[(DEBUG|INFO|WARNING|ERROR|CRITICAL)\] .")


def test_error_log_format(start, tmp_path):
    log = tmp_path / "e.log"
    server = start("probe:app", "-w", "2", "--error-logfile", log)
    server.get("/")
    lines = log.read_text().splitlines()
    assert lines
    for line in lines:
        assert re.match(ERROR_LINE, line), line
    text = "\n".join(lines)
    assert re.search(r"\[INFO\] Starting g(corn|unicorn) \d", text)
    assert re.search(r"Listening at: .*%d" % server.address[1], text)
    assert "[%d]" % server.pid in text


def test_log_level(start):
    server = start("probe:app", "--log-level", "error")
    server.get("/raises")
    server.wait_log("raises on purpose")
    assert "[INFO]" not in server.log()


def test_stop_is_logged(start):
    server = start("probe:app")
    server.signal(15)
    server.wait()
    assert "Handling signal: term" in server.log()
    assert "Shutting down: Master" in server.log()


@pytest.mark.gcorn
def test_error_log_survives_many_writers(start):
    """Lines of several processes never mix."""
    server = start("probe:app", "-w", "2")
    for i in range(100):
        with server.connect() as client:
            client.send(request_bytes("/errors?t=%s" % (str(i) * 200)))
            client.response()
    for line in re.findall(r"to wsgi.errors: (\d+)", server.log()):
        assert len(line) in (200, 400)


@pytest.mark.gcorn
def test_access_log_as_json(start, tmp_path):
    log = tmp_path / "json.log"
    server = start("probe:app", "-w", "2", "--access-logfile", log,
                   "--access-logformat", "json")
    server.access_log = log
    with server.connect() as client:
        client.request("/?first")
        client.request("/?json", headers=[
            ("User-Agent", 'caf\u00e9 "\\'), ("X-Request-ID", "r-1"),
            ("Authorization", "Basic dXM6cHc=")])
    line = json.loads(line_about(server, "?json"))
    assert line["http"]["request"]["id"] == "r-1"
    assert line["http"]["request"]["method"] == "GET"
    assert line["http"]["response"] == {"status_code": 200,
                                        "body": {"bytes": 5}}
    assert line["url"] == {"original": "/?json", "path": "/", "query": "json"}
    assert line["user"]["name"] == "us"
    assert line["user_agent"]["original"] == 'caf\u00e9 "\\'
    assert line["client"]["ip"] == "127.0.0.1"
    assert line["process"]["pid"] in {p.pid for p in server.interpreters()}
    own = line["gcorn"]
    assert own["connection_requests"] == 2
    assert own["worker"] in (0, 1)
    assert 0 < own["cpu_time"] and 0 < own["application"]
    assert line["event"]["duration"] >= own["queue"] + own["application"]


@pytest.mark.gcorn
def test_own_atoms(start, tmp_path):
    log = tmp_path / "own.log"
    server = start(
        "probe:app", "-w", "1", "--access-logfile", log, "--access-logformat",
        "%(q)s|%(worker)s|%(interpreter)s|%(queue)s|%(app)s|%(cpu_time)s|"
        "%(bytes_in)s|%(request_id)s|%(peer)s|%(connection_requests)s|%(tls)s")
    server.access_log = log
    with server.connect() as client:
        client.request("/?atoms-1")
        client.request("/echo?atoms-2", method="POST", body=b"x" * 1000)
        port = client.sock.getsockname()[1]
    first = line_about(server, "atoms-1").split("|")
    second = line_about(server, "atoms-2").split("|")
    assert first[1] == "0"
    assert int(first[2]) == server.interpreters()[0].pid
    assert all(field.isdigit() for field in first[3:7])
    assert int(second[6]) >= int(first[6]) + 1000
    assert first[7] != second[7]
    assert first[8] == second[8] == "127.0.0.1:%d" % port
    assert (first[9], second[9], first[10]) == ("1", "2", "-")


@pytest.mark.gcorn
def test_error_log_as_json(start, tmp_path):
    log = tmp_path / "e.log"
    server = start("probe:app", "--error-logfile", log, "--log-format", "json")
    server.get("/raises")
    wait_until(lambda: "raises on purpose" in log.read_text(), what="it")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert all(line["log.level"] in ("info", "warning", "error")
               for line in lines)
    assert any(line["message"].startswith("Listening at: ") for line in lines)
    traces = [line["error"]["stack_trace"] for line in lines
              if "error" in line]
    assert any("raises on purpose" in trace for trace in traces)


@pytest.mark.gcorn
def test_lines_in_a_pipe_are_whole(start, tmp_path):
    """Workers share it, and it takes no more than PIPE_BUF at once."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    server = start("probe:app", "-w", "2", "--access-logfile", fifo)
    os.set_blocking(reader, True)
    pieces = []

    def read():
        while piece := os.read(reader, 65536):
            pieces.append(piece)

    thread = threading.Thread(target=read)
    thread.start()
    clients = [server.connect() for _ in range(4)]
    for i in range(200):
        clients[i % 4].request("/?pipe-%d-%s" % (i, "x" * 700))
    for client in clients:
        client.close()
    server.get("/?" + "y" * 3000, headers=[("User-Agent", "z" * 3000)])
    server.stop()
    thread.join(20)
    os.close(reader)
    text = b"".join(pieces)
    lines = text.decode().splitlines()
    seen = [line for line in lines if "?pipe-" in line]
    assert len(seen) == 200
    assert all(LINE.fullmatch(line) for line in seen)
    assert max(map(len, lines)) == 4095


@pytest.mark.gcorn
def test_nobody_reads_the_pipe(start, tmp_path):
    """The server goes on serving; what does not fit is dropped."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    server = start("probe:app", "--access-logfile", fifo)
    with server.connect() as client:
        for i in range(60):
            client.request("/?slow-%d-%s" % (i, "x" * 4000))
    server.wait_log("reads the access log is too slow")
    assert server.get("/").status == 200
    os.close(reader)


@pytest.mark.gcorn
def test_access_log_is_reopened(start, tmp_path):
    log = tmp_path / "access.log"
    server = start("probe:app", "-w", "2", "--access-logfile", log)
    server.get("/?before")
    wait_until(lambda: "?before" in log.read_text(), what="the line")
    log.rename(tmp_path / "rotated.log")
    server.signal(signal.SIGUSR1)
    wait_until(log.exists, what="the new file")
    for _ in range(4):
        server.get("/?after")
    wait_until(lambda: log.read_text().count("?after") == 4, what="lines")


@pytest.mark.gcorn
def test_a_broken_format(start):
    server = start("probe:app", "--access-logfile", "-", "--access-logformat",
                   "%(h", ready=None)
    assert server.wait() == 1
    assert "Invalid access_log_format" in server.log()
