# SPDX-License-Identifier: MIT
"""sleeper - every request takes 30 s, in which Python does nothing."""
import time


def app(environ, start_response):
    time.sleep(30)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'Good morning.']
