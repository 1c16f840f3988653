#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sums JUnit files: prints "PASSED FAILED SKIPPED" and, on standard error,
the name of each test that failed. A file that is missing is one failure: the
run that should have written it died."""

import sys
import xml.etree.ElementTree


def count(path):
    """(passed, names of the failed, skipped)"""
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        return 0, ["%s: %s" % (path, error)], 0
    passed, failed, skipped = 0, [], 0
    for case in root.iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed.append("%s %s" % (case.get("classname"), case.get("name")))
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main():
    passed, failed, skipped = 0, [], 0
    for path in sys.argv[1:]:
        good, bad, left = count(path)
        passed, failed, skipped = passed + good, failed + bad, skipped + left
    for name in failed:
        print("FAILED " + name, file=sys.stderr)
    print(passed, len(failed), skipped)


if __name__ == "__main__":
    main()
