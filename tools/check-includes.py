#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails on an #include against the grain: a table and a loop.

The libraries are linked downwards only, so a call against the grain does not
link; this also catches the include that would tempt someone to write it.
"""

import pathlib
import re
import sys

# folder -> folders whose headers its files may include ("" is its own).
MAY_SEE = {
    "topology": {"topology"},
    "core": {"core"},
    "python": {"python", "core"},
    "workers": {"workers", "core", "topology"},
    "tools": {"tools", "topology"},
    "tests": {"tests", "core", "topology", "python", "workers"},
}

# The only files that may include a library's header.
ONLY_IN = {
    r"liburing(/.*)?\.h": r"core/ring_uring(_open)?\.[ch]|tools/topo/bench_io\.c",
    r"Python\.h": r"python/internal\.h",
    r"hwloc(/.*)?\.h": r"topology/[a-z_]+\.[ch]",
    r"numa(if)?\.h": r"topology/[a-z_]+\.c",
}

# What the exchange side of core is: the only part of it python may see.
PYTHON_SEES = {
    "arena", "base", "board", "board_interp", "board_worker", "bytes",
    "exchange", "exchange_loop", "exchange_peer", "exchange_request",
    "exchange_stream", "exchange_take", "exchange_word", "exchange_writer",
    "http", "http_write", "log",
    "log_remote", "owner", "percent",
    "settings", "stats", "template", "ws",
}

# The ground under all folders: these know nobody.
ALL_SEE = {"core/base.h", "core/bytes.h"}

BANNED_NAMES = {"util", "utils", "common", "helpers", "misc"}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def folder_of(name, source, root):
    """Folder of a header named with quotes, or None if it is not ours."""
    beside = source.parent / name
    if beside.is_file():
        return beside.resolve().relative_to(root).parts[0]
    if (root / name).is_file():
        return pathlib.PurePath(name).parts[0]
    return None


def check_own_header_first(path, text):
    found = INCLUDE.findall(text)
    header = path.with_suffix(".h")
    if path.suffix != ".c" or not header.is_file():
        return
    if not found or pathlib.PurePath(found[0][1]).name != header.name:
        yield "does not include its own %s first" % header.name


def check_library(here, name):
    for library, allowed in ONLY_IN.items():
        if re.fullmatch(library, name) and not re.fullmatch(allowed, here):
            yield "%s may only be included by %s" % (name, allowed)


def check_direction(folder, seen, name):
    if seen is None or name in ALL_SEE:
        return
    if seen not in MAY_SEE[folder]:
        yield "%s must not include %s" % (folder, name)
    elif folder == "python" and seen == "core":
        if pathlib.PurePath(name).stem not in PYTHON_SEES:
            yield "python sees the exchange side of core only: " + name


def check_file(path, root):
    here = path.relative_to(root).as_posix()
    folder = here.split("/")[0]
    text = path.read_text()
    if path.stem in BANNED_NAMES:
        yield "a file named %s says nothing" % path.name
    if "SPDX-License-Identifier: MIT" not in text.split("\n", 2)[0]:
        yield "no SPDX line"
    yield from check_own_header_first(path, text)
    for quote, name in INCLUDE.findall(text):
        if quote == "<":
            if not folder == "tests":
                yield from check_library(here, name)
        else:
            yield from check_direction(folder, folder_of(name, path, root),
                                       name)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1
                        else pathlib.Path(__file__).parent.parent).resolve()
    bad = 0
    files = 0
    for folder in sorted(MAY_SEE):
        for path in sorted((root / folder).rglob("*.[ch]")):
            files += 1
            for complaint in check_file(path, root):
                print("%s: %s" % (path.relative_to(root), complaint))
                bad += 1
    if not files:
        print("no sources under %s" % root)
        bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
