#!/usr/bin/env python3
"""The fault campaign: what happens to a job and its checkpoints when the world misbehaves.

    tests/campaign.sh faults [PART...] [--count N] [--seed S] [--short] [--build DIR] [--keep] [--write FILE]

Parts: kills writes flips hangs signals doubles speed (default: all). Prints one row a part and ends
with 1 if a promise did not hold; the folders of a part that failed are kept, and named. --short is
the set for continuous integration; --write puts the rows into FILE's table, which stands between
marks.
"""
import argparse
import importlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from harness import ROOT, Failure, Plant, machine  # noqa: E402

PARTS = ("kills", "writes", "flips", "hangs", "signals", "doubles", "speed")
HEAD = ("| part | what was done | what was seen | p50 / p99 / max | seconds | commit, day, seed |", "|---|---|---|---|---|---|")
MARKS = ("<!-- faults: begin -->", "<!-- faults: end -->")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "cpu-only")
    parser.add_argument("--work", type=Path, default=None,
                        help="where the runs' folders are; default: build/faults, of the short set /dev/shm")
    parser.add_argument("--mpiexec", default="mpirun")
    parser.add_argument("--keep", action="store_true", help="also the folders of what went well")
    parser.add_argument("--write", type=Path, metavar="FILE")
    parsed = parser.parse_args()
    for part in parsed.parts:
        if part not in PARTS:
            parser.error(f"no part {part}; {' '.join(PARTS)}")
    return parsed


def work_folder(chosen):
    """The short set lives in memory: thousands of flushes on a busy disk take minutes, and show no more."""
    memory = Path("/dev/shm")
    if chosen.work:
        return chosen.work
    if chosen.short and os.access(memory, os.W_OK):
        return memory / f"trireme-faults-{os.getpid()}"
    return chosen.build.parent / "faults"


def commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=10"],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def write_rows(file, rows):
    """Puts each part's row in the place of the one that was there."""
    text = file.read_text()
    before, rest = text.split(MARKS[0], 1)
    table, after = rest.split(MARKS[1], 1)
    kept = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")}
    kept |= rows
    lines = [*HEAD, *(kept[part] for part in PARTS if part in kept)]
    file.write_text(before + MARKS[0] + "\n" + "\n".join(lines) + "\n" + MARKS[1] + after)


def main():
    chosen = arguments()
    seed = chosen.seed if chosen.seed is not None else int(time.time())
    stamp = f"{commit()}, {time.strftime('%Y-%m-%d')}, {seed}" + (", short" if chosen.short else "")
    print(machine(), "", *HEAD, sep="\n", flush=True)
    rows, failed = {}, []
    for part in chosen.parts or PARTS:
        # A seed of its own: a part alone does what it does among the others.
        work = work_folder(chosen) / part
        plant = Plant(chosen.build.resolve(), work.resolve(), chosen.mpiexec, random.Random(f"{seed} {part}"),
                      patience=3 if chosen.short else 1)
        begin = time.monotonic()
        try:
            done, seen, figures = importlib.import_module(part).run(plant, chosen.count, chosen.short)
            row = f"| {part} | {done} | {seen} | {figures} | {time.monotonic() - begin:.0f} | {stamp} |"
            if not chosen.keep:
                shutil.rmtree(plant.work)
                if not any(plant.work.parent.iterdir()):
                    plant.work.parent.rmdir()
        except Failure as failure:
            failed.append(part)
            why = " ".join(str(failure).split()).replace("|", "/")
            row = f"| {part} | | FAILED: {why} | | {time.monotonic() - begin:.0f} | {stamp} |"
        rows[part] = row
        print(row, flush=True)
    if chosen.write:
        write_rows(chosen.write, rows)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
