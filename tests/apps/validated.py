# SPDX-License-Identifier: MIT
"""The demo and the probes, each behind the standard library's validator."""

import os
import sys
from wsgiref.validate import validator

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "tools", "demo"))

import app as demo  # noqa: E402
import probe  # noqa: E402

checked_demo = validator(demo.app)
checked_probe = validator(probe.app)


def app(environ, start_response):
    if environ["PATH_INFO"].startswith("/probe/"):
        environ["SCRIPT_NAME"] += "/probe"
        environ["PATH_INFO"] = environ["PATH_INFO"][len("/probe"):]
        return checked_probe(environ, start_response)
    return checked_demo(environ, start_response)
