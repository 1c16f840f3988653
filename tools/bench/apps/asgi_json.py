# SPDX-License-Identifier: MIT
"""asgi_json - the answer of json_page, from an ASGI application."""
import json
from urllib.parse import parse_qsl


async def app(scope, receive, send):
    query = dict(parse_qsl(scope['query_string'].decode()))
    body = json.dumps({
        'message': 'Hello, ' + query.get('name', 'nobody'),
        'path': scope['path'],
        'method': scope['method'],
        'rows': [{'id': i, 'stock': i * 7 % 50} for i in range(3)],
    }).encode()
    await send({'type': 'http.response.start', 'status': 200, 'headers': [
        (b'content-type', b'application/json'),
        (b'content-length', str(len(body)).encode()),
    ]})
    await send({'type': 'http.response.body', 'body': body})
