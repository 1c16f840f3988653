# SPDX-License-Identifier: MIT
"""Grows with each request, so that there is memory to look for."""
kept = []


def app(environ, start_response):
    kept.append(bytearray(256 << 10))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served\n"]
