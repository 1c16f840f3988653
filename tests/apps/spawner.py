# SPDX-License-Identifier: MIT
"""Starts a program, and shows which descriptors that one got."""

import json
import subprocess
import sys

CODE = """
import os
print(*sorted((fd for fd in os.listdir("/proc/self/fd")
               if os.path.exists("/proc/self/fd/" + fd)), key=int))
"""


def app(environ, start_response):
    done = subprocess.run([sys.executable, "-Ic", CODE], text=True,
                          close_fds=False, stdout=subprocess.PIPE)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(done.stdout.split()).encode()]
