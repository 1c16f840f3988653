# SPDX-License-Identifier: MIT
"""json_small - the least a JSON answer can be: about 2 us of Python."""
import json


def app(environ, start_response):
    body = json.dumps({
        'message': 'Hello, World',
        'path': environ['PATH_INFO'],
        'method': environ['REQUEST_METHOD'],
        'items': [1, 2, 3],
    }).encode()
    start_response('200 OK', [
        ('Content-Type', 'application/json'),
        ('Content-Length', str(len(body))),
    ])
    return [body]
