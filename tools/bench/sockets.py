#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sockets - WebSockets of gcorn, Uvicorn and Granian, side by side.

    tools/bench/sockets.py                    echo, broadcast and idle, 3 rounds
    tools/bench/sockets.py --rows echo --rounds 1 --seconds 2

echo: 64 clients, each with one message of 32 bytes on its way; echo-4k: the
same with 4 KiB. broadcast: one of 64 clients sends, all get it. idle: 10,000
open WebSockets that are pinged every 20 seconds, after 25 seconds; what the
server's processes have more (PSS) than with none, by connection. One process
each (gcorn: one pair), uvloop, no access log, no compression asked for.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import processes
from measure import free_port, wait_ready

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ROWS = {  # mode, connections, bytes of a message
    'echo': ('echo', 64, 32),
    'echo-4k': ('echo', 64, 4096),
    'broadcast': ('broadcast', 64, 32),
    'idle': ('idle', 10000, 32),
}


def gcorn(options, port):
    return [str(options.gcorn), '-b', f'127.0.0.1:{port}', '-w', '1', '-k',
            'asgi', '--pin', 'off', '--no-control-socket', '--chdir',
            str(HERE / 'apps'), 'sockets:app']


def uvicorn(protocol):
    def command(options, port):
        return [str(options.environment / 'bin' / 'uvicorn'), '--port',
                str(port), '--ws', protocol, '--loop', 'uvloop',
                '--no-access-log', '--log-level', 'error', '--backlog',
                '16384', '--app-dir', str(HERE / 'apps'), 'sockets:app']
    return command


def granian(options, port):
    return [str(options.environment / 'bin' / 'granian'), '--interface',
            'asgi', '--port', str(port), '--workers', '1', '--loop', 'uvloop',
            '--no-access-log', '--log-level', 'error', '--backlog', '16384',
            '--working-dir', str(HERE / 'apps'), 'sockets:app']


SERVERS = {'gcorn': gcorn, 'uvicorn/websockets': uvicorn('websockets'),
           'uvicorn/wsproto': uvicorn('wsproto'), 'granian': granian}


def parse():
    cpus = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--rows', default=','.join(ROWS))
    parser.add_argument('--servers', default=','.join(SERVERS))
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=4)
    parser.add_argument('--idle-seconds', type=float, default=25)
    parser.add_argument('--idle-count', type=int, default=10000)
    parser.add_argument('--server-cpus', default=str(cpus[0]))
    parser.add_argument('--client-cpus', default=str(cpus[-1]))
    parser.add_argument('--environment', type=Path,
                        default=ROOT / 'build' / 'bench-venv',
                        help='with uvicorn, uvloop, websockets, wsproto and '
                        'granian')
    parser.add_argument('--gcorn', type=Path, default=Path(os.environ.get(
        'GCORN', ROOT / 'build' / 'release' / 'workers' / 'gcorn')))
    parser.add_argument('--client', type=Path, help='default: beside gcorn')
    options = parser.parse_args()
    if not options.client:
        options.client = (options.gcorn.resolve().parents[1] / 'tools' /
                          'bench' / 'sockets')
    return options


def start(name, options, port, log, mode):
    environment = dict(os.environ, SOCKETS_MODE=mode,
                       VIRTUAL_ENV=str(options.environment))
    group = processes.Group([SERVERS[name](options, port)],
                            options.server_cpus, log, env=environment)
    wait_ready(group, port)
    time.sleep(1)  # Granian listens before it is ready
    return group


def client(options, mode, port, count, seconds, size):
    return subprocess.Popen(
        ['taskset', '-c', options.client_cpus, str(options.client), mode,
         str(port), str(count), str(seconds), str(size)],
        stdout=subprocess.PIPE, text=True)


def loaded(group, options, port, row):
    """Messages received per second, and per second of the server's CPU."""
    mode, count, size = ROWS[row]
    load = client(options, mode, port, count, options.seconds, size)
    assert load.stdout.readline() == 'open\n'
    before = group.cpu()
    messages, seconds = load.stdout.readline().split()
    cpu = processes.cpu_between(before, group.cpu()) / 1e9
    load.wait()
    return float(messages) / float(seconds), float(messages) / cpu


def idle(group, options, port):
    """KiB of each connection, and CPU seconds per second."""
    count = options.idle_count
    empty = group.memory_kib()
    load = client(options, 'idle', port, count, options.idle_seconds, 1)
    assert load.stdout.readline() == 'open\n'
    before, began = group.cpu(), time.monotonic()
    time.sleep(options.idle_seconds - 1)
    memory = (group.memory_kib() - empty) / count
    cpu = processes.cpu_between(before, group.cpu()) / 1e9
    busy = cpu / (time.monotonic() - began)
    load.stdout.read()
    load.wait()
    return memory, busy


def measure(name, row, options):
    port = free_port()
    with tempfile.TemporaryFile() as log:
        group = start(name, options, port, log, ROWS[row][0])
        try:
            return (idle(group, options, port) if row == 'idle' else
                    loaded(group, options, port, row))
        finally:
            group.stop()


def show(row, results):
    print('\n%-20s %14s %20s' % (
        (row, 'KiB/connection', 'CPU s per s') if row == 'idle' else
        (row, 'messages/s', 'messages/CPU-second')))
    for name, seen in results.items():
        first, second = (statistics.median(column) for column in zip(*seen))
        print('%-20s %14.1f %20.3f' % (name, first, second)
              if row == 'idle' else
              '%-20s %14.0f %20.0f' % (name, first, second), flush=True)


def main():
    options = parse()
    names = options.servers.split(',')
    for row in options.rows.split(','):
        results = {name: [] for name in names}
        for _ in range(1 if row == 'idle' else options.rounds):
            for name in names:
                results[name].append(measure(name, row, options))
        show(row, results)


if __name__ == '__main__':
    sys.exit(main())
