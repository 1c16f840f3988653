# SPDX-License-Identifier: MIT
"""snooze - waits 10 ms, as for another service, and answers."""
import time

BODY = b'Good morning.'
HEADERS = [('Content-Type', 'text/plain'), ('Content-Length', '13')]


def app(environ, start_response):
    time.sleep(0.010)
    start_response('200 OK', list(HEADERS))
    return [BODY]
