# SPDX-License-Identifier: MIT
"""asgi_echo - reads the whole request body and sends it back."""


async def app(scope, receive, send):
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get('body', b''))
        more = message.get('more_body', False)
    body = b''.join(parts)
    await send({'type': 'http.response.start', 'status': 200, 'headers': [
        (b'content-type', b'application/octet-stream'),
        (b'content-length', str(len(body)).encode()),
    ]})
    await send({'type': 'http.response.body', 'body': body})
