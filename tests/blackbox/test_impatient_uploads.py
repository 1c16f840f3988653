# SPDX-License-Identifier: MIT
"""Clients that ask with Expect: 100-continue and, as nobody has time for them,
send their bodies all the same."""

import hashlib
import random
import threading

import pytest

from client import chunked_bytes, request_bytes
from server import Server

pytestmark = pytest.mark.gcorn
COUNT = 30
KINDS = {"sync": "probe:app", "asgi": "asgi_app:app"}


@pytest.fixture(scope="module", params=[
    (io, kind) for io in ("uring", "epoll") for kind in KINDS],
    ids=lambda param: "%s-%s" % param)
def site(request, tmp_path_factory):
    io, kind = request.param
    directory = tmp_path_factory.mktemp("impatient")
    with Server(KINDS[kind], "-w", "1", "--io", io,
                "--health-path", "/alive", directory=directory) as server:
        server.is_asgi = kind == "asgi"
        server.go = directory / "go"
        server.small = "/pieces?1,5" if server.is_asgi else "/"
        yield server


class Upload(threading.Thread):
    """Its body, then what is right behind it; then it reads."""

    def __init__(self, site, seed):
        super().__init__()
        dice = random.Random(seed)
        self.body = dice.randbytes(dice.choice([70_000, 300_000, 1 << 20]))
        self.more = seed % 3
        self.small = site.small
        self.peer = site.connect()
        self.good = False
        chunked = seed % 2
        field = (("Transfer-Encoding", "chunked") if chunked
                 else ("Content-Length", len(self.body)))
        self.sent = self.body if not chunked else chunked_bytes(
            [self.body[i:i + 9999] for i in range(0, len(self.body), 9999)])
        self.peer.send(request_bytes(
            "/slow_sha256?%s" % site.go if site.is_asgi else "/sha256", "POST",
            headers=[field, ("Expect", "100-continue")]))

    def run(self):
        with self.peer as peer:
            peer.send(self.sent + request_bytes(self.small) * self.more)
            response = peer.response()
            self.good = hashlib.sha256(
                self.body).hexdigest() in response.text
            for _ in range(self.more):
                self.good = self.good and peer.response().status == 200


def test_they_are_served_when_there_is_time(site):
    busy = site.connect()
    busy.send(request_bytes("/hold?%s" % (
        site.go if site.is_asgi else "file=%s" % site.go)))
    site.traced("held" if site.is_asgi else "hold")
    uploads = [Upload(site, seed) for seed in range(COUNT)]
    for _ in range(5):  # by then the heads have come
        assert site.get("/alive").status == 200
    for upload in uploads:
        upload.start()
    for upload in uploads:
        upload.join(0.02)
    site.go.touch()
    for upload in uploads:
        upload.join()
    assert busy.response().status == 200
    assert [upload.good for upload in uploads] == [True] * COUNT
