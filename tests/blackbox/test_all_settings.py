# SPDX-License-Identifier: MIT
"""All settings of the Gunicorn that is installed, asked for one by one: their
names, defaults, flags, and what is short for a flag."""

import re

import pytest

from test_same_as_gunicorn import (COMMAND, DIFFERENT, GUNICORN, files_of,
                                   row, settings_in, start_both)
from test_settings import run

config = pytest.importorskip("gunicorn.config")
pytestmark = pytest.mark.gcorn
SETTINGS = config.make_settings()
PLAN = {"workers"}  # unset, as many as the machine's plan has
SHOWN = {"statsd_host"}  # as it was written, not in two parts
# An exact flag of gcorn's own.
OURS_FIRST = {"--python"}
# With a value each of these ends the start, with a message: see README.
REFUSED = re.compile("--(keyfile|certfile|ca-certs|cert-reqs|ciphers|"
                     "http-protocols|http2-cleartext|dirty-|spew)")
# Asks, prints or leaves.
LEAVES = {"--help", "--version", "--check-config", "--print-config",
          "--daemon", "--config"}
VALUES = {"--bind": "127.0.0.1:1", "--worker-class": "gthread", "--user": "root",
          "--group": "root", "--chdir": "/tmp", "--pythonpath": "/tmp",
          "--env": "A=1", "--access-logformat": "%(h)s", "--umask": "022",
          "--control-socket-mode": "0660", "--reload-extra-file": "/etc/fstab",
          "--ssl-version": "2", "--log-level": "debug"}


def parser_flags():
    """Flag -> argparse's action, of all long flags."""
    return {flag: action for action in config.Config().parser()._actions
            for flag in action.option_strings if flag.startswith("--")}


def words_for(flag, action, name=None):
    """The flag with a value that is not its default."""
    name = name or flag
    if action.nargs == 0:
        return [name]
    if action.choices:
        return [name, list(action.choices)[-1]]
    if flag in VALUES:
        return [name, VALUES[flag]]
    setting = SETTINGS[action.dest]
    if isinstance(setting.default, int) or action.type is int:
        return [name, "17000" if "http2" in flag else "3"]
    return [name, str(setting.default or "127.0.0.1")]


def both(tmp_path, words):
    case = row(*words)
    files_of(case, tmp_path)
    said = [process.communicate(timeout=60)[0] for process in
            [start_both(command, case, tmp_path)
             for command in (GUNICORN, COMMAND)]]
    theirs, ours = map(settings_in, said)
    assert theirs and ours, said
    return theirs, ours


def same(theirs, ours, but=()):
    wrong = {name: (value, ours.get(name)) for name, value in theirs.items()
             if ours.get(name) != value and name not in DIFFERENT
             and name not in but}
    assert not wrong


def test_names_and_defaults(tmp_path):
    theirs, ours = both(tmp_path, [])
    assert set(SETTINGS) == set(theirs) <= set(ours)
    same(theirs, ours, PLAN)


def test_every_flag_is_known():
    code, text = run("--help")
    assert code == 0
    missing = [flag for setting in SETTINGS.values()
               for flag in setting.cli or ()
               if not re.search(r"(^|[\s,])%s\b" % re.escape(flag), text, re.M)]
    assert not missing


def usable():
    return {flag: action for flag, action in parser_flags().items()
            if flag not in LEAVES and not REFUSED.match(flag)
            and not flag.startswith("--paste")}


def test_every_flag_with_a_value(tmp_path):
    words = []
    for flag, action in usable().items():
        words += words_for(flag, action)
    same(*both(tmp_path, words), SHOWN)


def test_what_is_short_for_a_flag(tmp_path):
    """The shortest that Gunicorn understands means the same here."""
    flags = parser_flags()
    words = []
    for flag, action in usable().items():
        others = [other for other in flags if other != flag]
        short = next(flag[:n] for n in range(3, len(flag) + 1)
                     if not any(other.startswith(flag[:n])
                                for other in others) or n == len(flag))
        if short in OURS_FIRST:
            short += "p"
        words += words_for(flag, action, short)
    same(*both(tmp_path, words), SHOWN)
