# SPDX-License-Identifier: MIT
"""measure - one server under one application: right first, then how fast."""
import http.client
import json
import os
import socket
import subprocess
import time
from pathlib import Path

import processes

HERE = Path(__file__).resolve().parent


class Unfit(Exception):
    """This server cannot be measured with this application, and why."""


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def wait_ready(group, port, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if group.ended():
            raise Unfit('ended while starting, see its log')
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Unfit(f'does not listen after {seconds} s')


def ask(connection, application):
    body = b'0123456789' * (application.body_bytes // 10)
    connection.request('POST' if body else 'GET', application.path,
                       body or None)
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise Unfit(f'answers {response.status}')
    if application.expect not in answer:
        raise Unfit(f'answers with something else: {answer[:80]!r}')
    return response


def check(server, application, port):
    """The answer is right, twice, and the connection is kept if it should."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
    try:
        ask(connection, application)
        kept = connection.sock
        if server.keeps_alive and kept is None:
            raise Unfit('closes the connection')
        ask(connection, application)
        if server.keeps_alive and connection.sock is not kept:
            raise Unfit('does not keep the connection')
    except (OSError, http.client.HTTPException) as error:
        raise Unfit(f'does not answer: {error!r}') from error
    finally:
        connection.close()


def check_soon(server, application, port, seconds=10):
    """A listening server need not be ready: nginx listens before uwsgi."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return check(server, application, port)
        except Unfit:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def settle(group, seconds=10):
    """Waits until all the processes are there: some start one by one."""
    deadline = time.monotonic() + seconds
    before, after = None, group.pids()
    while before != after and time.monotonic() < deadline:
        time.sleep(0.3)
        before, after = after, group.pids()


def wrk(application, port, seconds, cpus):
    """What wrk saw, from its script (wrk.lua)."""
    command = ['taskset', '-c', cpus, 'wrk', '-t1',
               f'-c{application.connections}', f'-d{seconds}s', '--timeout',
               '10s', '-s', str(HERE / 'wrk.lua'),
               f'http://127.0.0.1:{port}{application.path}']
    environment = dict(os.environ, BODY_BYTES=str(application.body_bytes))
    done = subprocess.run(command, env=environment, capture_output=True,
                          text=True, timeout=seconds + 60, check=True)
    for line in done.stdout.splitlines():
        if line.startswith('RESULT '):
            return json.loads(line.removeprefix('RESULT '))
    raise Unfit('wrk gave no result')


def under_load(group, application, port, seconds, options):
    wrk(application, port, options.warmup, options.client_cpus)
    before = group.cpu()
    machine = -processes.machine_busy_s(options.server_cpus)
    started = time.monotonic()
    seen = wrk(application, port, seconds, options.client_cpus)
    wall = time.monotonic() - started
    after = group.cpu()
    machine += processes.machine_busy_s(options.server_cpus)
    if not seen['requests']:
        raise Unfit('answered nothing under load')
    cpu = processes.cpu_between(before, after)
    return {
        'rps': seen['requests'] / (seen['duration_us'] / 1e6),
        'cpu_us': cpu / 1e3 / seen['requests'],
        'rps_per_cpu': seen['requests'] / (cpu / 1e9),
        'busy': cpu / 1e9 / wall,
        'others_busy': max(0, machine - cpu / 1e9) / wall,
        'p50_us': seen['p50_us'], 'p99_us': seen['p99_us'],
        'p999_us': seen['p999_us'], 'max_us': seen['max_us'],
        'pss_kib': group.memory_kib(),
        'processes': len(after),
        'replaced': len(before.keys() ^ after.keys()),
        'errors': {k: n for k, n in seen['errors'].items() if n},
    }


def measure(server, application, launch, options, environment):
    """One start of a server, checked, measured, stopped."""
    log_path = launch.directory / f'{server.name}.log'
    with open(log_path, 'wb') as log:
        group = processes.Group(server.commands(launch), options.server_cpus,
                                log, env=environment)
        try:
            wait_ready(group, launch.port)
            check_soon(server, application, launch.port)
            settle(group)
            return under_load(group, application, launch.port,
                              options.seconds, options)
        except Unfit as error:
            tail = log_path.read_text(errors='replace').strip()[-300:]
            raise Unfit(f'{error} {tail}'.strip()) from error
        finally:
            group.stop()
