# SPDX-License-Identifier: MIT
"""Takes memory: MEMORY_START megabytes when it is loaded, and as many more as
/grow?mb=N asks for; /take?mb=N gives back what it takes, /leak?bytes=N does
not. Every answer names the process."""

import os
from urllib.parse import parse_qs


def megabytes(count):
    return bytearray(b"x") * (count << 20)


KEPT = [megabytes(int(os.environ.get("MEMORY_START", "0")))]


def app(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    if environ["PATH_INFO"] == "/grow":
        KEPT.append(megabytes(int(query["mb"][0])))
    elif environ["PATH_INFO"] == "/take":
        megabytes(int(query["mb"][0]))
    elif environ["PATH_INFO"] == "/fail":
        raise RuntimeError("asked for")
    elif environ["PATH_INFO"] == "/leak":
        KEPT.append(os.urandom(int(query["bytes"][0])))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]
