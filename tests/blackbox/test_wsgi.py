# SPDX-License-Identifier: MIT
"""PEP 3333, point by point: start_response, write, iterables, close, input."""

import urllib.parse

import pytest

from client import Closed, Truncated, chunked_bytes, wait_until


# ---- start_response and what is yielded

def test_iterables(probe):
    for kind in ("list", "tuple", "generator", "iter"):
        response = probe.get("/pieces?as=%s&n=3&size=4" % kind)
        assert response.body == b"aaaabbbbcccc", kind


def test_a_yielded_piece_is_sent_before_the_next_is_asked_for(probe, go):
    with probe.connect() as client:
        client.send(b"GET /lazy?file=%s HTTP/1.1\r\nHost: a\r\n\r\n"
                    % str(go).encode())
        assert client.head().chunked
        assert client.chunk() == b"one"
        go.touch()
        assert client.chunk() == b"two"
        assert client.chunk() == b""


def test_a_written_piece_is_sent_at_once(probe, go):
    with probe.connect() as client:
        client.send(b"GET /write-live?file=%s HTTP/1.1\r\nHost: a\r\n\r\n"
                    % str(go).encode())
        assert client.head().chunked
        assert client.chunk() == b"one"
        go.touch()
        assert client.chunk() == b"two"


def test_start_response_in_the_first_next(probe):
    response = probe.get("/late-start")
    assert (response.status, response.body) == (202, b"started late")


def test_empty_strings_do_not_send_the_head(probe):
    response = probe.get("/empty-first")
    assert (response.status, response.body) == (418, b"teapot")


def test_write_comes_before_what_is_returned(probe):
    assert probe.get("/write").body == b"written before returned"


def test_exc_info_before_the_head_replaces_it(probe):
    response = probe.get("/exc-before")
    assert response.status == 503
    assert response.body == b"replaced"
    assert response.get("x-first") is None


def test_exc_info_after_the_head_raises(probe):
    with pytest.raises(Truncated) as caught:
        probe.get("/exc-after")
    assert caught.value.body == b"sent"
    probe.traced("reraised after the head is sent")
    assert not probe.trace_lines("not reraised")


@pytest.mark.parametrize("path", ["/twice", "/never", "/raises"])
def test_misuse_is_a_500(probe, path):
    response = probe.get(path)
    assert response.status == 500
    assert b"Traceback" not in response.body
    assert probe.get("/").status == 200


def test_traceback_goes_to_the_log(probe):
    probe.get("/raises")
    probe.wait_log(r"Traceback \(most recent call last\):.*"
                   r"in raises.*RuntimeError: the application raises on")


def test_application_that_is_a_class(start):
    assert start("factories:ClassApp").get("/").body == b"class"


@pytest.mark.parametrize("query", ["", "?cl=1"])
def test_exception_in_the_middle_truncates(probe, query):
    with pytest.raises(Truncated) as caught:
        probe.get("/raises-late" + query)
    assert caught.value.body == b"x" * 10
    probe.wait_log("raised in the middle on purpose")
    assert probe.get("/").status == 200


def test_system_exit_does_not_lose_the_server(probe):
    try:
        assert probe.get("/system-exit").status >= 500
    except Closed:
        pass
    assert wait_until(lambda: probe.get("/").status == 200)


def test_keyboard_interrupt_is_only_an_exception(probe):
    try:
        assert probe.get("/keyboard-interrupt").status >= 500
    except Closed:
        pass
    assert wait_until(lambda: probe.get("/").status == 200)


@pytest.mark.parametrize("what", ["str", "none", "int", "nothing", "number"])
def test_pieces_must_be_bytes(probe, what):
    """Nothing was sent yet, so the client gets a 500."""
    try:
        assert probe.get("/bad-piece?what=" + what).status == 500
    except (Truncated, Closed):
        pytest.fail("the head was sent before the piece was looked at")
    assert probe.get("/").status == 200


WRONG_HEADS = [
    "status-bytes", "status-int", "status-none", "headers-none",
    "name-bytes", "value-bytes", "value-int", "value-none", "value-newline",
    "value-lf", "value-nul", "value-wide", "name-space", "name-colon",
    "name-empty", "name-newline", "status-newline", "pair-three",
]


@pytest.mark.parametrize("what", WRONG_HEADS)
def test_wrong_heads_are_refused(probe, what):
    response = probe.get("/header-kinds?what=" + what)
    assert response.status == 500
    assert response.get("x-evil") is None
    assert response.body != b"accepted"


# ---- close()

def closes(server, name):
    return len(server.trace_lines("close " + name))


def test_close_after_the_last_piece(probe):
    assert probe.get("/closing?t=normal&n=2").body == b"cccccccccc"
    probe.traced("close normal")
    assert closes(probe, "normal") == 1


@pytest.mark.parametrize("status, method", [
    ("200 OK", "HEAD"), ("204 No Content", "GET"),
    ("304 Not Modified", "GET")])
def test_close_when_there_is_no_body(probe, status, method):
    name = "nobody-%s-%s" % (status[:3], method)
    response = probe.get("/closing?" + urllib.parse.urlencode(
        {"t": name, "status": status}), method)
    assert response.body == b""
    probe.traced("close " + name)
    assert closes(probe, name) == 1


def test_close_after_an_exception(probe):
    with pytest.raises(Truncated):
        probe.get("/raises-late?t=late-close")
    probe.traced("close late-close")
    assert closes(probe, "late-close") == 1


def test_close_when_the_client_leaves(probe):
    """The application is told by the end of its loop, not by a timeout."""
    with probe.connect(receive_buffer=4096) as client:
        client.send(b"GET /endless?t=left HTTP/1.1\r\nHost: a\r\n\r\n")
        client.head()
        client.exactly(100)
        client.reset()
    probe.traced("close left", 20)
    assert closes(probe, "left") == 1
    assert probe.get("/").status == 200


def test_file_wrapper_closes_its_file(probe):
    response = probe.get("/file?kind=traced&t=wrapped&size=100000")
    assert len(response.body) == 100000
    probe.traced("close wrapped")
    assert closes(probe, "wrapped") == 1


# ---- wsgi.input

BODY = b"line one\nline two\n\nlast, without an end"


@pytest.mark.parametrize("do, answers", [
    ("read", [BODY.decode()]),
    ("read,read,read", [BODY.decode(), "", ""]),
    ("read:4,read:4,read:0,read", ["line", " one", "",
                                   BODY[8:].decode()]),
    ("read:-1", [BODY.decode()]),
    ("read:1000000", [BODY.decode()]),
    ("readline,readline,readline,readline,readline",
     ["line one\n", "line two\n", "\n", "last, without an end", ""]),
    ("readline:4,readline:100,readline", ["line", " one\n", "line two\n"]),
    ("readlines", [["line one\n", "line two\n", "\n",
                    "last, without an end"]]),
    ("iter,read", [["line one\n", "line two\n", "\n",
                    "last, without an end"], ""]),
    ("next,read:5,readline", ["line one\n", "line ", "two\n"]),
])
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_input(probe, do, answers, coding):
    if coding == "length":
        response = probe.get("/read?do=" + do, "POST", body=BODY)
    else:
        response = probe.get(
            "/read?do=" + do, "POST",
            body=chunked_bytes([BODY[:3], BODY[3:20], BODY[20:]]),
            headers=[("Transfer-Encoding", "chunked")])
    assert response.json == answers


def test_input_without_a_body_is_empty(probe):
    assert probe.get("/read?do=read,readline,readlines,iter").json == [
        "", "", [], []]


def test_input_ends_at_the_body(probe):
    """The next request on the connection is not the body's business."""
    with probe.connect() as client:
        client.send(b"POST /read?do=read,read HTTP/1.1\r\nHost: a\r\n"
                    b"Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n"
                    b"Host: a\r\n\r\n")
        assert client.response().json == ["abc", ""]
        assert client.response().body == b"hello"


def test_input_lines_longer_than_any_buffer(probe):
    body = b"x" * 200_000 + b"\n" + b"y" * 100_000
    assert probe.get("/read?do=readline,readline", "POST",
                     body=body).json == ["x" * 200_000 + "\n",
                                         "y" * 100_000]


def test_errors_go_to_the_error_log(probe):
    probe.get("/errors?t=mark-me")
    for text in ("to wsgi.errors: mark-me", "line 1 mark-me",
                 "to stdout: mark-me", "to stderr: mark-me"):
        probe.wait_log(text)


# ---- the standard library's own opinion

@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    from server import Server
    directory = tmp_path_factory.mktemp("validated")
    with Server("validated:app", "-w", "2", directory=directory,
                env={"GCORN_DEMO_DB": str(directory / "demo")}) as server:
        yield server


@pytest.mark.parametrize("method, path", [
    ("GET", "/"), ("HEAD", "/"), ("GET", "/style.css"),
    ("GET", "/guestbook"), ("GET", "/slow?seconds=0.01"),
    ("GET", "/download"), ("GET", "/upload"), ("GET", "/nowhere"),
    ("DELETE", "/"), ("GET", "/probe/pieces?as=generator"),
    ("GET", "/probe/pieces?as=list&cl=1"), ("GET", "/probe/file?size=70000"),
    ("GET", "/probe/write"), ("GET", "/probe/exc-before"),
    ("HEAD", "/probe/pieces")])
def test_validator(validated, method, path):
    response = validated.get(path, method)
    assert response.status in (200, 404, 405, 503), validated.log()
    assert "AssertionError" not in validated.log()


def test_validator_on_a_guest_book_entry(validated):
    response = validated.get(
        "/guestbook", "POST",
        body=b"name=Ada&note=The+engine+weaves+patterns",
        headers=[("Content-Type", "application/x-www-form-urlencoded")])
    assert response.status == 303, validated.log()
    page = validated.get(response.get("location"))
    assert b"The engine weaves patterns" in page.body
    assert "AssertionError" not in validated.log()


def test_validator_on_an_upload(validated):
    response = validated.get("/upload", "POST", body=b"u" * 300_000)
    assert response.text.startswith("300000 bytes"), validated.log()
    assert "AssertionError" not in validated.log()
