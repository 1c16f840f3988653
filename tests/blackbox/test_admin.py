# SPDX-License-Identifier: MIT
"""The master's admin address: metrics and state, whatever the workers do."""

import json
import os
import shutil
import signal
import socket
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

import client
from client import wait_until
from server import free_port

pytestmark = pytest.mark.gcorn


@pytest.fixture
def admin(start):
    """admin(app, *args) -> (server, address of its admin listener)"""
    def starter(*args, **kind):
        port = free_port()
        server = start(*(args or ("probe:app", "-w", "2")), "--admin-bind",
                       "127.0.0.1:%d" % port, **kind)
        return server, ("127.0.0.1", port)
    return starter


def samples(address):
    text = client.get(address, "/metrics").text
    return {family.name: family for family in
            text_string_to_metric_families(text)}


def total(address, family, name=None, **labels):
    return sum(sample.value for sample in samples(address)[family].samples
               if name in (None, sample.name)
               and labels.items() <= sample.labels.items())


def test_live_ready_and_unknown(admin):
    _, address = admin()
    assert client.get(address, "/livez").body == b"ok\n"
    assert client.get(address, "/readyz").status == 200
    assert client.get(address, "/other").status == 404
    assert client.get(address, "/metrics", "POST").status == 405
    assert client.get(address, "/metrics", "HEAD").body == b""


def test_metrics_count_what_was_done(admin):
    server, address = admin()
    # The request that found it ready is counted a moment after its answer.
    before = wait_until(lambda: total(address, "gcorn_responses", code="2xx"))
    for _ in range(10):
        assert server.get("/").status == 200
    assert server.get("/nowhere").status == 404
    wait_until(lambda: total(address, "gcorn_responses", code="4xx"))
    assert total(address, "gcorn_responses", code="2xx") == before + 10
    assert total(address, "gcorn_responses", code="4xx") == 1
    assert total(address, "gcorn_latency_seconds",
                 "gcorn_latency_seconds_count") >= 11
    assert total(address, "gcorn_worker_up") == 2


def test_histograms_add_up(admin):
    server, address = admin()
    with server.connect() as connection:
        for _ in range(40):
            connection.request("/")
    families = samples(address)
    for name in ("latency", "queue", "service", "cpu", "gap"):
        family = families["gcorn_%s_seconds" % name]
        counts = {}
        for sample in family.samples:
            worker = sample.labels["worker"]
            if sample.name.endswith("_bucket"):
                # Cumulative, so each is at least the one before.
                assert sample.value >= counts.get(worker, 0)
                counts[worker] = sample.value
            elif sample.name.endswith("_count"):
                assert sample.value == counts[worker]
        assert sum(counts.values()) > 0, name


def test_memory_of_each_process(admin):
    """Its part of it; together they are no more than all of them take."""
    server, address = admin()

    def processes():
        shown = samples(address)["gcorn_pss_bytes"].samples
        return len(shown) == 6 and shown

    shown = wait_until(processes, what="six processes")
    assert sorted(sample.labels["process"] for sample in shown) == [
        "interpreter", "interpreter", "master", "template", "worker",
        "worker"]
    sums = samples(address)
    resident = sum(sample.value for name in (
        "master", "template", "worker", "interpreters")
        for sample in sums["gcorn_%s_resident_bytes" % name].samples)
    assert 0 < sum(sample.value for sample in shown) <= resident * 1.1
    state = json.loads(client.get(address, "/status.json").body)
    assert all(w["pss_bytes"] > 0 for w in state["workers"])


def test_reloads_and_restarts_are_counted(admin, tmp_path):
    code = tmp_path / "code_.py"
    code.write_text("from probe import app\n")
    server, address = admin("code_:app", "-w", "1", "--pythonpath", tmp_path)

    def reloads(outcome):
        return total(address, "gcorn_reloads", outcome=outcome)

    assert reloads("succeeded") == reloads("failed") == 0
    server.signal(signal.SIGHUP)
    wait_until(lambda: reloads("succeeded") == 1)
    assert total(address, "gcorn_last_reload_seconds") > 0
    code.write_text("syntax error\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: reloads("failed") == 1)
    assert total(address, "gcorn_last_reload_failed") == 1
    deaths = total(address, "gcorn_interpreter_deaths")
    os.kill(server.interpreters()[0].pid, signal.SIGKILL)
    wait_until(lambda: total(address, "gcorn_interpreter_deaths") ==
               deaths + 1)


def test_promtool_finds_nothing(admin):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed: tools/setup --tests "
                    "(package prometheus)")
    server, address = admin()
    server.get("/")
    text = client.get(address, "/metrics").body
    check = subprocess.run(["promtool", "check", "metrics"], input=text,
                           capture_output=True, timeout=60)
    assert (check.returncode, check.stdout + check.stderr) == (0, b"")


def test_answers_while_every_interpreter_is_busy(admin, go):
    server, address = admin()
    holders = [server.connect() for _ in range(3)]
    for holder in holders:
        holder.send(b"GET /hold?file=%s HTTP/1.1\r\nHost: x\r\n\r\n"
                    % str(go).encode())
    try:
        wait_until(lambda: total(address, "gcorn_interpreters_busy") == 2 and
                   total(address, "gcorn_requests_waiting") == 1,
                   what="two busy, one waiting")
        state = json.loads(client.get(address, "/status.json").body)
        assert [w["running"] for w in state["workers"]] == [1, 1]
        assert client.get(address, "/livez").status == 200
    finally:
        go.touch()
    assert all(holder.response().status == 200 for holder in holders)


def test_state_names_the_processes(admin):
    server, address = admin()
    server.pids()
    state = json.loads(client.get(address, "/status.json").body)
    assert state["ready"] is True
    assert {w["pid"] for w in state["workers"]} == {
        p.pid for p in server.interpreters()}
    assert {c["worker_pid"] for c in state["connections"]} == {
        p.pid for p in server.workers()}
    assert state["stats"]["counters"]["requests"] > 0


@pytest.mark.parametrize("garbage", [
    b"\0\1\2\3\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
    b"A" * 70000, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20000,
    b"POST /metrics HTTP/1.1\r\nContent-Length: 99\r\n\r\nx",
])
def test_garbage(admin, garbage):
    _, address = admin()
    with socket.create_connection(address, 10) as sock:
        try:
            sock.sendall(garbage)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(65536)
        except OSError:
            pass
    assert client.get(address, "/livez").status == 200


def test_silent_clients_do_not_lock_others_out(admin):
    _, address = admin()
    silent = [socket.create_connection(address, 10) for _ in range(100)]
    try:
        assert client.get(address, "/livez").status == 200
    finally:
        for sock in silent:
            sock.close()


def test_one_byte_at_a_time_and_pipelined(admin):
    _, address = admin()
    with client.Client(address) as connection:
        for byte in b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n":
            connection.send(bytes([byte]))
        assert connection.response().body == b"ok\n"
        connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
        for _ in range(5):
            assert connection.response().body == b"ok\n"


def test_on_a_unix_socket(start, tmp_path):
    path = tmp_path / "admin.sock"
    server = start("probe:app", "--admin-bind", "unix:%s" % path)
    assert client.get(str(path), "/livez").status == 200
    assert path.stat().st_mode & 0o777 == 0o660
    server.stop()
    assert not path.exists()


def test_an_address_that_is_taken(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = start("probe:app", "--admin-bind",
                       "127.0.0.1:%d" % taken.getsockname()[1], ready=None)
        assert server.wait() == 1
        assert "Address already in use" in server.log()


def test_a_new_master_gets_the_address(admin):
    """After USR2 it is the old one's until that has gone."""
    server, address = admin("probe:app", "-w", "1")
    old = json.loads(client.get(address, "/status.json").body)["stats"]["pid"]
    server.signal(signal.SIGUSR2)
    server.wait_log(r"Listening at: .*Listening at: ")
    server.wait_log(r"Booting worker.*Booting worker")
    assert client.get(address, "/livez").status == 200
    os.kill(old, signal.SIGTERM)

    def new():
        try:
            state = json.loads(client.get(address, "/status.json").body)
        except OSError:
            return 0
        return state["stats"]["pid"] not in (0, old) and state["stats"]["pid"]
    pid = wait_until(new, what="the new master's answer")
    assert server.get("/").status == 200
    os.kill(pid, signal.SIGTERM)
    server.nothing_left()
