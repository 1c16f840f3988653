# SPDX-License-Identifier: MIT
"""fastpysgi_serve MODULE PORT PROCESSES - its command line lacks the settings
that matter here: processes, TCP_NODELAY, which it leaves off, and the event
loop of ASGI applications."""
import importlib
import inspect
import os
import sys

import fastpysgi

module, port, processes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sys.path.insert(0, os.getcwd())
application = importlib.import_module(module).app
fastpysgi.server.tcp_nodelay = 1
if not inspect.isfunction(application) or \
        inspect.iscoroutinefunction(application):
    import uvloop
    fastpysgi.server.loop = uvloop.new_event_loop()
fastpysgi.run(application, '127.0.0.1', port, loglevel=0, workers=processes)
