# SPDX-License-Identifier: MIT
"""Gunicorn and gcorn, started with the same words in equal directories."""

import contextlib
import re
import sys

from server import COMMAND, Server, free_port

GUNICORN = [sys.executable, "-m", "gunicorn"]

# What belongs to one run of one server, and what stands for it.
RUN = [
    (r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] ", ""),
    (r"pid: ?\d+", "pid: N"), (r"PID \d+", "PID N"), (r"\(\d+\)", "(N)"),
    (r"<\d+>", "<N>"), (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"/\S*/(gunicorn|gcorn)(?=[/:\s]|$)", "DIR"),
    (r"(gunicorn|gcorn)[ /]\d+[.\d]*\S*", "SERVER"),
]


def plain(line):
    """The line without times, process ids and addresses."""
    for pattern, text in RUN:
        line = re.sub(pattern, text, line)
    return line


@contextlib.contextmanager
def twins(tmp_path, *args, app="probe:app", conf="", files=None, unix=False,
          **kind):
    """[Gunicorn's Server, gcorn's]; {dir} in words is each one's own."""
    with contextlib.ExitStack() as stack:
        both = []
        for name, command in (("gunicorn", GUNICORN), ("gcorn", COMMAND)):
            home = tmp_path / name
            home.mkdir()
            for path, text in {"gunicorn.conf.py": conf,
                               **(files or {})}.items():
                (home / path).write_text(text.replace("{dir}", str(home)))
            words = [str(arg).replace("{dir}", str(home)) for arg in args]
            server = Server(
                app, *words, directory=home, command=command,
                bind="unix:%s/sock" % home if unix else
                "127.0.0.1:%d" % free_port(), **kind)
            server.home = home
            both.append(stack.enter_context(server))
        yield both


def messages(server):
    """The error log's texts, in order."""
    return [plain(line) for line in server.log().splitlines()]
