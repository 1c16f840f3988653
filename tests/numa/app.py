# SPDX-License-Identifier: MIT
"""Grows with each request, so that there is memory to look for."""
import os

loaded = bytearray(b"x") * (int(os.environ.get("MEMORY_START", "0")) << 20)
kept = []


def app(environ, start_response):
    kept.append(bytearray(256 << 10))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served\n"]
