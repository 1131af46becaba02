#!/usr/bin/env python3
"""Counts tests in a JUnit file of ctest: gtest's own cases where an entry ran a gtest binary.

Prints the output's end of every failed entry, how many cases skipped (those that need a GPU, where there
is none, say so), and last "N passed, M failed". Status 1 if any failed,
if the file is missing, or if nothing ran.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree


def gtest_count(output, word):
    """The largest such count in the output: under mpirun each rank prints its own."""
    counts = [int(n) for n in re.findall(rf"\[  {word}  \] (\d+) tests?[,.]", output)]
    return max(counts, default=0)


def main(path):
    passed = failed = skipped = 0
    try:
        cases = ElementTree.parse(path).getroot().findall("testcase")
    except (OSError, ElementTree.ParseError) as error:
        print(f"{path}: {error}")
        cases = []
    for case in cases:
        output = case.findtext("system-out") or ""
        ok = case.get("status") == "run"
        passed += gtest_count(output, "PASSED") or int(ok)
        skipped += gtest_count(output, "SKIPPED")
        if not ok:
            failed += gtest_count(output, "FAILED") or 1
            print(f"-- FAILED: {case.get('name')} ({case.get('status')})")
            print("\n".join(output.splitlines()[-60:]))
        else:
            print(f"{case.get('name')}: {float(case.get('time')):.1f} s")
    failed += not cases  # nothing ran: not a pass
    if skipped:
        print(f"{skipped} skipped: they need a GPU")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
