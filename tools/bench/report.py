# SPDX-License-Identifier: MIT
"""report - rounds in, medians out: a table per application."""
import json
import platform
import statistics
from datetime import date
from pathlib import Path

COLUMNS = ['server', 'requests/s', 'p50', 'p99', 'CPU µs/request',
           'requests/CPU-second', 'gcorn is', 'CPU busy', 'PSS', 'not well']


def median(rounds, key):
    return statistics.median(r[key] for r in rounds)


def spread(rounds, key):
    """Half the range over the rounds, in percent of the median."""
    values = [r[key] for r in rounds]
    middle = statistics.median(values)
    return 100 * (max(values) - min(values)) / 2 / middle if middle else 0


def in_time(us):
    return f'{us:.0f} µs' if us < 1000 else f'{us / 1000:.1f} ms'


def complaints(rounds):
    """What makes a figure doubtful."""
    said = {}
    for r in rounds:
        for kind, count in r['errors'].items():
            said[kind] = said.get(kind, 0) + count
    words = [f'{count} {kind} errors' for kind, count in said.items()]
    replaced = sum(r['replaced'] for r in rounds)
    if replaced:
        words.append(f'{replaced} processes came or went')
    others = median(rounds, 'others_busy')
    if others > 0.05:
        words.append(f'others used {100 * others:.0f} % of its CPU')
    return ', '.join(words)


def ratio(ours, rounds):
    if not ours or ours is rounds:
        return ''
    factor = median(ours, 'rps_per_cpu') / median(rounds, 'rps_per_cpu')
    return f'{factor:.2f}×'


def row(name, rounds, ours):
    return [
        name,
        f"{median(rounds, 'rps'):,.0f} ±{spread(rounds, 'rps'):.0f} %",
        in_time(median(rounds, 'p50_us')),
        in_time(median(rounds, 'p99_us')),
        f"{median(rounds, 'cpu_us'):.1f} ±{spread(rounds, 'cpu_us'):.0f} %",
        f"{median(rounds, 'rps_per_cpu'):,.0f}",
        ratio(ours, rounds),
        f"{100 * median(rounds, 'busy'):.0f} %",
        f"{median(rounds, 'pss_kib') / 1024:.0f} MiB",
        complaints(rounds),
    ]


def table(columns, rows):
    def line(cells):
        return '| ' + ' | '.join(cells) + ' |'
    rule = ['---'] + ['--:'] * (len(columns) - 2) + ['---']
    return '\n'.join([line(columns), line(rule)] + [line(r) for r in rows])


def application_part(application, by_server, cost_us):
    ours = by_server.get('gcorn')
    order = sorted(by_server, key=lambda n: median(by_server[n], 'cpu_us'))
    rows = [row(name, by_server[name], ours) for name in order]
    at_once = (f', {application.slots} requests at once'
               if application.slots > 1 else '')
    alone = (f' The application alone takes {cost_us:.1f} µs.'
             if cost_us else '')
    return (f'### {application.name}: {application.title}\n\n'
            f'{application.connections} connections{at_once}.{alone}\n\n'
            + table(COLUMNS, rows))


def balance_row(name, rounds):
    alone = statistics.median(r['alone']['p99_us'] for r in rounds)
    errors = sum(r['errors'] for r in rounds)
    return [
        name, f"{median(rounds, 'rps'):,.0f}", in_time(alone),
        in_time(median(rounds, 'p50_us')), in_time(median(rounds, 'p99_us')),
        in_time(median(rounds, 'p999_us')),
        f"{median(rounds, 'p99_us') / alone:.1f}×",
        f'{errors} errors' if errors else '',
    ]


def balance_part(by_server):
    columns = ['server', 'requests/s', 'p99 without slow ones', 'p50', 'p99',
               'p99.9', 'p99, worse by', 'not well']
    rows = [balance_row(name, rounds) for name, rounds in by_server.items()]
    return ('### balance: do fast requests wait behind slow ones?\n\n'
            '32 kept connections, 8 workers of one request each, 1 % of the '
            'requests wait 200 ms; latencies of the others. Requests arrive '
            'at random, 1,000 a second, and take any connection that is free; '
            'a latency counts from the arrival. The 8 workers are a quarter '
            'busy, so with one queue the slow ones would not be noticed.\n\n'
            + table(columns, rows))


def cpu_name():
    for line in Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.processor()


def head(facts):
    lines = [f"Measured {facts['date']} on {facts['cpus']} × {facts['cpu']}, "
             f"Linux {facts['kernel']}, {facts['python']}; server on CPU "
             f"{facts['server_cpus']}, client (wrk) and database on CPU "
             f"{facts['client_cpus']}; {facts['rounds']} rounds of "
             f"{facts['seconds']} s, servers alternating; medians, ± half the "
             f"range over the rounds.",
             '', 'CPU is that of all the server\'s processes and threads. '
             '"gcorn is" compares requests per CPU-second.', '']
    versions = ', '.join(f'{n} {v}' for n, v in facts['versions'].items())
    lines.append(f'Versions: {versions}.')
    lines += [f'* {name}: {note}.' for name, note in facts['notes'].items()]
    lines += [f'* Not measured: {what}: {why}.'
              for what, why in facts['left_out'].items()]
    return '\n'.join(lines)


def machine_facts():
    return {'date': date.today().isoformat(), 'cpu': cpu_name(),
            'cpus': len(Path('/proc/cpuinfo').read_text().split('processor\t'))
            - 1, 'kernel': platform.release()}


def markdown(facts, results, applications, balance):
    parts = [head(facts)]
    alone = facts['cost_us']
    parts += [application_part(a, results[a.name], alone.get(a.name))
              for a in applications if results.get(a.name)]
    if balance:
        parts.append(balance_part(balance))
    return '\n\n'.join(parts) + '\n'


def write(directory, facts, results, balance, text):
    whole = {'facts': facts, 'results': results, 'balance': balance}
    (directory / 'results.json').write_text(json.dumps(whole, indent=1))
    (directory / 'results.md').write_text(text)
