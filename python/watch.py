# SPDX-License-Identifier: MIT
"""--reload: sees that code has changed. Compiled into the host (embed.py).

Looked at are the files of all loaded modules, every other Python file beside
those that are not installed packages (a module that failed to load is in no
list), and reload_extra_files, whose patterns are expanded at each look.
"""
import glob
import os
import sys
import time


def directories(root):
    """Where the application's own code lies."""
    found = {os.path.abspath(root)}
    for path in modules():
        if "site-packages" not in path and not path.startswith(LIBRARY):
            found.add(os.path.dirname(path))
    return found


def modules():
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and os.path.isabs(path):
            yield path


def watched(root, extra):
    files = set(modules())
    for directory in directories(root):
        files.update(glob.glob(os.path.join(glob.escape(directory), "*.py")))
    for pattern in extra:
        files.update(glob.glob(os.path.join(root, pattern), recursive=True))
    return files


def state_of(path):
    """What tells one state of a file from another; None when it is gone,
    which an editor may have done for a moment only."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def look(files, seen, begun_ns):
    """The file that changed, or None. New ones count when they are newer than
    the process: others were only loaded late."""
    changed = None
    for path in files:
        state = state_of(path)
        if state is None or state == seen.get(path):
            continue
        if path in seen or state[0] >= begun_ns:
            changed = path
        seen[path] = state
    return changed


def watch(root, extra, begun_ns, arm, wait, report):
    """arm(directories): from now on wait() returns when something in them may
    have changed; report(path) says so. For ever."""
    seen = {}
    look(watched(root, extra), seen, time.time_ns() + 10**18)
    # What changed while the application was loaded has changed, too.
    for path, state in seen.items():
        if state[0] >= begun_ns and not path.endswith((".pyc", ".so")):
            report(path)
            break
    while True:
        files = watched(root, extra)
        arm(sorted({os.path.dirname(path) for path in files}))
        # Only now: what changed before that wakes nobody.
        changed = look(watched(root, extra), seen, begun_ns)
        if changed:
            report(changed)
        wait()


LIBRARY = os.path.dirname(os.__file__)
