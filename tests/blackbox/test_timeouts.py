# SPDX-License-Identifier: MIT
"""What happens to a request that takes too long, step by step: the log tells
of it, an exception may end it, the client is answered, and at last the
interpreter is replaced."""

import os
import re
import signal
import time

import pytest

from client import request_bytes, wait_until

pytestmark = pytest.mark.gcorn

SLOW = """
import time
ROLLED_BACK = []
def waits_in_python():
    while True:
        time.sleep(0.01)
def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path in ("/raises", "/answers"):
        try:
            waits_in_python()
        except TimeoutError:
            ROLLED_BACK.append(1)
            if path == "/raises":
                raise
    if path == "/in-c":
        time.sleep(600)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % len(ROLLED_BACK)]
"""


@pytest.fixture
def slow(start, tmp_path):
    def serve(*args):
        (tmp_path / "slow_.py").write_text(SLOW)
        return start("slow_:app", "-w", "1", "--timeout", "1", *args,
                     chdir=tmp_path)
    return serve


def in_this_order(text, *patterns):
    at = 0
    for pattern in patterns:
        found = re.compile(pattern).search(text, at)
        assert found, "%r is not in the log after %d:\n%s" % (pattern, at,
                                                              text)
        at = found.end()


@pytest.mark.parametrize("threads", ["1", "3"])
def test_an_exception_lets_the_application_roll_back(slow, threads):
    server = slow("--threads", threads, "--timeout-soft", "30")
    pids = [p.pid for p in server.interpreters()]
    response = server.get("/raises?x=1")
    assert response.status == 504
    in_this_order(server.log(),
                  r"CRITICAL\] WORKER TIMEOUT \(pid:%d\) GET /raises\?x=1"
                  % pids[0],
                  "waits_in_python", "Error handling request.*/raises",
                  "RequestTimeout")
    # It may as well answer.
    assert server.get("/answers").text == "2"
    # The interpreter serves on, and nothing of it is left for others.
    for _ in range(20):
        assert server.get("/").text == "2"
    time.sleep(0.3)
    assert server.get("/").status == 200
    assert [p.pid for p in server.interpreters()] == pids


def test_who_does_not_hear_it_is_replaced(slow):
    """A thread in C gets the exception only when it comes back."""
    server = slow("--timeout-soft", "1")
    pid = server.interpreters()[0].pid
    assert server.get("/in-c").status == 504
    wait_until(lambda: not os.path.exists("/proc/%d" % pid))
    assert server.get("/").status == 200
    in_this_order(server.log(), "WORKER TIMEOUT .* GET /in-c",
                  r'slow_.py", line 17', r"Worker \(pid:%d\) is stuck" % pid)
    assert server.log().count("WORKER TIMEOUT") == 1


def test_other_requests_of_the_interpreter_finish_first(start, go):
    """Of three threads one is stuck: the interpreter takes no more, and is
    killed when the other ones are done."""
    server = start("crash:app", "-w", "1", "--threads", "3", "--timeout", "3")
    victim = server.interpreters()[0].pid
    with server.connect() as stuck, server.connect() as well:
        stuck.send(request_bytes("/stall?t=stuck"))
        server.traced("stuck")
        time.sleep(1.5)  # so that the second one has time when it is over
        well.send(request_bytes("/hold?t=well&file=%s" % go))
        server.traced("hold well")
        assert stuck.response().status == 504
        wait_until(lambda: victim not in server.pids())
        assert os.path.exists("/proc/%d" % victim)
        go.write_text("")
        assert well.response().status == 200
    wait_until(lambda: not os.path.exists("/proc/%d" % victim))


def test_the_exception_can_be_turned_on_and_off(start, tmp_path):
    (tmp_path / "slow_.py").write_text(SLOW)
    conf = tmp_path / "conf.py"
    conf.write_text("timeout = 1\n")
    server = start("slow_:app", "-w", "1", "-c", conf, chdir=tmp_path)
    assert server.get("/raises").status == 504
    server.wait_log("is stuck")
    conf.write_text("timeout = 1\ntimeout_soft = 20\n")
    server.signal(signal.SIGHUP)
    server.wait_log("Reload: done")
    assert server.get("/answers").text == "1"
