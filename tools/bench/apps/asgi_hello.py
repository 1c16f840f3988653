# SPDX-License-Identifier: MIT
"""asgi_hello - 13 bytes: what is left is the server."""

START = {'type': 'http.response.start', 'status': 200,
         'headers': [(b'content-type', b'text/plain'),
                     (b'content-length', b'13')]}
BODY = {'type': 'http.response.body', 'body': b'Hello, world!'}


async def app(scope, receive, send):
    await send(START)
    await send(BODY)
