# SPDX-License-Identifier: MIT
"""cost MODULE PATH - what one call of an application takes, without a server.

Prints microseconds of CPU: the best of five, since all that disturbs makes it
longer.
"""
import importlib
import sys
import time
import timeit

CALLS = 50_000


def main(module, target):
    app = importlib.import_module(module).app
    path, _, query = target.partition('?')
    environ = {'REQUEST_METHOD': 'GET', 'PATH_INFO': path,
               'QUERY_STRING': query}

    def call():
        app(environ, lambda status, headers: None)

    best = min(timeit.repeat(call, timer=time.process_time,
                             number=CALLS, repeat=5))
    print(f'{best / CALLS * 1e6:.1f}')


main(*sys.argv[1:])
