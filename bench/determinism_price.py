#!/usr/bin/env python3
"""What train.determinism LAYOUT costs: step times beside RUN's on this machine's CPU.

    determinism_price.py --trireme build/release/trireme [--mpiexec mpiexec] [--ranks 1 2] [--pairs 8]

Three jobs take turns: RUN with a rank's share as one micro-batch, RUN with the micro-batches that
LAYOUT has (a virtual shard each), and LAYOUT. A row a network and number of ranks: ms a step, and
LAYOUT's ratio to both, each the median over the rounds, ratios with their range. A run counts with
the 10 % quantile of its steps, which other load on the machine distorts least. One thread a rank.
Standard library only.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

BATCH, SHARDS = 128, 8
JOB = """
name: "price"
model {{ {model} }}
data {{ train {{ synthetic {{ samples: 1024 height: 28 width: 28 channels: 1 classes: 10 }} }} }}
train {{ global_batch: {batch} micro_batch: {micro} steps: {steps} determinism: {determinism}
        virtual_shards: {shards} threads: 1 }}
optimizer {{ adamw {{ lr: 1e-3 }} clip_norm: 1 }}
"""
# The MLP has 7.4 million parameters, a little more than a GPT block of width 768.
NETWORKS = {
    "LeNet-5": ("lenet5 {}", 60),
    "MLP 784-2048-2048-768-10": ("mlp { hidden: [2048, 2048, 768] }", 30),
}


def step_ms(arguments, folder, ranks, model, steps, determinism, micro):
    job = folder / "price.txtpb"
    job.write_text(JOB.format(model=model, batch=BATCH, micro=micro, steps=steps,
                              determinism=determinism, shards=SHARDS))
    with tempfile.TemporaryDirectory(dir=folder) as run:
        command = [arguments.trireme, "train", job, "--run-dir", Path(run) / "run", "--device",
                   "cpu"]
        if ranks > 1:
            command = [arguments.mpiexec, "-np", str(ranks)] + command
        subprocess.run(command, check=True, capture_output=True,
                       env={**os.environ, "OMP_NUM_THREADS": "1"})
        records = map(json.loads, (Path(run) / "run/metrics.jsonl").read_text().splitlines())
        return statistics.quantiles([r["step_ms"] for r in records if "step_ms" in r][10:], n=10)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trireme", required=True)
    parser.add_argument("--mpiexec", default="mpiexec")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--pairs", type=int, default=8)
    arguments = parser.parse_args()
    print("| network | ranks | RUN | RUN, micro-batch 16 | LAYOUT | LAYOUT / RUN | / the second |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name, (model, steps) in NETWORKS.items():
            for ranks in arguments.ranks:
                rounds = [[step_ms(arguments, Path(scratch), ranks, model, steps, *kind)
                           for kind in (("RUN", 0), ("RUN", BATCH // SHARDS), ("LAYOUT", 0))]
                          for _ in range(arguments.pairs)]
                medians = [statistics.median(column) for column in zip(*rounds)]
                ratios = []
                for base in (0, 1):
                    each = sorted(r[2] / r[base] for r in rounds)
                    ratios.append(f"{statistics.median(each):.2f} [{each[0]:.2f}, {each[-1]:.2f}]")
                print(f"| {name} | {ranks} | " + " | ".join(f"{m:.2f}" for m in medians) +
                      f" | {ratios[0]} | {ratios[1]} |", flush=True)


if __name__ == "__main__":
    main()
