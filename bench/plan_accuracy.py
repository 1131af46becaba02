#!/usr/bin/env python3
"""What `trireme plan` says beside what a run does: memory and the time of a step, as two tables.

    . deploy/mpi_env.sh; python3 bench/plan_accuracy.py BUILD_DIR [--memory] [--time] [--runs N]

memory  jobs of more than 512 MiB a rank, on 1 and 2 ranks, for 2 steps: the peak of each rank's
        resident memory minus what it had before the arenas (metrics.jsonl), over the plan's bytes;
        of ranks that hold the same part of the network the fullest is judged, since MPI's reductions
        take their memory on some ranks only
time    `trireme doctor --measure`, then the median step of six jobs beside the plan's, of 20 steps
        and of as many as the plan sees in two seconds; of N rounds of both the quickest plan and the
        quickest median count, since other work on the machine only adds

Ends with 1 if a figure is further off than --memory-bound (0.02) or --time-bound (0.2). The machine
should have nothing else to do. Standard library only.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HEAD = """
name: "{name}"
model {{ {model} }}
data {{ train {{ {data} }} }}
train {{ global_batch: {batch} steps: {steps} {train} }}
optimizer {{ adamw {{ lr: 1e-4 }} clip_norm: 1 }}
parallel {{ {parallel} }}
"""
IMAGES = "synthetic { samples: 240 }"  # made once, then kept
WIDE = "mlp { hidden: [4096, 4096, 2048] }"
WIDER = "mlp { hidden: [6144, 6144, 4096] }"
GPT = "gpt { layers: 4 width: 640 heads: 10 context: 128 vocabulary: 16384 }"


# name, ranks, model, data, global batch, train { ... }, parallel { ... }
MEMORY = [
    ("gpt", 1, GPT, "TOKENS", 4, "micro_batch: 4", ""),
    ("mlp", 1, WIDE, IMAGES, 64, "", ""),
    ("mlp, data 2", 2, WIDE, IMAGES, 64, "", ""),
    ("gpt, zero 2", 2, GPT.replace("layers: 4", "layers: 8"), "TOKENS", 4, "micro_batch: 2",
     "zero: 2"),
    ("mlp, pipeline 2", 2, WIDER, IMAGES, 64, "micro_batch: 16", "pipeline: 2"),
    ("gpt, tensor 2", 2, GPT.replace("layers: 4", "layers: 8"), "TOKENS", 4, "micro_batch: 4",
     "tensor: 2"),
]
TIME = [
    ("mlp", 1, "mlp { hidden: [512, 512] }", IMAGES, 120, "", ""),
    ("lenet5", 1, "lenet5 {}", IMAGES, 120, "", ""),
    ("gpt_char, reduced", 1,
     "gpt { layers: 3 width: 192 heads: 6 context: 128 vocabulary: 256 dropout: 0.1 }", "TOKENS",
     8, "", ""),
    ("llama_tiny", 1,
     "llama { layers: 4 width: 256 heads: 8 kv_heads: 4 hidden: 704 context: 256 vocabulary: 256 }",
     "TOKENS", 2, "", ""),
    ("mlp, data 2", 2, "mlp { hidden: [1024, 1024] }", IMAGES, 240, "", ""),
    ("mlp, pipeline 2", 2, "mlp { hidden: [1024, 1024, 1024] }", IMAGES, 240, "micro_batch: 60",
     "pipeline: 2"),
]


class Bench:
    def __init__(self, build, folder):
        self.trireme, self.folder, self.count = build / "trireme", folder, 0
        draw = random.Random(1)
        (folder / "tokens.bin").write_bytes(
            b"".join(draw.randrange(256).to_bytes(2, "little") for _ in range(60000)))

    def launch(self, ranks):
        bind = ["--bind-to", "core"] if ranks == os.cpu_count() else ["--oversubscribe"]
        return ["mpirun", "-np", str(ranks), *bind] if ranks > 1 else []

    def call(self, *command):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
        return done.stdout

    def job(self, row, steps):
        _, _, model, data, batch, train, parallel = row
        data = 'tokens { files: "tokens.bin" }' if data == "TOKENS" else data
        path = self.folder / "job.txtpb"
        path.write_text(HEAD.format(name="accuracy", model=model, data=data, batch=batch, steps=steps,
                                    train=train, parallel=parallel))
        return path

    def plan(self, job, ranks, device):
        self.call(self.trireme, "plan", job, "--world", str(ranks), "--device", device, "--json",
                  "plan.json")
        return json.loads((self.folder / "plan.json").read_text())

    def train(self, job, ranks):
        self.count += 1
        self.call(*self.launch(ranks), self.trireme, "train", job, "--device", "cpu", "--run-dir",
                  f"run{self.count}")
        lines = (self.folder / f"run{self.count}" / "metrics.jsonl").read_text().splitlines()
        subprocess.run(["rm", "-r", self.folder / f"run{self.count}"], check=True)
        return [json.loads(line) for line in lines]


def report_memory(bench, bound):
    print(f"{'job':<20} {'rank':>4} {'planned MiB':>12} {'taken MiB':>12} {'off':>8}")
    worst = 0
    for row in MEMORY:
        ranks = row[1]
        job = bench.job(row, 2)
        plan = bench.plan(job, ranks, "cpu")
        record = [r for r in bench.train(job, ranks) if "memory_peak_bytes" in r][-1]
        fullest = {}  # by stage
        for rank in range(ranks):
            stage = rank * len(plan["classes"]) // ranks
            planned = plan["classes"][stage]["rank_bytes"]
            taken = record["memory_peak_bytes"][rank] - record["memory_before_bytes"][rank]
            off = taken / planned - 1
            fullest[stage] = max(fullest.get(stage, -1), off)
            print(f"{row[0]:<20} {rank:>4} {planned / 2**20:>12.1f} {taken / 2**20:>12.1f} "
                  f"{off:>+8.2%}", flush=True)
            if planned < 512 * 2**20:
                sys.exit(f"{row[0]}: the job is too small to tell")
        worst = max(worst, *map(abs, fullest.values()))
    return worst <= bound


def report_time(bench, bound, runs):
    measured = {ranks: {row[0]: [] for row in TIME if row[1] == ranks} for ranks in (1, 2)}
    planned = {row[0]: [] for row in TIME}
    for _ in range(runs):
        for ranks in (1, 2):
            bench.call(*bench.launch(ranks), bench.trireme, "doctor", "--measure", "device.json")
            for row in TIME:
                if row[1] != ranks:
                    continue
                seconds = bench.plan(bench.job(row, 24), ranks, "device.json")["step_seconds"]
                planned[row[0]].append(seconds * 1e3)
                job = bench.job(row, 4 + max(20, round(2 / seconds)))
                steps = [r["step_ms"] for r in bench.train(job, ranks) if "step_ms" in r][4:]
                measured[ranks][row[0]].append(statistics.median(steps))
    print(f"{'job':<20} {'ranks':>5} {'planned ms':>11} {'measured ms':>11} {'off':>8}")
    good = True
    for name, ranks, *_ in TIME:
        plan, took = min(planned[name]), min(measured[ranks][name])
        good &= abs(plan / took - 1) <= bound
        print(f"{name:<20} {ranks:>5} {plan:>11.3f} {took:>11.3f} {plan / took - 1:>+8.1%}   "
              f"plans {' '.join(f'{x:.2f}' for x in planned[name])}; "
              f"runs {' '.join(f'{x:.2f}' for x in measured[ranks][name])}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--memory", action="store_true", help="this table alone")
    parser.add_argument("--time", action="store_true", help="this table alone")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory-bound", type=float, default=0.02)
    parser.add_argument("--time-bound", type=float, default=0.2)
    arguments = parser.parse_args()
    both = arguments.memory == arguments.time
    good = True
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments.build.resolve(), Path(folder))
        if both or arguments.memory:
            good &= report_memory(bench, arguments.memory_bound)
        if both or arguments.time:
            good &= report_time(bench, arguments.time_bound, arguments.runs)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
