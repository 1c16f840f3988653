# SPDX-License-Identifier: MIT
"""Gunicorn and gcorn, running: environ, answers, both logs, pid files, and
what signals do. test_same_as_gunicorn.py has settings, messages and hooks.
What differs is in a table with the reason, and may not differ otherwise."""

import os
import re
import signal
import stat

import pytest

from client import request_bytes, wait_until
from masters import pid_in, wait_gone, wait_pid
from twins import messages, twins

pytest.importorskip("gunicorn")
pytestmark = pytest.mark.gcorn


def same(both, look):
    """What look(server) finds is the same on both; returns it."""
    theirs, ours = [look(server) for server in both]
    assert ours == theirs
    return ours


# ---- environ

ENVIRON_DIFFERS = {
    "SERVER_SOFTWARE": "each says its own name",
    "REMOTE_PORT": "of another connection",
    "SERVER_PORT": "each has its own; it is compared with the address",
    "gunicorn.socket": "gcorn's connections are another process's",
    "wsgi.errors": "of another class",
    "wsgi.input": "of another class",
    "wsgi.file_wrapper": "of another class",
    "wsgi.early_hints": "of another class",
    "*types": "of those",
}
ASKED = {
    "plain": request_bytes("/environ", host="a.b"),
    "query": request_bytes("/environ?a=b&c=%20d+e"),
    "empty query": request_bytes("/environ?"),
    "encoded path": request_bytes("/environ/%41%2fb/%C3%A9/%ff?x=%41"),
    "slashes": request_bytes("/environ/../a//b/."),
    "a port": request_bytes("/environ", host="name.example:81"),
    "no host": request_bytes("/environ", host=None, version="1.0"),
    "absolute": request_bytes("http://other.example:99/environ?q=1"),
    "fields": request_bytes("/environ", headers=[
        ("Accept", "a"), ("X-One", " two "), ("accept", "b"),
        ("Cookie", "a=1"), ("Cookie", "b=2"), ("X-Latin", "caf\u00e9"),
        ("Content-Type", "text/x"), ("X-Empty", "")]),
    "a body": request_bytes("/environ", "PUT", body=b"12345"),
    "an empty body": request_bytes("/environ", "POST", body=b""),
    "chunked": request_bytes(
        "/environ", "POST", headers=[("Transfer-Encoding", "chunked")])
    + b"3\r\nabc\r\n0\r\n\r\n",
    "underscores": request_bytes("/environ", headers=[
        ("X_Under", "1"), ("X-Under", "2"), ("REMOTE_USER", "me")]),
    "from a proxy": request_bytes("/environ", headers=[
        ("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "1.2.3.4"),
        ("X-Forwarded-Host", "h")]),
    "from a proxy, plain": request_bytes("/environ", headers=[
        ("X-Forwarded-Proto", "http")]),
    "SSL on": request_bytes("/environ", headers=[("X-Forwarded-SSL", "on")]),
    "mounted": request_bytes("/environ", headers=[
        ("SCRIPT_NAME", "/environ")]),
    "methods": request_bytes("/environ", "PROPFIND"),
    "options": request_bytes("/environ", "OPTIONS"),
}
ENVIRONS = {
    "sync": dict(args=("-w", "1")),
    "threads": dict(args=("-w", "2", "--threads", "3")),
    "a unix socket": dict(args=("-w", "1"), unix=True),
    "nobody is trusted": dict(args=(
        "-w", "1", "--forwarded-allow-ips", "10.0.0.0/8")),
    "underscores pass": dict(args=(
        "-w", "1", "--header-map", "dangerous")),
    "underscores are refused": dict(args=("-w", "1", "--header-map",
                                          "refuse")),
    "proxies may send more": dict(args=(
        "-w", "1", "--forwarder-headers", "REMOTE_USER,X_UNDER")),
    "another scheme field": dict(args=("-w", "1"), conf=(
        "secure_scheme_headers = {'X-FORWARDED-PROTO': 'tls'}")),
    "mounted by the environment": dict(args=("-w", "1"), ready="/x/",
                                       env={"SCRIPT_NAME": "/x"}),
}
# The variables that differ for one request.
ASKED_DIFFERS = {
    "absolute": ({"HTTP_HOST", "SERVER_NAME"}, "RFC 9112 3.2.2: the target's host is meant, "
                 "and Host is to be ignored"),
    "fields": ({"HTTP_COOKIE"}, "RFC 9113 8.2.3: cookies are joined with a "
               "semicolon; with a comma applications lose the second"),
    "no host": ({"SERVER_NAME"}, "on a Unix socket Gunicorn says its path, "
                "gcorn nothing"),
}


def environ_of(server, data):
    """What the application sees, or the status of a refusal."""
    with server.connect() as client:
        client.send(data)
        response = client.response()
    if response.status != 200:
        return response.status
    seen = response.json
    if not isinstance(server.address, str):
        assert seen["SERVER_PORT"] in (str(server.address[1]), "443")
    for name in ENVIRON_DIFFERS:
        seen.pop(name, None)
    return seen


@pytest.mark.parametrize("name", ENVIRONS)
def test_environ(tmp_path, name):
    kind = dict(ENVIRONS[name])
    with twins(tmp_path, *kind.pop("args"), **kind) as both:
        for asked, data in ASKED.items():
            if "ready" in kind:
                data = data.replace(b"/environ", b"/x/environ")
            theirs, ours = [environ_of(server, data) for server in both]
            if isinstance(theirs, dict) and isinstance(ours, dict):
                for variable in ASKED_DIFFERS.get(asked, ((), ""))[0]:
                    theirs.pop(variable), ours.pop(variable)
            assert ours == theirs, asked


# ---- answers, and their lines in both logs

ANSWERS = {
    "hello": request_bytes("/"),
    "HEAD": request_bytes("/?head", "HEAD"),
    "nowhere": request_bytes("/nowhere?x=y"),
    "chunks": request_bytes("/pieces?as=generator&n=3&size=7"),
    "length": request_bytes("/pieces?cl=1"),
    "HTTP/1.0": request_bytes("/pieces", version="1.0"),
    "no body": request_bytes("/pieces?status=204%20No&n=0"),
    "not modified": request_bytes("/pieces?status=304%20Not&n=0"),
    "own fields": request_bytes(
        '/respond?r=["299%20Odd",[["X-A","b"],["X-A","c"],["Server","mine"],'
        '["Date","never"],["Connection","upgrade"],["X-Out","o"]],"body"]'),
    "a file": request_bytes("/file?size=12345"),
    "a file with a length": request_bytes("/file?size=12345&cl=100"),
    "raises": request_bytes("/raises"),
    "raises late": request_bytes("/raises-late?cl=1"),
    "an upload": request_bytes("/sha256", "POST", body=b"x" * 50000),
    "close": request_bytes("/", headers=[("Connection", "close")]),
    "referer": request_bytes("/?ref", headers=[
        ("Referer", "http://a/\"b"), ("User-Agent", "c\\d"),
        ("Authorization", "Basic dXM6cHc="), ("X-In", "in")]),
    "no user": request_bytes("/?bad-auth", headers=[
        ("Authorization", "Basic nonsense")]),
    # refused by the server
    "request line": b"GET\r\n\r\n",
    "method": b"get / HTTP/1.1\r\n\r\n",
    "version": b"GET / HTTP/2.5\r\n\r\n",
    "target": b"GET nothing HTTP/1.1\r\n\r\n",
    "field name": b"GET / HTTP/1.1\r\nA b: c\r\n\r\n",
    "field without colon": b"GET / HTTP/1.1\r\nnothing\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    "length and chunked": b"POST / HTTP/1.1\r\nContent-Length: 1\r\n"
                          b"Transfer-Encoding: chunked\r\n\r\n",
    "coding": b"POST / HTTP/1.1\r\nTransfer-Encoding: foo\r\n\r\n",
    "a long line": b"GET /%s HTTP/1.1\r\n\r\n" % (b"x" * 5000),
    "many fields": b"GET / HTTP/1.1\r\n%s\r\n" % (b"A: b\r\n" * 101),
    "a large field": b"GET / HTTP/1.1\r\nA: %s\r\n\r\n" % (b"x" * 8200),
    "Expect": request_bytes("/", headers=[("Expect", "the-unexpected")]),
}
# Why Gunicorn has no Content-Length where gcorn does, and other differences
# of the responses: what is left out of the comparison.
KNOWN = "gcorn knows the length: a list or a file says how long it is"
ANSWERS_DIFFER = {
    "chunks": None, "HTTP/1.0": KNOWN, "a file": KNOWN,
    "own fields": KNOWN + "; and there is no upgrade without a socket",
    "version": "505 is for versions that are not supported",
    "coding": "Gunicorn says 501 Bad Request",
}
FORMAT = ('%(h)s %(l)s %(u)s "%(r)s" %(m)s %(U)s %(q)s %(H)s %(s)s %(B)s '
          '%(b)s "%(f)s" "%(a)s" %({x-in}i)s %({X-OUT}o)s '
          '%({raw_uri}e)s %(nothing)s %({nothing}i)s')
TIMES = ("%(t)s|%(T)s|%(D)s|%(M)s|%(L)s|%(p)s|%(s)5s|%(s)-5s|%(m).2s|%(B)05d|"
         "%%")


def raw_answer(server, data):
    """Status and reason, the fields, the body or how it ended."""
    with server.connect() as client:
        client.send(data)
        client.finish()
        head, _, body = client.to_end().partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = sorted(line for line in lines[1:]
                    if not line.startswith("Date: "))
    return lines[0], [re.sub("^Server: .*", "Server", line)
                      for line in fields], body.decode("latin-1")


def logged(server, count):
    def look():
        lines = server.access_lines()
        return len(lines) >= count and lines
    return wait_until(look, what="%d access lines" % count)


def part_of(answer, name):
    """What is compared: the bodies of refusals are each one's own words,
    and gcorn's do not repeat what the client sent."""
    first, fields, body = answer
    if body.startswith("<html>"):
        body, fields = "<html>", [line for line in fields
                                  if not line.startswith("Content-Length")]
    if name == "an upload":
        body = re.sub('"pid": .*', "", body)
    if ANSWERS_DIFFER.get(name):
        fields = [line for line in fields if not line.startswith(
            ("Content-Length", "Transfer-Encoding", "Connection: upgrade",
             "Connection: keep-alive"))]
        first = first.partition(" ")[0] if "<html>" in body else first
        body = re.sub(r"(?s)\A[0-9a-f]+\r\n(.*)\r\n0\r\n\r\n\Z", r"\1", body)
    return first, fields, body


def test_answers_and_access_lines(tmp_path):
    with twins(tmp_path, "-w", "1", "--threads", "2", "--access-logfile",
               "{dir}/access.log", "--access-logformat", FORMAT) as both:
        refused = []
        for name, data in ANSWERS.items():
            theirs, ours = [part_of(raw_answer(server, data), name)
                            for server in both]
            assert ours == theirs, name
            if "<html>" in ours[2] and name != "raises":
                refused.append(name)
        served = len(ANSWERS) - len(refused)
        # The last of the first requests is in the log with its answer.
        theirs, ours = [logged(server, served) for server in both]
    theirs, ours = [[line for line in lines if not re.search(
        " (400|414|417|431|501|505) ", line)] for lines in (theirs, ours)]
    # Gunicorn forgets the path of what raises.
    theirs = [re.sub(r'("\w+ (/[^ ?"]*)[^"]*" \w+) None ', r"\1 \2 ", line)
              for line in theirs]
    for line, other in zip(theirs, ours):
        if "/file?" in line:  # Gunicorn does not count what sendfile() sends
            line = line.replace(" 0 0 ", " %s %s " % tuple(
                re.search(r" 200 (\d+) (\d+) ", other).groups()))
        # gcorn escapes the backslash, too: so it can be told from an escape.
        assert other.replace("c\\\\d", "c\\d") == line
    assert len(ours) == len(theirs)


def test_times_in_the_access_log(tmp_path):
    with twins(tmp_path, "-w", "1", "--access-logfile", "{dir}/access.log",
               "--access-logformat", TIMES) as both:
        for server in both:
            server.get("/sleep?s=0.05")
        for server in both:
            line = logged(server, 2)[1].split("|")
            assert re.fullmatch(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d "
                                r"[+-]\d{4}\]", line[0])
            assert line[1] == "0" and 50000 <= int(line[2]) < 10 ** 7
            assert 50 <= int(line[3]) and float(line[4]) >= 0.05
            assert re.fullmatch("<[0-9]+>", line[5])
            assert line[6:9] == ["  200", "200  ", "GE"]
            assert line[10] == "%"


# ---- what is said, and what signals do

# Lines that scripts look for, in their order.
SAID = re.compile(
    r"\[\w+\] (Starting|Listening at|Using worker|Booting worker|Handling "
    r"signal|Hang up|Shutting down|Worker exiting|Control socket|Reason)|"
    r"\[(ERROR|CRITICAL|WARNING)\]")


def said(server):
    """What gcorn says of the machine has nothing to compare it with."""
    return [line for line in messages(server)
            if SAID.match(line) and "] Plan: " not in line]


def started(server, count=1):
    server.wait_log("(?s)(Booting worker.*){%d}" % count)


@pytest.mark.parametrize("args", [
    (), ("--threads", "2"), ("-w", "3"), ("--preload",),
    ("--log-level", "error"), ("--log-level", "WARNING"),
    ("--no-control-socket",), ("-b", "unix:{dir}/second")])
def test_start_and_stop(tmp_path, args):
    with twins(tmp_path, "-w", "1", *args) as both:
        for server in both:
            if "--log-level" not in args:
                started(server, 3 if "3" in args else 1)
            server.signal(signal.SIGTERM)
        codes = [server.wait() for server in both]
        theirs, ours = [said(server) for server in both]
    assert codes == [0, 0]
    assert sorted(ours) == sorted(theirs)
    order = [[line for line in lines if "Listening" in line or "Using" in line
              or "Booting" in line or "Shutting" in line]
             for lines in (theirs, ours)]
    assert order[0] == order[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT,
                                    signal.SIGQUIT])
@pytest.mark.parametrize("unix", [False, True])
def test_signals_that_end(tmp_path, number, unix):
    with twins(tmp_path, "-w", "2", "-p", "{dir}/pid", unix=unix) as both:
        for server in both:
            assert pid_in(server.home / "pid") == server.pid
            assert stat.S_IMODE((server.home / "pid").stat().st_mode) == 0o644
            server.signal(number)
        codes = [server.wait() for server in both]
        for server in both:
            assert "Handling signal: %s" % number.name[3:].lower() in (
                server.log())
            assert not (server.home / "pid").exists()
            assert not (server.home / "sock").exists()
    assert codes == [0, 0]


@pytest.mark.parametrize("number, finishes", [
    (signal.SIGTERM, True), (signal.SIGQUIT, False)])
def test_a_request_in_progress(tmp_path, number, finishes):
    with twins(tmp_path, "-w", "1", "--threads", "2", "--graceful-timeout",
               "20") as both:
        for server in both:
            go = server.home / "go"
            with server.connect() as client:
                client.send(request_bytes("/hold?t=x&file=%s" % go))
                server.traced("hold x")
                server.signal(number)
                server.wait_log("Handling signal")
                if finishes:
                    go.touch()
                    assert client.response().body == b"released"
                else:
                    assert client.to_end() == b""
            assert server.wait() == 0


GREET = """
import os
def app(environ, start):
    start("200 OK", [])
    return [%r, b" ", os.environ.get("SAID", "").encode()]
"""


def test_hup(tmp_path):
    """New code, new settings, flags of the command line stay."""
    with twins(tmp_path, "--timeout", "33", app="greet:app", chdir=None,
               files={"greet.py": GREET % b"one"}, conf="""
workers = 1
timeout = 44
raw_env = ["SAID=first"]
def post_worker_init(worker):
    worker.log.info("has timeout %s", worker.cfg.timeout)
""") as both:
        for server in both:
            assert server.get("/").body == b"one first"
            (server.home / "greet.py").write_text(GREET % b"two, changed")
            conf = server.home / "gunicorn.conf.py"
            conf.write_text(conf.read_text().replace("first", "second")
                            .replace("workers = 1", "workers = 2"))
            server.signal(signal.SIGHUP)
        for server in both:
            started(server, 3)
            wait_until(lambda: server.get("/").body == b"two, changed second")
            assert "Handling signal: hup" in server.log()
            assert "Hang up: Master" in server.log()
            wait_until(lambda: server.log().count("has timeout 33") == 3)


def test_ttin_and_ttou(tmp_path):
    with twins(tmp_path, "-w", "1", conf="""
def nworkers_changed(server, new, old):
    server.log.info("from %s to %s", old, new)
def post_worker_init(worker):
    worker.log.info("serves")
""") as both:
        for server in both:
            server.signal(signal.SIGTTIN)
            server.wait_log("(?s)serves.*serves")
            for number in (2, 1):
                server.signal(signal.SIGTTOU)  # the second one does nothing
                server.wait_log("(?s)(Handling signal: ttou.*){%d}"
                                % (3 - number))
            server.wait_log("Worker exiting")
            assert server.get("/").status == 200
        same(both, lambda server: sorted(
            line for line in messages(server)
            if "Handling" in line or "from" in line))


def test_usr1_opens_the_logs_again(tmp_path):
    with twins(tmp_path, "-w", "2", "--log-file", "{dir}/error.log",
               "--access-logfile", "{dir}/access.log") as both:
        for server in both:
            for name in ("error.log", "access.log"):
                (server.home / name).rename(server.home / (name + ".1"))
            server.signal(signal.SIGUSR1)
            server.wait_log("Handling signal: usr1|$")
            wait_until((server.home / "access.log").exists)

            def all_are():
                server.get("/?after")
                return sum("?after" in line
                           for line in server.access_lines()) > 4
            wait_until(all_are)
            server.get("/raises")
            server.wait_log("raises on purpose")
            assert "Booting worker" not in server.error_log.read_text()


def test_winch_is_for_daemons(tmp_path):
    with twins(tmp_path, "-w", "1", "--log-level", "debug") as both:
        for server in both:
            server.signal(signal.SIGWINCH)
            server.wait_log("Handling signal: winch")
            server.wait_log("SIGWINCH ignored. Not daemonized")
            assert server.get("/").status == 200


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM,
                                    signal.SIGSEGV])
def test_a_worker_that_is_killed(tmp_path, number):
    """It is replaced; the log says what ended it."""
    with twins(tmp_path, "-w", "1") as both:
        for server in both:
            pid = server.get("/process").json["pid"]
            os.kill(pid, number)
            started(server, 2)
            wait_until(lambda: server.answers() and
                       server.get("/process").json["pid"] != pid)
        same(both, lambda server: sorted(
            line for line in said(server) if "Worker (pid" in line))


# ---- pid files

def test_the_pid_file_of_somebody_who_lives(tmp_path):
    with twins(tmp_path, "-w", "1", "-p", "{dir}/pid", ready=None, files={
            "pid": "%d\n" % os.getpid()}) as both:
        assert [server.wait() for server in both] == [1, 1]
        for server in both:
            assert re.search("Already running on PID %d" % os.getpid(),
                             server.log())
            assert pid_in(server.home / "pid") == os.getpid()
            assert "Traceback" not in server.log() or server is both[0]


@pytest.mark.parametrize("content", ["99999999\n", "", "words", "0"])
def test_a_stale_pid_file(tmp_path, content):
    with twins(tmp_path, "-w", "1", "-p", "{dir}/pid",
               files={"pid": content}) as both:
        for server in both:
            assert (server.home / "pid").read_text() == "%d\n" % server.pid


def test_a_pid_file_nowhere(tmp_path):
    with twins(tmp_path, "-w", "1", "-p", "{dir}/no/pid",
               ready=None) as both:
        assert [server.wait() for server in both] == [1, 1]
        for server in both:
            assert "no doesn't exist. Can't create pidfile." in server.log()


def test_usr2(tmp_path):
    with twins(tmp_path, "-w", "1", "-p", "{dir}/pid") as both:
        for server in both:
            server.signal(signal.SIGUSR2)
            new = wait_pid(str(server.home / "pid") + ".2")
            started(server, 2)
            assert pid_in(server.home / "pid") == server.pid
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
            server.wait_log("Master has been promoted.")
            wait_until(lambda: pid_in(server.home / "pid") == new)
            assert not (server.home / "pid.2").exists()
            assert server.get("/").status == 200
            os.kill(new, signal.SIGTERM)
            wait_gone(new)
            assert not (server.home / "pid").exists()
