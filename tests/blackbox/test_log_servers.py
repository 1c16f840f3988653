# SPDX-License-Identifier: MIT
"""syslog and statsd: what arrives there, with a real rsyslog, too."""

import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

from client import wait_until
from server import free_port

pytestmark = pytest.mark.gcorn
RFC5424 = re.compile(
    rb"<(\d+)>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (\S+) (\S+) (\d+) - - "
    rb"(.*)", re.S)


class Receiver:
    """Collects datagrams."""

    def __init__(self, address=None):
        self.sock = socket.socket(
            socket.AF_UNIX if address else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(address or ("127.0.0.1", 0))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.setblocking(False)
        self.seen = []

    @property
    def port(self):
        return self.sock.getsockname()[1]

    def all(self):
        try:
            while True:
                self.seen.append(self.sock.recv(65536))
        except BlockingIOError:
            return self.seen

    def wait(self, pattern):
        def find():
            found = (re.search(pattern, message, re.S)
                     for message in self.all())
            return next((match for match in found if match), None)
        return wait_until(find, what="%r in %r" % (pattern, self.seen[-5:]))

    def lines(self):
        return b"\n".join(self.all()).split(b"\n")


@pytest.fixture
def receiver():
    it = Receiver()
    yield it
    it.sock.close()


@pytest.fixture
def short():
    directory = pathlib.Path("/tmp/gcorn-logs-%d" % os.getpid())
    directory.mkdir()
    yield directory
    shutil.rmtree(directory)


def test_syslog_over_udp(start, receiver):
    server = start("probe:app", "-w", "2", "-n", "shop", "--log-syslog",
                   "--log-syslog-to", "udp://127.0.0.1:%d" % receiver.port,
                   "--log-syslog-facility", "local3")
    server.get("/?to-syslog")
    server.get("/raises")
    receiver.wait(rb"GET /\?to-syslog HTTP/1.1. 200 5")
    receiver.wait(rb"raises on purpose")
    for message in receiver.all():
        priority, _, host, name, pid, text = RFC5424.fullmatch(
            message).groups()
        assert int(priority) // 8 == 19
        assert host == socket.gethostname().encode()
        assert name in (b"gunicorn.shop.error", b"gunicorn.shop.access")
        assert b"\n" not in text
        if name.endswith(b"access"):
            assert int(priority) % 8 == 6
            assert int(pid) in {p.pid for p in server.workers()}
    assert receiver.wait(rb"<155>1 .*error (\d+) - - Error handling request|"
                         rb"<155>1 .*error (\d+) ")
    # The file has it, too.
    assert "raises on purpose" in server.log()


def test_syslog_without_the_access_log(start, receiver):
    server = start("probe:app", "--log-syslog", "--log-syslog-to",
                   "udp://127.0.0.1:%d" % receiver.port,
                   "--log-syslog-prefix", "mine",
                   "--disable-redirect-access-to-syslog")
    server.get("/?unwanted")
    server.stop()
    receiver.wait(rb"gunicorn\.mine\.error \d+ - - Shutting down: Master")
    assert not any(b".access " in message for message in receiver.all())


def test_syslog_on_a_unix_socket_that_comes_later(start, short):
    path = str(short / "log")
    server = start("probe:app", "--log-syslog", "--log-syslog-to",
                   "unix://" + path)
    server.get("/?lost")
    receiver = Receiver(path)

    def heard():
        server.get("/?found")
        return any(b"?found" in message for message in receiver.all())
    wait_until(heard, what="a line after the socket was there")
    receiver.sock.close()


def test_a_client_cannot_forge_a_message(start, receiver):
    server = start("probe:app", "--log-syslog", "--log-syslog-to",
                   "udp://127.0.0.1:%d" % receiver.port)
    with server.connect() as client:
        client.send(b"GET /?x HTTP/1.1\r\nHost: x\r\n"
                    b"User-Agent: a\t<0>1 b\x80\"\r\n\r\n")
        client.response()
    text = receiver.wait(rb"GET /\?x .*").group()
    assert b"\\x80" in text and b'\\"' in text


@pytest.mark.parametrize("args", [
    ("--log-syslog-to", "tcp://h:1"), ("--log-syslog-to", "h:1"),
    ("--log-syslog-facility", "mine"), ("--statsd-host", "h:port"),
    ("--log-format", "xml")])
def test_what_cannot_be(start, args):
    server = start("probe:app", *args, ready=None)
    assert server.wait() == 1
    assert "nvalid" in server.log() or "not supported" in server.log()


def test_a_server_that_is_not_known_stops_nobody(start):
    server = start("probe:app", "--statsd-host", "no.such.host.invalid:1",
                   "--log-syslog", "--log-syslog-to",
                   "udp://no.such.host.invalid")
    assert server.get("/").status == 200
    assert "No statsd: " in server.log() and "No syslog: " in server.log()


def test_statsd(start, receiver):
    server = start("probe:app", "-w", "2", "--statsd-host",
                   "127.0.0.1:%d" % receiver.port, "--statsd-prefix", "shop.",
                   "--dogstatsd-tags", "a:b,c", "--enable-backlog-metric")
    for _ in range(10):
        server.get("/")
    server.get("/nowhere")
    server.get("/raises")
    receiver.wait(rb"shop\.gunicorn\.log\.exception:1\|c\|@1\.0\|#a:b,c")
    receiver.wait(rb"shop\.gunicorn\.request\.status\.404:1\|c\|@1\.0")
    receiver.wait(rb"shop\.gunicorn\.request\.status\.500:1\|c\|@1\.0")
    receiver.wait(rb"shop\.gunicorn\.workers:2\|g\|#a:b,c")
    receiver.wait(rb"shop\.gunicorn\.backlog:0\|h\|#a:b,c")
    lines = receiver.lines()
    assert all(re.fullmatch(
        rb"shop\.gunicorn\.[a-z0-9.]+:[\d.]+\|(c\|@1\.0|g|h|ms)\|#a:b,c", line)
        for line in lines), lines
    assert sum(b"gunicorn.requests:1|" in line for line in lines) >= 12
    assert sum(b".duration:" in line for line in lines) == sum(
        b"gunicorn.requests:1|" in line for line in lines)


def test_statsd_without_prefix_and_tags(start, short):
    receiver = Receiver(str(short / "statsd"))
    server = start("probe:app", "--statsd-host",
                   "unix://%s" % (short / "statsd"))
    server.get("/")
    receiver.wait(rb"(^|\n)gunicorn\.requests:1\|c\|@1\.0(\n|$)")
    receiver.sock.close()


def test_capture_output(start, tmp_path):
    log = tmp_path / "e.log"
    server = start("probe:app", "--error-logfile", log, "--capture-output")
    server.get("/errors?t=captured")
    wait_until(lambda: "to stdout: captured" in log.read_text() and
               "to stderr: captured" in log.read_text(), what="the lines")
    assert "captured" not in server.output.read_text()


RSYSLOG = """
global(workDirectory="%(dir)s")
module(load="imudp")
module(load="imuxsock" SysSock.Use="off")
input(type="imudp" address="127.0.0.1" port="%(port)d")
input(type="imuxsock" Socket="%(dir)s/log" CreatePath="off"
      UseSpecialParser="off" ParseHostname="on")
template(name="t" type="string"
  string="%%protocol-version%%|%%app-name%%|%%procid%%|%%syslogfacility-text%%|%%syslogseverity-text%%|%%msg%%\\n")
*.* action(type="omfile" file="%(dir)s/out" template="t")
"""


@pytest.mark.parametrize("way", ["udp", "unix"])
def test_real_rsyslog(start, short, way):
    if not shutil.which("rsyslogd"):
        pytest.skip("no rsyslogd")
    port = free_port()
    conf = short / "rsyslog.conf"
    conf.write_text(RSYSLOG % {"dir": short, "port": port})
    out = short / "out"
    address = {"udp": "udp://127.0.0.1:%d" % port,
               "unix": "unix://%s/log" % short}[way]
    with subprocess.Popen(["rsyslogd", "-n", "-f", conf, "-i",
                           short / "pid"]) as rsyslogd:
        try:
            wait_until((short / "log").exists, what="rsyslogd")
            server = start("probe:app", "-n", "shop", "--log-syslog",
                           "--log-syslog-to", address)

            def shipped():
                server.get("/?shipped")
                return out.exists() and "?shipped" in out.read_text()
            wait_until(shipped, what="the line in rsyslog's file")
            server.stop()
            wait_until(lambda: "Shutting down" in out.read_text(), what="it")
        finally:
            rsyslogd.terminate()
    lines = [line.split("|") for line in out.read_text().splitlines()
             if "|gunicorn." in line]
    access = next(line for line in lines if "?shipped" in line[5])
    assert access[:2] == ["1", "gunicorn.shop.access"]
    assert access[2].isdigit()
    assert access[3:5] == ["user", "info"]
    assert '"GET /?shipped HTTP/1.1" 200 5' in access[5]
    assert any(line[1] == "gunicorn.shop.error" for line in lines)
