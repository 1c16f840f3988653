# SPDX-License-Identifier: MIT
"""bjoern_serve MODULE PORT PROCESSES - bjoern has no command line.

More than one process listen with SO_REUSEPORT, as its documentation says.
"""
import importlib
import os
import sys

import bjoern

module, port, processes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sys.path.insert(0, os.getcwd())
application = importlib.import_module(module).app
for _ in range(processes - 1):
    if os.fork() == 0:
        break
bjoern.run(application, '127.0.0.1', port, reuse_port=processes > 1)
