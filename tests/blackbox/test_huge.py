# SPDX-License-Identifier: MIT
"""2 GB up and 2 GB down with the memory of 2 MB."""

import pytest

from client import request_bytes
from test_memory import private

pytestmark = [pytest.mark.gcorn, pytest.mark.release]
MB = 1 << 20
SIZE = 2 << 30
SLACK = 16 * MB


def memory(server):
    """Of whoever touches bodies: workers and interpreters."""
    return sum(private(p) for p in server.workers() + server.interpreters())


@pytest.fixture
def server(request, start, release_command, tmp_path):
    (tmp_path / "files").mkdir()
    with open(tmp_path / "files" / "huge.bin", "wb") as file:
        file.truncate(SIZE)
    found = start("probe:app", "-w", "1", "--io", request.param, "--timeout",
                  "120", "--static-map", "/s=%s" % (tmp_path / "files"),
                  command=release_command)
    # What comes with the first ones stays.
    found.get("/count", "POST", body=b"w" * 3 * MB)
    found.get("/file?kind=sparse&size=%d" % (3 * MB))
    found.get("/s/huge.bin", headers=[("Range", "bytes=0-%d" % (3 * MB))])
    return found


@pytest.mark.parametrize("server", ["uring"], indirect=True)
def test_an_upload(server):
    before = memory(server)
    most = 0
    block = bytes(8 * MB)
    with server.connect(timeout=120) as connection:
        connection.send(request_bytes("/count", "POST", headers=[
            ("Content-Length", str(SIZE))]))
        for n in range(SIZE // len(block)):
            connection.send(block)
            if n % 64 == 63:
                most = max(most, memory(server))
        assert connection.response().json == SIZE
    assert max(most, memory(server)) - before < SLACK


@pytest.mark.parametrize("server, path", [
    ("epoll", "/s/huge.bin"),
    ("uring", "/file?kind=sparse&cl=%d&size=%d" % (SIZE, SIZE)),
], indirect=["server"])
def test_a_download(server, path):
    before = memory(server)
    most, got = 0, 0
    room = memoryview(bytearray(8 * MB))
    with server.connect(timeout=120) as connection:
        connection.send(request_bytes(path))
        response = connection.head()
        assert response.status == 200
        assert response.get("content-length") == str(SIZE)
        got = len(connection.buffer)
        looked = 0
        while got < SIZE:
            n = connection.sock.recv_into(room)
            assert n > 0
            got += n
            if got - looked > SIZE // 4:
                looked = got
                most = max(most, memory(server))
        connection.buffer = b""
        connection.stays()
    assert got == SIZE
    assert max(most, memory(server)) - before < SLACK
