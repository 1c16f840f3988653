# SPDX-License-Identifier: MIT
"""What dies, hangs or runs out: killed, stalled and flooded for real."""

import os
import re
import resource
import select
import signal
import socket

import pytest

from client import Closed, Truncated, request_bytes, wait_until
from load import Load
from server import Server, free_port

pytestmark = pytest.mark.gcorn


def run_to_end(start, app, *args, **kind):
    """Starts what cannot start, and returns its exit code and log."""
    server = start(app, *args, ready=None, **kind)
    code = server.wait(60)
    server.nothing_left()
    return code, server.log()


def running(server, line):
    """The process id at the end of a line of the trace."""
    return int(server.traced(line)[-1].split()[-1])


# ---- an interpreter is killed

def test_interpreters_killed_under_load(start):
    server = start("probe:app", "-w", "2", "--keep-alive", "30")
    kills = 6
    with Load(server) as load:
        for _ in range(kills):
            victim = server.get("/process").json["pid"]
            os.kill(victim, signal.SIGKILL)
            load.more(300)
    assert not load.broken, load.broken[:5]
    bad = sum(n for status, n in load.statuses.items() if status != 200)
    assert set(load.statuses) <= {200, 502}
    assert bad <= kills  # what one was just answering when it died
    assert len(server.pids()) == 2


def test_a_safe_request_is_served_again(start):
    server = start("probe:app", "-w", "2")
    with server.connect() as client:
        client.send(request_bytes("/sleep?s=1&t=again"))
        victim = running(server, "sleep again")
        os.kill(victim, signal.SIGKILL)
        response = client.response()
        assert response.status == 200
        assert response.json["pid"] != victim
        client.stays()
    assert len(server.trace_lines("sleep again")) == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_an_unsafe_request_is_not(start, method):
    server = start("probe:app", "-w", "2")
    with server.connect() as client:
        client.send(request_bytes("/sleep?s=1&t=once", method, body=b"x"))
        os.kill(running(server, "sleep once"), signal.SIGKILL)
        assert client.response().status == 502
    assert len(server.trace_lines("sleep once")) == 1
    assert server.get("/").status == 200


@pytest.mark.parametrize("how", ["/kill", "/exit", "/segv",
                                 "/kill?signal=6", "/exit?code=0"])
def test_an_application_that_dies_gets_two_chances(start, how):
    server = start("crash:app", "-w", "2")
    with server.connect() as client:
        mark = "&" if "?" in how else "?"
        assert client.request(how + mark + "t=two").status == 502
    assert len(server.trace_lines("two")) == 2
    wait_until(lambda: len(server.pids()) == 2)


def test_killed_in_the_middle_of_its_answer(start):
    """The client must see that it is not whole; it is not asked twice."""
    server = start("crash:app", "-w", "2")
    with pytest.raises((Truncated, Closed)):
        server.get("/kill?after=head&t=middle")
    assert len(server.trace_lines("middle")) == 1
    assert server.get("/").status == 200


def test_a_connection_outlives_the_interpreters(start):
    server = start("crash:app", "-w", "1", "--keep-alive", "30")
    with server.connect() as client:
        pids = set()
        for _ in range(5):
            pids.add(client.request("/process").json["pid"])
            response = client.request("/kill", "POST", body=b"")
            assert response.status == 502
            assert not response.closes
        assert client.request("/").status == 200
    assert len(pids) == 5


def test_a_waiting_request_outlives_the_interpreter(start):
    server = start("crash:app", "-w", "1")
    with server.connect() as busy, server.connect() as waiting:
        busy.send(request_bytes("/sleep?s=60&t=busy", "POST", body=b""))
        victim = running(server, "sleep busy")
        waiting.send(request_bytes("/"))
        os.kill(victim, signal.SIGKILL)
        assert busy.response().status == 502
        assert waiting.response().body == b"hello"


def test_a_fork_of_the_application_is_not_an_interpreter(start):
    server = start("crash:app", "-w", "1")
    for _ in range(5):
        assert server.get("/fork").body == b"survived"
    assert len(server.pids()) == 1


def test_the_template_is_killed(start):
    server = start("probe:app", "-w", "2")
    interpreters = server.pids()
    template = [p for p in server.hosts() if p.pid not in interpreters]
    assert len(template) == 1, server.hosts()
    os.kill(template[0].pid, signal.SIGKILL)
    for pid in interpreters:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.get("/").status == 200)
    wait_until(lambda: len(server.pids()) == 2)


def test_backoff_when_every_interpreter_dies_at_once(start):
    """A server that cannot be helped does not burn the machine either."""
    server = start("crash:app", "-w", "1")
    for _ in range(10):
        assert server.get("/kill").status == 502
    wait_until(lambda: server.get("/").status == 200)


# ---- a worker is killed

def test_a_worker_is_killed(start):
    server = start("probe:app", "-w", "2", "--keep-alive", "60")
    clients = [server.connect() for _ in range(40)]
    for client in clients:
        assert client.request("/").status == 200
    workers = {p.pid for p in server.workers()}
    assert len(workers) == 2
    os.kill(min(workers), signal.SIGKILL)
    alive = 0
    for client in clients:
        try:
            alive += client.request("/").status == 200
        except (Closed, OSError):
            pass
        client.close()
    assert 0 < alive < 40  # the other's connections did not notice
    for _ in range(40):
        assert server.get("/").status == 200
    wait_until(lambda: len(server.workers()) == 2)


def test_connections_queued_at_a_killed_worker_are_served(start):
    server = start("probe:app", "-w", "1")
    victim = server.workers()[0].pid
    os.kill(victim, signal.SIGSTOP)
    clients = [server.connect() for _ in range(30)]
    for client in clients:
        client.send(request_bytes("/"))
    os.kill(victim, signal.SIGKILL)
    for client in clients:
        assert client.response().body == b"hello"
        client.close()


def test_a_worker_that_served_may_be_killed_again_and_again(start):
    server = start("probe:app", "-w", "1")
    for _ in range(6):
        victim = wait_until(server.workers)[0].pid
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: [w for w in server.workers() if w.pid != victim])
    assert server.get("/").status == 200


def test_a_worker_is_killed_while_its_request_runs(start):
    server = start("probe:app", "-w", "2")
    with server.connect() as client:
        client.send(request_bytes("/sleep?s=1&t=orphan"))
        running(server, "sleep orphan")
        for worker in server.workers():
            os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises((Closed, OSError)):
            client.response()
    for _ in range(20):
        assert server.get("/").status == 200
    wait_until(lambda: len(server.pids()) == 2)


def test_workers_killed_under_load(start):
    server = start("probe:app", "-w", "2")
    with Load(server) as load:
        for _ in range(5):
            os.kill(server.workers()[0].pid, signal.SIGKILL)
            load.more(200)
    assert set(load.statuses) == {200}
    # Only the connections of the killed ones broke.
    assert len(load.broken) <= 5 * 8


# ---- the master is killed

@pytest.mark.parametrize("busy", [False, True])
def test_the_master_is_killed(start, busy):
    server = start("crash:app", "-w", "2")
    if busy:
        for path in ("/stall?t=b", "/spin-python?t=b"):
            client = server.connect()
            client.send(request_bytes(path))
        wait_until(lambda: len(server.trace_lines(" b ")) == 2)
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(10)
    server.nothing_left()
    wait_until(lambda: is_free(server.address), what="a free port")


def is_free(address):
    """The kernel takes a ring apart after the end of its process."""
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            again.bind(address)
        except OSError:
            return False
    return True


# ---- over time

@pytest.mark.parametrize("path, function", [
    ("/stall", "a_wait_that_never_ends"),
    ("/spin-python", "a_loop_that_never_ends"),
    ("/stick-c", "a_c_call_that_never_ends"),
])
@pytest.mark.parametrize("threads", [1, 3])
def test_timeout(start, path, function, threads):
    server = start("crash:app", "-w", "2", "--threads", str(threads),
                   "--timeout", "1", "--keep-alive", "30")
    with server.connect() as stuck, server.connect() as other:
        assert other.request("/").status == 200
        stuck.send(request_bytes(path + "?t=stuck", "POST", body=b""))
        victim = running(server, "stuck")
        assert other.request("/").status == 200
        assert stuck.response().status == 504
        wait_until(lambda: not os.path.exists("/proc/%d" % victim))
        assert other.request("/").status == 200
    server.wait_log(function)
    wait_until(lambda: len(server.pids()) == 2)
    assert victim not in server.pids()


def test_timeout_of_an_interpreter_that_ignores_signals(start):
    server = start("crash:app", "-w", "1", "--timeout", "1")
    assert server.get("/ignore-signals").status == 200
    victim = server.get("/process").json["pid"]
    assert server.get("/stall").status == 504
    wait_until(lambda: not os.path.exists("/proc/%d" % victim))
    wait_until(lambda: server.get("/").status == 200)


def test_timeout_of_a_stopped_interpreter(start):
    server = start("probe:app", "-w", "1", "--timeout", "1")
    os.kill(server.get("/process").json["pid"], signal.SIGSTOP)
    assert server.get("/").status in (200, 504)
    wait_until(lambda: server.get("/").status == 200)


def test_timeout_zero_is_never(start):
    server = start("probe:app", "-w", "1", "--timeout", "0")
    assert server.get("/sleep?s=2").status == 200


def test_timeout_counts_the_request_not_the_connection(start):
    server = start("probe:app", "-w", "1", "--timeout", "2",
                   "--keep-alive", "30")
    with server.connect() as client:
        for _ in range(6):
            assert client.request("/sleep?s=0.5").status == 200


# ---- max_requests

@pytest.mark.parametrize("app", ["probe:app", "slow_import:app"])
def test_max_requests_loses_nothing(start, app):
    server = start(app, "-w", "2", "--max-requests", "100",
                   "--max-requests-jitter", "20", "--keep-alive", "30")
    first = {p.pid for p in server.hosts()}
    with Load(server) as load:
        load.more(1500)
        wait_until(lambda: len({p.pid for p in server.hosts()} - first) >= 2,
                   60, "replacement")
        load.more(500)
    load.all_good()


def test_max_requests_lets_a_running_request_finish(start, go):
    server = start("probe:app", "-w", "1", "--threads", "2",
                   "--max-requests", "5")
    with server.connect() as client:
        client.send(request_bytes("/hold?t=last&file=%s" % go))
        old = running(server, "hold last")
        wait_until(lambda: server.get("/process").json["pid"] != old)
        go.touch()
        assert client.response().body == b"released"
    wait_until(lambda: not os.path.exists("/proc/%d" % old))


# ---- what cannot start

@pytest.mark.parametrize("app, code, says", [
    ("broken_import:app", 3, "a_module_that_nobody_wrote"),
    ("broken_syntax:app", 3, "SyntaxError"),
    ("nowhere_to_be_found:app", 3, "nowhere_to_be_found"),
    ("hello:nothing_here", 4, "nothing_here"),
    ("factories:not_callable", 4, "not_callable|callable"),
    ("factories:holder.nothing", 4, "nothing"),
    ("factories:create_app(", 4, "create_app"),
    ("factories:create_app(open('x'))", 4, "create_app|literal"),
])
def test_application_that_does_not_load(start, app, code, says):
    got, log = run_to_end(start, app, "-w", "2")
    assert got == code, log
    assert re.search(says, log)
    if app == "broken_import:app":
        assert "Traceback" in log


def test_application_that_does_not_load_with_preload(start):
    code, log = run_to_end(start, "broken_import:app", "--preload")
    assert code in (1, 3)
    assert "a_module_that_nobody_wrote" in log


def test_factory_that_raises(start):
    code, log = run_to_end(start, "factories:broken_factory()")
    assert code in (3, 4)
    assert "the factory itself is broken" in log


def test_port_in_use(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, log = run_to_end(start, "hello:app",
                               bind="127.0.0.1:%d" % port)
    assert code == 1
    assert str(port) in log and "in use" in log.lower()


def test_port_of_another_gcorn(start):
    """SO_REUSEPORT must not let two servers share one address unseen."""
    first = start("hello:app")
    code, log = run_to_end(start, "hello:app", bind=first.bind)
    assert code == 1
    assert str(first.address[1]) in log
    assert first.get("/").status == 200


def test_address_that_is_not_ours(start):
    code, log = run_to_end(start, "hello:app",
                           bind="192.0.2.1:%d" % free_port())
    assert code == 1
    assert "192.0.2.1" in log


# ---- out of something

def test_more_requests_than_exchanges(start, go):
    """The one interpreter is held: what finds no place is told so, what
    found one is answered, in the end everyone is served."""
    server = start("probe:app", "-w", "1", "--timeout", "120",
                   "--keep-alive", "60")
    held = server.connect()
    held.send(request_bytes("/hold?t=full&file=%s" % go))
    running(server, "hold full")
    clients, refused = [], None
    while len(clients) < 9000 and refused is None:
        batch = [server.connect() for _ in range(100)]
        for client in batch:
            client.send(request_bytes("/"))
        clients += batch
        refused = first_answer(clients)
    assert refused is not None, "9000 requests found a place"
    assert refused.status == 503
    assert refused.get("retry-after").isdigit()
    go.touch()
    assert held.response().body == b"released"
    statuses = {client.response().status for client in clients
                if client is not refused.client}
    assert statuses == {200, 503} or statuses == {200}
    for client in clients + [held]:
        client.close()
    assert server.get("/").status == 200


def first_answer(clients):
    """An answer that came although nothing can be served."""
    poller = select.poll()
    by_fd = {client.sock.fileno(): client for client in clients}
    for fd in by_fd:
        poller.register(fd, select.POLLIN)
    for fd, _ in poller.poll(50):
        response = by_fd[fd].response()
        response.client = by_fd[fd]
        return response
    return None


def few_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))


def test_out_of_descriptors(start):
    server = start("probe:app", "-w", "1", "--keep-alive", "60",
                   rlimit=few_files)
    clients = [server.connect(timeout=60) for _ in range(300)]
    for client in clients:
        client.send(request_bytes("/"))
    server.wait_log(r"(?i)descriptors|open files|connections")
    # Those that had no place get one as others leave.
    for client in clients:
        assert client.response().status in (200, 503)
        client.close()
    assert server.get("/").status == 200


def test_nothing_is_left_in_tmp_or_shm(start):
    def litter():
        return {name for folder in ("/dev/shm", "/tmp")
                for name in os.listdir(folder) if "gcorn" in name}

    before = litter()
    server = start("probe:app", "-w", "2")
    server.get("/sha256", "POST", body=b"x" * 3_000_000)
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(10)
    server.nothing_left()
    assert litter() <= before


def test_standard_streams_closed(tmp_path):
    """Started by something that gave it no stdin, stdout, stderr."""
    log = tmp_path / "error.log"
    server = Server("probe:app", "-w", "1", "--error-logfile", log,
                    directory=tmp_path)
    line = " ".join("'%s'" % arg for arg in server.args)
    server.args = ["/bin/sh", "-c", "exec %s <&- >&- 2>&-" % line]
    with server:
        assert server.get("/").status == 200
        data = b"x" * 200_000
        assert server.get("/sha256", "POST",
                          body=data).json["size"] == 200_000
