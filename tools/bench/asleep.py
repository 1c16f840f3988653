#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""asleep - are health, metrics and control answered while every interpreter
sleeps in a request and others wait behind it?

    tools/bench/asleep.py [--gcorn PATH] [--seconds 20] [--rate 500]

Asks each of them in turns, one after the other, and prints how long answers
took. Exit 1 when a 99th percentile is over --limit milliseconds.
"""
import argparse
import http.client
import json
import os
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

import processes
from measure import free_port, wait_ready

ROOT = Path(__file__).resolve().parents[2]
APPS = Path(__file__).resolve().parent / 'apps'
WORKERS = 2
THREADS = 2


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--gcorn', type=Path, default=Path(os.environ.get(
        'GCORN', ROOT / 'build' / 'release' / 'workers' / 'gcorn')))
    parser.add_argument('--seconds', type=float, default=20,
                        help='in all; sleepers wake up after 30')
    parser.add_argument('--rate', type=float, default=500)
    parser.add_argument('--limit', type=float, default=10)
    return parser.parse_args()


def web(port, path, status):
    """Asks on one kept connection."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)

    def ask():
        connection.request('GET', path)
        response = connection.getresponse()
        response.read()
        if response.status != status:
            sys.exit(f'{path} answers {response.status}, not {status}')
    return ask


def control(path, command):
    """The protocol of gcorn ctl and gunicornc."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(str(path))
    stream = sock.makefile('rb')
    question = json.dumps({'id': 1, 'command': command, 'args': []}).encode()

    def ask():
        sock.sendall(struct.pack('>I', len(question)) + question)
        size, = struct.unpack('>I', stream.read(4))
        if json.loads(stream.read(size))['status'] != 'ok':
            sys.exit(f'{command} fails')
    return ask


def fill(port):
    """A sleeper for every thread of every interpreter, and one that waits
    behind each."""
    sleepers = []
    for _ in range(2 * WORKERS * THREADS):
        sock = socket.create_connection(('127.0.0.1', port))
        sock.sendall(b'GET / HTTP/1.1\r\nHost: asleep\r\n\r\n')
        sleepers.append(sock)
    return sleepers


def wait_readiness(port, status, times):
    """Until /readyz says so, so many times one after the other: interpreters
    are not all there at the same moment."""
    seen = 0
    for _ in range(300):
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
        connection.request('GET', '/readyz')
        seen = seen + 1 if connection.getresponse().status == status else 0
        if seen == times:
            return
        time.sleep(0.1)
    sys.exit(f'/readyz does not come to say {status}')


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def measure(questions, options):
    times = {name: [] for name in questions}
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        for name, ask in questions.items():
            began = time.perf_counter()
            ask()
            took = time.perf_counter() - began
            times[name].append(took * 1000)
            time.sleep(max(0, 1 / options.rate - took))
    return times


def questions_of(port, admin, directory):
    return {
        '/healthz': web(port, '/healthz', 200),
        '/readyz': web(port, '/readyz', 503),
        '/metrics': web(admin, '/metrics', 200),
        '/livez': web(admin, '/livez', 200),
        'ctl show stats': control(directory / 'ctl', 'show stats'),
        'ctl show workers': control(directory / 'ctl', 'show workers'),
    }


def report(times, limit):
    print(f'{"milliseconds":18} {"answers":>8} {"p50":>8} {"p99":>8} '
          f'{"max":>8}')
    good = True
    for name, all_of_it in times.items():
        p99 = percentile(all_of_it, 0.99)
        good = good and p99 <= limit
        print(f'{name:18} {len(all_of_it):8} '
              f'{percentile(all_of_it, 0.5):8.3f} {p99:8.3f} '
              f'{max(all_of_it):8.3f}')
    return good


def main():
    options = parse()
    cpus = ','.join(map(str, sorted(os.sched_getaffinity(0))))
    port, admin = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix='gcorn-asleep-') as text:
        directory = Path(text)
        command = [
            options.gcorn, '-w', WORKERS, '--threads', THREADS, '-b',
            f'127.0.0.1:{port}', '--admin-bind', f'127.0.0.1:{admin}',
            '--health-path', '/healthz', '--ready-path', '/readyz',
            '--ready-window', 1, '--control-socket', directory / 'ctl',
            '--timeout', 0, '--graceful-timeout', 1, '--pin', 'off',
            '--chdir', APPS, 'sleeper:app']
        with open(directory / 'log', 'wb') as log:
            group = processes.Group([list(map(str, command))], cpus, log)
            try:
                wait_ready(group, admin)
                wait_readiness(port, 200, 1)
                sleepers = fill(port)
                wait_readiness(port, 503, 30)
                times = measure(questions_of(port, admin, directory), options)
                del sleepers
            finally:
                group.stop()
    return 0 if report(times, options.limit) else 1


if __name__ == '__main__':
    sys.exit(main())
