# SPDX-License-Identifier: MIT
"""environment - the virtual environment with the peers, and what is missing.

gcorn serves from the same environment as its peers, so the interpreter and
the frameworks are the same for all.
"""
import importlib.metadata
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
HINTS = {'bjoern': 'needs gcc, libev-dev and python3-dev',
         'uwsgi': 'needs gcc and python3-dev'}


class Environment:
    def __init__(self, directory, python):
        self.directory = Path(directory)
        self.python = python
        self.missing = {}

    @property
    def programs(self):
        return self.directory / 'bin'

    def variables(self, build, database):
        """The environment of every server."""
        keep = {k: os.environ[k] for k in ('HOME', 'LANG') if k in os.environ}
        return keep | database | {
            'PATH': f'{self.programs}:/usr/sbin:/usr/bin:/sbin:/bin',
            'VIRTUAL_ENV': str(self.directory),
            'PYTHONPATH': str(HERE / 'apps'),
            'PYTHONPYCACHEPREFIX': str(build / 'pycache'),
        }

    def prepare(self):
        if not (self.programs / 'python').exists():
            print(f'making {self.directory} with {self.python}')
            subprocess.run([self.python, '-m', 'venv', str(self.directory)],
                           check=True)
        for line in (HERE / 'requirements.txt').read_text().splitlines():
            if line and not line.startswith('#'):
                self.install(line)

    def install(self, requirement):
        name = requirement.partition('==')[0].partition('[')[0]
        if self.version(name) == requirement.partition('==')[2]:
            return
        print(f'installing {requirement}')
        done = subprocess.run(
            [self.programs / 'pip', 'install', '-q', requirement],
            capture_output=True, text=True)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ['failed'])[-1]
            self.missing[name] = f'{why} {HINTS.get(name, "")}'.strip()

    def version(self, name):
        places = [str(p) for p in self.directory.glob('lib/*/site-packages')]
        found = importlib.metadata.distributions(name=name, path=places)
        return next((d.version for d in found), None)

    def python_version(self):
        done = subprocess.run([self.programs / 'python', '--version'],
                              capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def cost_us(self, application, cpus):
        """Microseconds of Python that the application takes by itself."""
        done = subprocess.run(
            ['taskset', '-c', cpus, self.programs / 'python', '-B',
             HERE / 'cost.py', application.module, application.path],
            env={'PYTHONPATH': str(HERE / 'apps')}, capture_output=True,
            text=True, check=True)
        return float(done.stdout)

    def lacks(self, server, gcorn):
        """Why this server cannot run here, or None."""
        if server.distribution is None and not os.access(gcorn, os.X_OK):
            return f'{gcorn} is not built'
        if server.distribution in self.missing:
            return self.missing[server.distribution]
        for program in server.needs:
            if not shutil.which(program, path='/usr/sbin:/usr/bin'):
                return f'{program} is not installed'
        return None
