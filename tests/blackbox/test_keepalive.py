# SPDX-License-Identifier: MIT
"""Connections that stay, and when they close."""

import os
import signal
import socket
import time

import pytest

from client import Client, request_bytes, wait_until


@pytest.mark.gcorn
def test_sync_keeps_connections_too(start):
    server = start("probe:app", "-w", "1")
    with server.connect() as client:
        for i in range(100):
            assert client.request("/environ?%d" % i).json[
                "QUERY_STRING"] == str(i)


def test_a_thousand_requests(probe):
    with probe.connect() as client:
        for _ in range(1000):
            assert client.request("/").body == b"hello"


@pytest.mark.parametrize("value", ["close", "Close", "CLOSE"])
def test_close_is_answered_with_close(probe, value):
    with probe.connect() as client:
        response = client.request("/", headers=[("Connection", value)])
        assert response.closes
        client.ends()


@pytest.mark.gcorn
@pytest.mark.parametrize("value", ["close, TE", "TE, close", "x,close"])
def test_close_in_a_list(probe, value):
    with probe.connect() as client:
        assert client.request("/", headers=[("Connection", value)]).closes
        client.ends()


def test_1_0_keep_alive(probe):
    with probe.connect() as client:
        for _ in range(3):
            client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            response = client.response()
            assert "keep-alive" in response.get("connection").lower()


def test_idle_connection_closes_after_keep_alive(start):
    server = start("probe:app", "--threads", "2", "--keep-alive", "1")
    with server.connect(timeout=15) as client:
        assert client.request("/").status == 200
        client.ends()


@pytest.mark.gcorn
@pytest.mark.parametrize("io", ["uring", "epoll"])
def test_what_came_before_the_time_was_over_is_answered(start, io):
    """A worker that had no CPU for a while notices the request and the end of
    the time for it at once: closing then would reset the client."""
    server = start("probe:app", "-w", "1", "--io", io, "--keep-alive", "1",
                   "--header-timeout", "1")
    worker, = server.workers()
    with server.connect() as idle, server.connect() as partly:
        assert idle.request("/").status == 200
        partly.send(request_bytes("/")[:-2])
        os.kill(worker.pid, signal.SIGSTOP)
        idle.send(request_bytes("/"))
        partly.send(b"\r\n")
        time.sleep(1.3)
        os.kill(worker.pid, signal.SIGCONT)
        assert idle.response().status == 200
        assert partly.response().status == 200


def test_keep_alive_zero_closes_after_each_response(start):
    server = start("probe:app", "--threads", "2", "--keep-alive", "0")
    with server.connect() as client:
        assert client.request("/").closes
        client.ends()


@pytest.mark.gcorn
def test_an_idle_connection_outlives_the_replacement_of_interpreters(start):
    server = start("probe:app", "-w", "1", "--max-requests", "5",
                   "--keep-alive", "30")
    seen = set()

    def ask():
        response = client.request("/process")
        assert response.status == 200
        seen.add(response.json["pid"])
        return len(seen) >= 3

    with server.connect() as client:
        wait_until(ask)


def test_error_of_the_application_keeps_or_closes_cleanly(probe):
    with probe.connect() as client:
        response = client.request("/raises")
        assert response.status == 500
        if response.closes:
            client.ends()
        else:
            client.stays()


def test_bytes_after_close_are_not_served(probe):
    with probe.connect() as client:
        client.send(request_bytes("/", headers=[("Connection", "close")])
                    + request_bytes("/environ"))
        assert client.response().body == b"hello"
        client.ends()


def test_linger_lets_the_answer_through(probe):
    """A refusal must arrive although the client is still sending: closing
    with bytes unread makes the kernel send RST, which can destroy it."""
    for _ in range(20):
        with Client(probe.address) as client:
            client.send(b"BAD REQUEST LINE\r\n\r\n")
            try:
                for _ in range(50):
                    client.send(b"x" * 1000)
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert client.response().status == 400


def test_silent_connections_do_not_block_others(probe):
    silent = [probe.connect() for _ in range(200)]
    assert all(probe.get("/").body == b"hello" for _ in range(20))
    for client in silent:
        client.close()


def test_no_delay_between_small_responses(probe):
    """TCP_NODELAY or one segment: the client's delayed ACK must not count.
    200 round trips at 40 ms each would be 8 s; the socket gives up first."""
    with probe.connect(timeout=5) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        for _ in range(200):
            assert client.request("/pieces?as=generator").status == 200
