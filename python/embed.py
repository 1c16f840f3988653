# SPDX-License-Identifier: MIT
"""embed.py SOURCE.py OUTPUT.h NAME: a Python source as a C string NAME[]."""
import sys


def literal(line):
    escaped = line.replace("\\", "\\\\").replace('"', '\\"')
    return '    "%s\\n"' % escaped.rstrip("\n")


def main():
    source, output, name = sys.argv[1:]
    with open(source, encoding="ascii") as file:
        text = file.read()
    compile(text, source, "exec")  # a mistake is found when building
    with open(output, "w", encoding="ascii") as file:
        file.write("static const char %s[] =\n%s;\n" % (
            name, "\n".join(map(literal, text.splitlines()))))


if __name__ == "__main__":
    main()
