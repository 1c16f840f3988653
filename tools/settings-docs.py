#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""settings-docs.py GCORN ROOT [--write]: README.md and gcorn.1 against the
settings table of the program.

Fails when one of them is not current; with --write it makes them so.
"""

import pathlib
import re
import subprocess
import sys

README = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.S)
MANUAL = re.compile(r'(\.\\" settings\n).*?(\.\\" /settings\n)', re.S)


def cells(line):
    """The cells of a table's row; "\\|" is a bar inside one."""
    inner = line.strip().strip("|")
    parts = re.split(r"(?<!\\)\|", inner)
    return [part.strip().replace("\\|", "|") for part in parts]


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def manual_of(table):
    for line in table.splitlines()[2:]:
        name, flags, default, text = cells(line)
        if name.startswith("**"):
            yield '.SS "%s"' % name.strip("*")
            continue
        names = re.findall(r"`([^`]*)`", flags)
        if not names:
            continue
        yield ".TP"
        yield ".BR " + ' ", " '.join(roff(flag) for flag in names)
        yield roff(text)
        if default:
            yield "Default:"
            yield roff(default.strip("`")) + "."


def renew(path, pattern, body, write):
    old = path.read_text()
    new, count = pattern.subn(lambda m: m[1] + body + m[2], old)
    if count != 1:
        print("%s: no place for the settings" % path)
        return False
    if new == old:
        return True
    if write:
        path.write_text(new)
        return True
    print("%s is not current: run tools/settings-docs.py GCORN ROOT --write"
          % path)
    return False


def main():
    gcorn, root = sys.argv[1], pathlib.Path(sys.argv[2])
    write = "--write" in sys.argv[3:]
    table = subprocess.run([gcorn, "--settings-table"], check=True, text=True,
                           stdout=subprocess.PIPE).stdout
    manual = "".join(line + "\n" for line in manual_of(table))
    current = [renew(root / "README.md", README, table, write),
               renew(root / "workers" / "gcorn.1", MANUAL, manual, write)]
    return 0 if all(current) else 1


if __name__ == "__main__":
    sys.exit(main())
