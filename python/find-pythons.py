# SPDX-License-Identifier: MIT
"""Lists the Pythons a host can be built for, one line each:

    version|include directory|library directory|library name|system or other|
    executable

Arguments are the executables to look at, and then all must be usable; without
any, those of the system, of PATH and of pyenv are tried, the system's first.
One line for each minor version, the first that is found.
"""
import glob
import os
import re
import subprocess
import sys

OLDEST = (3, 11)

ASK = """
import sys, sysconfig
v = sysconfig.get_config_var
print("%d.%d%s" % (*sys.version_info[:2], sys.abiflags), v("INCLUDEPY"),
      v("LIBDIR"), v("LDLIBRARY"), sys.base_prefix, sys.executable, sep="|")
"""


def describe(executable):
    """The executable's line, or why there is none."""
    try:
        answer = subprocess.run([executable, "-Ic", ASK], text=True, timeout=30,
                                capture_output=True, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return None, str(error)
    version, include, libdir, library, prefix, real = answer.split("|")
    # Free-threaded builds ("3.13t") would need locks of their own.
    if not re.fullmatch(r"3\.\d+", version):
        return None, "its build variant %s is not supported" % version
    if tuple(map(int, version.split("."))) < OLDEST:
        return None, "it is older than %d.%d" % OLDEST
    match = re.fullmatch(r"lib(.+)\.so", library)
    if match is None or not os.path.exists(os.path.join(libdir, library)):
        return None, "it has no shared libpython (--enable-shared)"
    if not os.path.exists(os.path.join(include, "Python.h")):
        return None, "its headers (Python.h) are not installed"
    kind = "system" if prefix == "/usr" else "other"
    return "|".join(
        (version, include, libdir, match.group(1), kind, real)), None


def newest_first(path):
    return [-int(part) for part in re.findall(r"\d+", path)]


def candidates():
    folders = ["/usr/bin"] + os.environ.get("PATH", "").split(os.pathsep)
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    folders += sorted(glob.glob(pyenv + "/versions/3.*/bin"), key=newest_first)
    seen = set()
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, "python3*"))):
            name = os.path.basename(path)
            real = os.path.realpath(path)
            if re.fullmatch(r"python3(\.1\d)?", name) and real not in seen:
                seen.add(real)
                yield path


def main():
    wanted = sys.argv[1:]
    lines = {}
    for path in wanted or candidates():
        line, why = describe(path)
        if line is not None:
            lines.setdefault(line.split("|")[0], line)
        elif wanted:
            sys.exit("%s: %s" % (path, why))
    print("\n".join(lines[version] for version in sorted(
        lines, key=lambda version: int(version.split(".")[1]))))


if __name__ == "__main__":
    main()
