# SPDX-License-Identifier: MIT
"""Which Python this is, and whether extension modules find its symbols."""
import ctypes
import decimal
import json
import os
import sqlite3
import ssl
import subprocess
import sys

import psycopg

ctypes.pythonapi.Py_GetVersion.restype = ctypes.c_char_p


def facts():
    return {
        "pid": os.getpid(),
        "file": os.readlink("/proc/self/exe"),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "argv": sys.argv,
        "preload": os.environ.get("LD_PRELOAD"),
        "child": subprocess.run(["env"], capture_output=True, text=True,
                                check=True).stdout.count("gcorn-python"),
        "version": ctypes.pythonapi.Py_GetVersion().decode(),
        "sum": str(decimal.Decimal("0.1") + decimal.Decimal("0.2")),
        "sqlite": sqlite3.connect(":memory:").execute(
            "select 6 * 7").fetchone(),
        "psycopg": psycopg.pq.__impl__,
        "tls": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).verify_mode,
    }


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(facts()).encode()]
