# SPDX-License-Identifier: MIT
"""echo - reads the whole request body and sends it back."""


def app(environ, start_response):
    length = int(environ.get('CONTENT_LENGTH') or 0)
    body = environ['wsgi.input'].read(length)
    start_response('200 OK', [
        ('Content-Type', 'application/octet-stream'),
        ('Content-Length', str(len(body))),
    ])
    return [body]
