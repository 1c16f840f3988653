# SPDX-License-Identifier: MIT
"""postgres - a PostgreSQL of our own in a temporary directory.

It runs on the client's CPUs, so that its work is not counted as a server's,
and listens on a Unix socket only.
"""
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path


class Missing(Exception):
    pass


def find_programs():
    newest = sorted(Path('/usr/lib/postgresql').glob('*/bin/postgres'),
                    key=lambda path: int(path.parts[-3]))
    found = newest[-1] if newest else shutil.which('postgres')
    if not found:
        raise Missing('PostgreSQL is not installed')
    return Path(found).resolve().parent


def account():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam('postgres')
    except KeyError as error:
        raise Missing('there is no user postgres to run it as') from error
    return {'user': entry.pw_uid, 'group': entry.pw_gid, 'extra_groups': []}


class Postgres:
    def __init__(self, cpus):
        self.cpus = cpus
        self.directory = None
        self.process = None

    def variables(self):
        return {'PGHOST': str(self.directory), 'PGUSER': 'bench',
                'PGDATABASE': 'postgres'}

    def start(self):
        programs = find_programs()
        who = account()
        self.directory = Path(tempfile.mkdtemp(prefix='gcorn-bench-pg-'))
        if who:
            os.chown(self.directory, who['user'], who['group'])
        self.directory.chmod(0o755)
        data = self.directory / 'data'
        subprocess.run(
            [programs / 'initdb', '-D', data, '-U', 'bench', '--auth=trust',
             '--no-sync', '--locale=C.UTF-8', '--encoding=UTF8'],
            cwd='/', check=True, stdout=subprocess.DEVNULL, **who)
        self.process = subprocess.Popen(
            ['taskset', '-c', self.cpus, programs / 'postgres', '-D', data,
             '-k', self.directory, '-c', 'listen_addresses=',
             '-c', 'max_connections=200', '-c', 'jit=off'],
            cwd='/', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, **who)
        self.wait_ready(programs)

    def wait_ready(self, programs):
        for _ in range(200):
            if self.process.poll() is not None:
                raise Missing('PostgreSQL ended while starting')
            ready = subprocess.run(
                [programs / 'pg_isready', '-q', '-h', self.directory],
                env={'PGUSER': 'bench'})
            if ready.returncode == 0:
                return
            time.sleep(0.05)
        raise Missing('PostgreSQL does not get ready')

    def fill(self, environment, variables):
        subprocess.run([environment.programs / 'python', 'django_page.py'],
                       cwd=Path(__file__).parent / 'apps', env=variables,
                       check=True)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)
