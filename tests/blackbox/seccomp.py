# SPDX-License-Identifier: MIT
"""Seccomp for a process to come: BPF made of a few system calls, or of a
profile in Docker's format, as far as tools/deploy uses it."""

import ctypes
import json
import pathlib
import platform
import re
import struct

ALLOW = 0x7fff0000
ERRNO = 0x00050000
LOAD, EQUAL, GREATER, AND, RETURN = 0x20, 0x15, 0x25, 0x54, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
ARCHITECTURES = {"x86_64": ("SCMP_ARCH_X86_64", 0xc000003e),
                 "aarch64": ("SCMP_ARCH_AARCH64", 0xc00000b7)}
HEADERS = ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
           "/usr/include/aarch64-linux-gnu/asm/unistd_64.h",
           "/usr/include/asm-generic/unistd.h"]
NEW = {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
       "openat2": 437}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2


def numbers():
    """The system calls of this machine, by name."""
    wanted = HEADERS[0] if platform.machine() == "x86_64" else HEADERS[1]
    path = wanted if pathlib.Path(wanted).exists() else HEADERS[2]
    text = pathlib.Path(path).read_text()
    found = {name: int(number) for name, number in re.findall(
        r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", text, re.M)}
    return {**found, **NEW}


def op(code, value, yes=0, no=0):
    return struct.pack("HBBI", code, yes, no, value & 0xffffffff)


def when(number, body):
    """Jumps over the body, which returns, for every other system call."""
    return [op(EQUAL, number, 0, len(body)), *body]


def condition(argument, value):
    """One comparison of the low half of an argument; the high half is 0."""
    low = [op(LOAD, ARGUMENTS + 8 * argument["index"])]
    if argument["op"] == "SCMP_CMP_MASKED_EQ":
        low += [op(AND, argument["value"]),
                op(EQUAL, argument["valueTwo"], 0, 1)]
    elif argument["op"] == "SCMP_CMP_EQ":
        low += [op(EQUAL, argument["value"], 0, 1)]
    elif argument["op"] == "SCMP_CMP_NE":
        low += [op(EQUAL, argument["value"], 1, 0)]
    else:
        raise ValueError(argument["op"])
    return [*low, op(RETURN, value), op(LOAD, NUMBER)]


def of_profile(path):
    """The filter for this machine, and the names it does not know."""
    profile = json.loads(pathlib.Path(path).read_text())
    name, audit = ARCHITECTURES[platform.machine()]
    assert name in [a["architecture"] for a in profile["archMap"]]
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    known = numbers()
    code = [op(LOAD, ARCHITECTURE), op(EQUAL, audit, 1, 0),
            op(RETURN, 0), op(LOAD, NUMBER)]
    for rule in profile["syscalls"]:
        value = {"SCMP_ACT_ALLOW": ALLOW,
                 "SCMP_ACT_ERRNO": ERRNO | rule.get("errnoRet", 1)}[
                     rule["action"]]
        for syscall in rule["names"]:
            if syscall not in known:
                continue
            body = [op(RETURN, value)]
            for argument in rule.get("args", []):
                body = condition(argument, value)
            code += when(known[syscall], body)
    return code + [op(RETURN, ERRNO | profile["defaultErrnoRet"])]


def forbidding(names, errno):
    known = numbers()
    code = [op(LOAD, NUMBER)]
    for name in names:
        code += when(known[name], [op(RETURN, ERRNO | errno)])
    return code + [op(RETURN, ALLOW)]


def enter(code):
    """For preexec_fn: this process, and all that come of it."""
    libc = ctypes.CDLL(None, use_errno=True)
    raw = ctypes.create_string_buffer(b"".join(code))
    length = len(code)

    def now():
        program = struct.pack("HxxxxxxP", length, ctypes.addressof(raw))
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
                PR_SET_SECCOMP, FILTER, program, 0, 0):
            raise OSError(ctypes.get_errno(), "seccomp")
    return now
