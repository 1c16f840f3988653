# SPDX-License-Identifier: MIT
"""cost MODULE PATH - what one call of an application takes, without a server.

Prints microseconds of CPU: the best of five, since all that disturbs makes it
longer.
"""
import importlib
import inspect
import sys
import time
import timeit

CALLS = 50_000


async def receive():
    return {'type': 'http.request', 'body': b'', 'more_body': False}


async def send(message):
    pass


def call_of(app, path, query):
    """What costs: one request, with a server that does nothing."""
    if not inspect.iscoroutinefunction(app):
        environ = {'REQUEST_METHOD': 'GET', 'PATH_INFO': path,
                   'QUERY_STRING': query}
        return lambda: app(environ, lambda status, headers: None)
    scope = {'type': 'http', 'method': 'GET', 'path': path,
             'query_string': query.encode(), 'headers': []}

    def call():
        try:
            app(scope, receive, send).send(None)
        except StopIteration:
            pass

    return call


def main(module, target):
    app = importlib.import_module(module).app
    path, _, query = target.partition('?')
    best = min(timeit.repeat(call_of(app, path, query),
                             timer=time.process_time, number=CALLS, repeat=5))
    print(f'{best / CALLS * 1e6:.1f}')


main(*sys.argv[1:])
