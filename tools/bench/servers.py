# SPDX-License-Identifier: MIT
"""servers - the table of servers, each in its best fair configuration.

Access logs are off everywhere. A server gets one process where that serves
`slots` requests at once, by threads if need be; servers that work on one
request per process get `slots` processes.
"""
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
APPS = HERE / 'apps'
LAUNCH = HERE / 'launch'


@dataclass(frozen=True)
class Launch:
    """One start of a server: where, what, how wide."""
    module: str
    port: int
    slots: int
    connections: int
    directory: Path     # for its sockets and temporary files
    programs: Path      # the virtual environment's bin
    gcorn: Path
    files: Path = Path('/nonexistent')  # of applications that are files
    processes: bool = False     # slots are to be processes, not threads
    interface: str = 'wsgi'

    def program(self, name):
        return str(self.programs / name)

    @property
    def split(self):
        """How many processes, and how many threads in each."""
        return (self.slots, 1) if self.processes else (1, self.slots)

    @property
    def split_wide(self):
        """The same for those that hand requests from thread to thread.

        They are up to 15 % better off with a few threads than with one, also
        where the application never waits.
        """
        processes, threads = self.split
        return processes, threads if self.processes else max(threads, 4)


@dataclass(frozen=True)
class Server:
    name: str
    distribution: str | None    # on PyPI; None: it is ours
    commands: Callable[[Launch], list[list[str]]]
    keeps_alive: bool = True
    needs: tuple[str, ...] = ()     # programs of the system
    note: str = ''
    interfaces: tuple[str, ...] = ('wsgi',)


def gcorn(launch):
    workers, threads = launch.split
    command = [str(launch.gcorn), '-b', f'127.0.0.1:{launch.port}',
               '-w', str(workers), '--pin', 'off', '--chdir', str(APPS)]
    if threads > 1:
        command += ['--threads', str(threads)]
    if launch.interface == 'asgi':
        command += ['-k', 'asgi', '--asgi-loop', 'uvloop']
    if launch.files.is_dir():
        command += ['--static-map', f'/files={launch.files}']
    return [command + [f'{launch.module}:app']]


def gcorn_epoll(launch):
    return [command[:-1] + ['--io', 'epoll', command[-1]]
            for command in gcorn(launch)]


def gunicorn(launch, workers, *more):
    return [[launch.program('gunicorn'), '-b', f'127.0.0.1:{launch.port}',
             '-w', str(workers), '--chdir', str(APPS), '--log-level', 'error',
             '--no-control-socket', *more, f'{launch.module}:app']]


def gunicorn_sync(launch):
    return gunicorn(launch, launch.slots)


def gunicorn_gthread(launch):
    workers, threads = launch.split_wide
    return gunicorn(launch, workers, '-k', 'gthread',
                    '--threads', str(threads))


def uwsgi(launch, workers, threads, *more):
    command = [launch.program('uwsgi'), '--chdir', str(APPS),
               '--module', f'{launch.module}:app', '--need-app',
               '--virtualenv', str(launch.programs.parent),
               '--disable-logging', '--log-master', '--die-on-term',
               '--listen', '1024', '--processes', str(workers), *more]
    if workers > 1:
        command.append('--master')
    return command + (['--threads', str(threads)] if threads > 1 else [])


def uwsgi_http11(launch):
    # A kept connection holds its thread until it closes, so there have to be
    # as many threads as connections or the others are never served.
    workers, _ = launch.split
    threads = -(-launch.connections // workers)
    return [uwsgi(launch, workers, threads,
                  '--http11-socket', f'127.0.0.1:{launch.port}')]


def nginx(launch, template):
    conf = (LAUNCH / template).read_text()
    for key, value in (('@PORT@', launch.port), ('@DIR@', launch.directory),
                       ('@FILES@', launch.files)):
        conf = conf.replace(key, str(value))
    path = launch.directory / 'nginx.conf'
    path.write_text(conf)
    return ['nginx', '-c', str(path), '-e', str(path) + '.log']


def uwsgi_nginx(launch):
    return [uwsgi(launch, *launch.split, '--uwsgi-socket',
                  str(launch.directory / 'uwsgi.sock')),
            nginx(launch, 'nginx.conf')]


def nginx_files(launch):
    return [nginx(launch, 'nginx_files.conf')]


def granian(launch):
    workers, threads = launch.split_wide
    how = {'wsgi': ['--blocking-threads', str(threads)],
           'asgi': ['--loop', 'uvloop']}[launch.interface]
    return [[launch.program('granian'), '--interface', launch.interface,
             '--host', '127.0.0.1', '--port', str(launch.port),
             '--workers', str(workers), '--runtime-threads', '1',
             *how, '--backpressure', '1024',
             '--http', '1', '--no-ws', '--no-access-log',
             '--log-level', 'error', '--working-dir', str(APPS),
             f'{launch.module}:app']]


def uvicorn(launch):
    return [[launch.program('uvicorn'), '--host', '127.0.0.1',
             '--port', str(launch.port), '--loop', 'uvloop',
             '--http', 'httptools', '--no-access-log', '--log-level', 'error',
             '--app-dir', str(APPS), f'{launch.module}:app']]


def hypercorn(launch):
    return [[launch.program('hypercorn'), '-b', f'127.0.0.1:{launch.port}',
             '-w', '1', '-k', 'uvloop', '--log-level', 'ERROR',
             f'{launch.module}:app']]


def waitress(launch):
    return [[launch.program('waitress-serve'), '--listen',
             f'127.0.0.1:{launch.port}', '--threads', str(launch.slots),
             '--connection-limit', '2048', f'{launch.module}:app']]


def script(name):
    def commands(launch):
        return [[launch.program('python'), str(LAUNCH / name), launch.module,
                 str(launch.port), str(launch.slots)]]
    return commands


SERVERS = [
    Server('gcorn', None, gcorn, interfaces=('wsgi', 'asgi', 'files')),
    Server('gcorn-epoll', None, gcorn_epoll,
           interfaces=('wsgi', 'asgi', 'files')),
    Server('nginx', 'nginx', nginx_files, needs=('nginx',),
           interfaces=('files',), note='sendfile and a cache of open files'),
    Server('gunicorn-sync', 'gunicorn', gunicorn_sync, keeps_alive=False,
           note='no keep-alive: a connection per request'),
    Server('gunicorn-gthread', 'gunicorn', gunicorn_gthread,
           note='at least 4 threads'),
    Server('uwsgi-http11', 'uwsgi', uwsgi_http11,
           note='as many threads as connections, as it needs'),
    Server('uwsgi-nginx', 'uwsgi', uwsgi_nginx, needs=('nginx',),
           note='CPU and memory of nginx included'),
    Server('granian', 'granian', granian, interfaces=('wsgi', 'asgi'),
           note='one runtime thread; for WSGI at least 4 Python threads'),
    Server('bjoern', 'bjoern', script('bjoern_serve.py')),
    Server('fastpysgi', 'fastpysgi', script('fastpysgi_serve.py'),
           interfaces=('wsgi', 'asgi'),
           note='TCP_NODELAY set; its event loop polls and is always busy'),
    Server('waitress', 'waitress', waitress),
    Server('uvicorn', 'uvicorn', uvicorn, interfaces=('asgi',),
           note='uvloop and httptools'),
    Server('hypercorn', 'hypercorn', hypercorn, interfaces=('asgi',),
           note='uvloop'),
]
