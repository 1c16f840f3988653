# SPDX-License-Identifier: MIT
"""hello - 13 bytes: what is left is the server."""

BODY = b'Hello, world!'
HEADERS = [('Content-Type', 'text/plain'), ('Content-Length', '13')]


def app(environ, start_response):
    start_response('200 OK', list(HEADERS))
    return [BODY]
