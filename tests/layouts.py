#!/usr/bin/env python3
"""Every layout of up to eight ranks against one rank: as threads, then some under mpirun.

    tests/campaign.sh layouts [--mpirun N] [--write FILE]

Prints a markdown table, and with --write puts it between the marks in FILE. Ends with 1 if a
layout differs. Needs the cpu-only build of trireme and parallel_tests, which the campaign makes.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "cpu-only"
sys.path.insert(0, str(ROOT / "tests" / "faults"))
from harness import machine  # noqa: E402

MARKS = ("<!-- layouts: begin -->", "<!-- layouts: end -->")
HEAD = ("| network | ranks as | layouts | equal one rank | loss of step 1 | losses 2 to 10, eval | gradients of step 1 | seconds |",
        "|---|---|---|---|---|---|---|---|")


def as_threads():
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        start = time.monotonic()
        subprocess.run([BUILD / "tests" / "parallel_tests", "--gtest_filter=Pairwise*", f"--gtest_output=json:{report}"],
                       env={**os.environ, "TRIREME_LAYOUTS": "all"}, stdout=subprocess.DEVNULL, check=False)
        seconds = time.monotonic() - start
        tests = [t for suite in json.loads(report.read_text())["testsuites"] for t in suite["testsuite"]]
    rows, good = [], bool(tests)
    for network in ("Mlp", "Lenet5", "Gpt", "Llama"):
        of_it = [t for t in tests if f"_{network}_" in t["name"]]
        equal = [t for t in of_it if not t.get("failures")]
        good &= len(equal) == len(of_it) > 0
        worst = [max(float(t.get(key, "inf")) for t in of_it) for key in ("first", "later", "gradient")]
        rows.append(f"| {network} | threads | {len(of_it)} | {len(equal)} | " + " | ".join(f"{w:.1e}" for w in worst)
                    + f" | {seconds:.0f} (all four) |")
    return rows, good


def under_mpirun(count):
    start = time.monotonic()
    done = subprocess.run([sys.executable, ROOT / "tests" / "launcher" / "train" / "layouts_mpirun_test.py",
                           BUILD / "trireme", "mpirun"], env={**os.environ, "TRIREME_LAYOUTS": str(count)},
                          capture_output=True, text=True, check=False)
    tried = [line.split()[0] for line in done.stdout.splitlines() if line.endswith(" layouts")]
    if done.returncode:
        sys.stderr.write(done.stderr)
    equal = tried[0] if tried and done.returncode == 0 else "not all"
    row = (f"| Gpt | mpirun | {tried[0] if tried else '?'} | {equal} | below 2e-6 | below 2e-6 (6 steps) | below 1e-5 "
           f"| {time.monotonic() - start:.0f} |")
    return row, done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mpirun", type=int, default=40, metavar="N")
    parser.add_argument("--write", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    rows, threads_equal = as_threads()
    row, mpirun_equal = under_mpirun(chosen.mpirun)
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=10"], capture_output=True,
                            text=True, check=True).stdout.strip()
    where = f"{time.strftime('%Y-%m-%d')}, commit {commit}, seed 20261121, {machine()}"
    text = "\n".join([*HEAD, *rows, row, "", where])
    print(text)
    if chosen.write:
        before, _, rest = chosen.write.read_text().partition(MARKS[0])
        _, _, after = rest.partition(MARKS[1])
        chosen.write.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")
    sys.exit(0 if threads_equal and mpirun_equal else 1)


main()
