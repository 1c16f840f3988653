# SPDX-License-Identifier: MIT
"""applications - what is served, and how it is asked for.

slots is how many requests a server may work on at once (threads, or processes
where a server has no threads): 1 where an application only computes, since
the server has one CPU, and more where it waits.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Application:
    name: str
    title: str
    module: str
    path: str
    connections: int
    slots: int
    expect: bytes
    body_bytes: int = 0
    needs_database: bool = False
    computes_only: bool = False     # so its cost alone can be told
    interface: str = 'wsgi'         # or asgi; files: without Python


APPLICATIONS = [
    Application('hello', 'hello, 13 bytes', 'hello', '/', 64, 1,
                b'Hello, world!', computes_only=True),
    Application('json', 'JSON, about 5 µs of Python', 'json_page',
                '/greet?name=World', 64, 1,
                b'{"message": "Hello, World", "path": "/greet", '
                b'"method": "GET", "rows": [{"id": 0, "stock": 0}, '
                b'{"id": 1, "stock": 7}, {"id": 2, "stock": 14}]}',
                computes_only=True),
    Application('json-small', 'JSON, about 2 µs of Python', 'json_small',
                '/greet', 64, 1,
                b'{"message": "Hello, World", "path": "/greet", '
                b'"method": "GET", "items": [1, 2, 3]}',
                computes_only=True),
    Application('flask', 'Flask, hello', 'flask_hello', '/', 64, 1,
                b'Hello, world!'),
    Application('django', 'Django page, one PostgreSQL query', 'django_page',
                '/', 16, 4, b'<tr><td>item 40</td><td>0.40</td>',
                needs_database=True),
    Application('echo', 'POST of 100 KB, echoed', 'echo', '/', 32, 1,
                b'0123456789' * 10_000, body_bytes=100_000),
    Application('file', 'a file of 1 KB', 'hello', '/files/small.css', 64, 1,
                b'a' * 1024, interface='files'),
    Application('download', 'a file of 1 MiB', 'hello', '/files/large.bin', 16,
                1, b'a' * (1 << 20), interface='files'),
    Application('sleep', 'waits 10 ms', 'snooze', '/', 32, 32,
                b'Good morning.'),
    Application('asgi-hello', 'ASGI hello, 13 bytes', 'asgi_hello', '/', 64, 1,
                b'Hello, world!', computes_only=True, interface='asgi'),
    Application('asgi-json', 'ASGI JSON', 'asgi_json', '/greet?name=World', 64,
                1, b'{"message": "Hello, World", "path": "/greet", '
                b'"method": "GET", "rows": [{"id": 0, "stock": 0}, '
                b'{"id": 1, "stock": 7}, {"id": 2, "stock": 14}]}',
                computes_only=True, interface='asgi'),
    Application('asgi-echo', 'ASGI POST of 10 KB, echoed', 'asgi_echo', '/', 32,
                1, b'0123456789' * 1000, body_bytes=10_000, interface='asgi'),
    Application('fastapi', 'FastAPI, one PostgreSQL query through asyncpg',
                'fastapi_page', '/', 16, 1, b'"name":"item 40"',
                needs_database=True, interface='asgi'),
]

FILES = {'small.css': 1024, 'large.bin': 1 << 20}

MIXED = Application('mixed', '1 % of requests wait 200 ms', 'mixed', '/', 32,
                    8, b'Hello, world!')
