# SPDX-License-Identifier: MIT
"""rounds - a whole run: who takes part, whose turn it is, what came out."""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import applications
import balance
import measure
import postgres
import report
import servers
from environment import Environment


class Run:
    """Call prepare, rounds, finish in this order, and close in any case."""

    def __init__(self, options):
        self.options = options
        self.left_out = {}
        self.environment = Environment(options.environment, options.python)
        self.database = postgres.Postgres(options.client_cpus)
        self.results = {}
        self.balance = {}
        self.scratch = Path(tempfile.mkdtemp(prefix='gcorn-bench-'))

    def prepare(self):
        self.options.output.mkdir(parents=True, exist_ok=True)
        if not shutil.which('wrk'):
            sys.exit('wrk is not installed: apt-get install wrk')
        self.environment.prepare()
        self.servers = [s for s in servers.SERVERS if self.wanted(s)]
        self.files = self.scratch / 'files'
        self.files.mkdir()
        for name, size in applications.FILES.items():
            (self.files / name).write_bytes(b'a' * size)
        self.applications = [a for a in applications.APPLICATIONS
                             if a.name in self.options.apps]
        if any(a.needs_database for a in self.applications):
            self.start_database()
        self.variables = self.environment.variables(
            self.options.output, self.database.variables())

    def wanted(self, server):
        if server.distribution is None:
            wish = not self.options.no_gcorn
        else:
            wish = server.name in self.options.peers
        why = self.environment.lacks(server, self.options.gcorn)
        if wish and why:
            self.left_out[server.name] = why
            print(f'{server.name} is left out: {why}')
        return wish and not why

    def start_database(self):
        try:
            self.database.start()
            self.database.fill(self.environment, self.environment.variables(
                self.options.output, self.database.variables()))
        except (postgres.Missing, subprocess.CalledProcessError) as error:
            for application in self.applications:
                if application.needs_database:
                    self.left_out[application.name] = str(error)
            self.applications = [a for a in self.applications
                                 if not a.needs_database]

    def launch(self, server, application, processes=False):
        directory = self.scratch / f'{server.name}-{application.name}'
        directory.mkdir(exist_ok=True)
        return servers.Launch(
            module=application.module, port=measure.free_port(),
            slots=application.slots, connections=application.connections,
            directory=directory, programs=self.environment.programs,
            gcorn=self.options.gcorn,
            files=(self.files if application.interface == 'files'
                   else Path('/nonexistent')),
            interface=application.interface,
            processes=processes or self.options.processes)

    def turn(self, server, application):
        what = f'{server.name} with {application.name}'
        if what in self.left_out:
            return
        try:
            found = measure.measure(server, application,
                                    self.launch(server, application),
                                    self.options, self.variables)
        except measure.Unfit as error:
            self.left_out[what] = str(error)
            print(f'{what}: {error}')
            return
        by_server = self.results.setdefault(application.name, {})
        by_server.setdefault(server.name, []).append(found)
        print(f"{what}: {found['rps']:,.0f}/s, {found['cpu_us']:.1f} µs, "
              f"p99 {found['p99_us'] / 1000:.1f} ms {found['errors'] or ''}",
              flush=True)

    def balance_turns(self, number):
        if not balance.find_client(self.options).exists():
            self.left_out['balance'] = 'its client is not built'
            return
        for server in self.servers:
            if server.name not in balance.PEERS:
                continue
            launch = self.launch(server, applications.MIXED, processes=True)
            try:
                found = balance.serve(server, launch, number, self.options,
                                      self.variables)
            except measure.Unfit as error:
                self.left_out[f'{server.name} with balance'] = str(error)
                continue
            self.balance.setdefault(server.name, []).append(found)
            print(f"{server.name} with balance: fast ones' p99 "
                  f"{found['p99_us'] / 1000:.1f} ms", flush=True)

    def rounds(self):
        for number in range(self.options.rounds):
            print(f'round {number + 1} of {self.options.rounds}')
            for application in self.applications:
                for server in self.servers:
                    if application.interface in server.interfaces:
                        self.turn(server, application)
            if 'balance' in self.options.apps:
                self.balance_turns(number)

    def facts(self):
        wanted = {s.distribution or 'gcorn' for s in self.servers}
        wanted |= {'flask', 'django', 'psycopg', 'fastapi', 'asyncpg',
                   'uvloop', 'httptools'}
        versions = {n: v for n in sorted(wanted)
                    if (v := self.environment.version(n))}
        return report.machine_facts() | {
            'python': self.environment.python_version(),
            'versions': versions, 'left_out': self.left_out,
            'notes': {s.name: s.note for s in self.servers if s.note},
            'cost_us': {a.name: self.environment.cost_us(
                a, self.options.server_cpus) for a in self.applications
                if a.computes_only},
            'rounds': self.options.rounds, 'seconds': self.options.seconds,
            'server_cpus': self.options.server_cpus,
            'client_cpus': self.options.client_cpus}

    def finish(self):
        facts = self.facts()
        text = report.markdown(facts, self.results, self.applications,
                               self.balance)
        report.write(self.options.output, facts, self.results, self.balance,
                     text)
        print('\n' + text)

    def close(self):
        self.database.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)
