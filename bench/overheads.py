#!/usr/bin/env python3
"""What starting and distributing cost, in alternated runs on this machine.

    . deploy/mpi_env.sh; bench/overheads.py BUILD_DIR [--pairs N]

start-up   mpirun -np 2, launch to the end of a one-step job, above a bare MPI program
one rank   step time of `mpirun -np 1 trireme train` over that of `trireme train`

Medians, and 95 % intervals of the median of the pairs' differences or ratios (bootstrap, seed 1).
Standard library only.
"""
import argparse
import json
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

JOB = """
name: "overheads"
model { lenet5 {} }
data { train { synthetic { samples: 1200 } } }
train { global_batch: 120 steps: %d }
optimizer { adamw { lr: 1e-3 } }
"""


def seconds(command):
    begin = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - begin


def median_and_interval(values):
    draw = random.Random(1)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(4000))
    return statistics.median(values), medians[100], medians[-101]


def start_up(build, folder, pairs):
    job = folder / "one.txtpb"
    job.write_text(JOB % 1)
    hello, train = [], []
    for i in range(pairs):
        hello.append(seconds(["mpirun", "-np", "2", build / "bench" / "mpi_hello"]))
        train.append(seconds(["mpirun", "-np", "2", build / "trireme", "train", job, "--device",
                              "cpu", "--run-dir", folder / f"one{i}"]))
    difference = median_and_interval([t - h for t, h in zip(train, hello)])
    print(f"start-up: bare MPI {statistics.median(hello):.3f} s, one-step job "
          f"{statistics.median(train):.3f} s; above: {difference[0]:.3f} s "
          f"[{difference[1]:.3f}, {difference[2]:.3f}], {pairs} pairs")


def step_ms(folder, name, launch, build, job):
    run = folder / name
    subprocess.run([*launch, build / "trireme", "train", job, "--device", "cpu", "--run-dir", run],
                   check=True, capture_output=True)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return statistics.median(json.loads(line)["step_ms"] for line in lines[20:])


def one_rank(build, folder, pairs):
    job = folder / "many.txtpb"
    job.write_text(JOB % 300)
    ratios, plain, launched = [], [], []
    for i in range(pairs):
        plain.append(step_ms(folder, f"plain{i}", [], build, job))
        launched.append(step_ms(folder, f"one-rank{i}", ["mpirun", "-np", "1"], build, job))
        ratios.append(launched[-1] / plain[-1])
    ratio = median_and_interval(ratios)
    print(f"one rank: plain {statistics.median(plain):.3f} ms, mpirun -np 1 "
          f"{statistics.median(launched):.3f} ms a step; ratio {ratio[0]:.4f} "
          f"[{ratio[1]:.4f}, {ratio[2]:.4f}], {pairs} pairs")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--pairs", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start_up(arguments.build.resolve(), Path(folder), arguments.pairs)
        one_rank(arguments.build.resolve(), Path(folder), arguments.pairs)


if __name__ == "__main__":
    main()
