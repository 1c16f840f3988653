# SPDX-License-Identifier: MIT
"""mixed - /slow takes 200 ms, everything else is answered at once."""
import time

BODY = b'Hello, world!'
HEADERS = [('Content-Type', 'text/plain'), ('Content-Length', '13')]


def app(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        time.sleep(0.200)
    start_response('200 OK', list(HEADERS))
    return [BODY]
