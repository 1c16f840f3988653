# SPDX-License-Identifier: MIT
"""Access log and error log, as Gunicorn writes them."""

import re
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
