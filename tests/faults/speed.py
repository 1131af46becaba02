"""What saving costs: how long LeNet-5 stands still for an asynchronous save every 10 steps, and how
fast a large save writes, beside dd with fsync on the same disk, alternated.
"""
import os
import shutil
import statistics
import subprocess
import time

from harness import Failure, Run, percentile, records, spread

LENET5 = """
name: "lenet5"
model { lenet5 {} }
data { train { synthetic { samples: 2400 seed: 3 } } eval { synthetic { samples: 120 first_sample: 2400 seed: 3 } } }
train { global_batch: 120 steps: STEPS seed: 5 eval_every_steps: 1000000 }
optimizer { adamw { lr: 1e-3 } }
checkpoint { every_steps: 10 keep_last: 2 mode: ASYNC }
"""
# 2 layers of WIDTH x WIDTH with two moments: 24 WIDTH^2 bytes and a little.
LARGE = """
name: "large"
model { mlp { hidden: [WIDTH, WIDTH, WIDTH] } }
data { train { synthetic { samples: 16 height: 4 width: 4 } } eval { synthetic { samples: 8 height: 4 width: 4 first_sample: 16 } } }
train { global_batch: 2 steps: 2 eval_every_steps: 1000000 }
optimizer { adamw { lr: 1e-3 } }
checkpoint { every_steps: 1 keep_last: 1 mode: SYNC }
"""


def stall(plant, ranks, steps):
    folder = plant.folder(f"speed-lenet5-{ranks}") / "run"
    run = Run(plant, folder, LENET5.replace("STEPS", str(steps)), ranks)
    if run.wait(timeout=600) != 0:
        raise Failure(run.output()[-1500:])
    lines = records(folder)
    step_ms = [r["step_ms"] for r in lines if "step_ms" in r][10:]
    stalls = [r["checkpoint_stall_ms"] for r in lines if "checkpoint_stall_ms" in r][1:]
    if not stalls:
        raise Failure(f"{folder}/metrics.jsonl states no checkpoint_stall_ms")
    return statistics.median(step_ms), stalls


def dd(path, size):
    begin = time.monotonic()
    subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=4M", f"count={size}", "iflag=count_bytes", "conv=fsync"],
                   check=True, capture_output=True)
    seconds = time.monotonic() - begin
    os.unlink(path)
    return size / seconds / 2**20


def throughput(plant, alternations, width, ranks):
    """MiB/s of writing with its flush, of a save until its commit is on the disk, of the reading back
    after it, and of dd."""
    writing, saving, reading, theirs = [], [], [], []
    for number in range(alternations):
        base = plant.folder(f"speed-large-{number}")
        run = Run(plant, base / "run", LARGE.replace("WIDTH", str(width)), ranks)
        if run.wait(timeout=600) != 0:
            raise Failure(run.output()[-1500:])
        saves = [r for r in records(base / "run") if "checkpoint_save_ms" in r]
        size = saves[-1]["checkpoint_bytes"]
        for speeds, key in ((writing, "checkpoint_write_ms"), (saving, "checkpoint_save_ms"),
                            (reading, "checkpoint_verify_ms")):
            speeds.append(statistics.median(size / r[key] * 1000 / 2**20 for r in saves))
        shutil.rmtree(base)
        base.mkdir()
        theirs.append(dd(base / "dd", size))
    return writing, saving, reading, theirs, size


def run(plant, count, short):
    steps = 60 if short else 300
    step_ms, stalls = stall(plant, 2, steps)
    worst = max(stalls)
    alternations = count or (2 if short else 10)
    writing, saving, reading, theirs, size = throughput(plant, alternations, 512 if short else 2048, 0)
    pairs = [ours / dds for ours, dds in zip(saving, theirs)]
    ratio = statistics.median(pairs)
    if not short and statistics.median(stalls) > step_ms:
        raise Failure(f"a save stalls {statistics.median(stalls):.2f} ms, a step takes {step_ms:.2f} ms")
    if not short and ratio < 0.7:
        raise Failure(f"saving reaches {ratio:.2f} of dd: {saving} beside {theirs} MiB/s")
    return (f"LeNet-5, 2 ranks, {steps} steps, a save every 10; {alternations} alternations of saves of {size / 2**20:.0f} MiB and dd conv=fsync",
            f"stall median {statistics.median(stalls):.2f} ms, most {worst:.2f} ms, step {step_ms:.2f} ms; to the "
            f"commit {statistics.median(saving):.0f} MiB/s (write and flush alone {statistics.median(writing):.0f}), dd "
            f"{statistics.median(theirs):.0f}; the read-back after it {statistics.median(reading):.0f}",
            f"save / dd {ratio:.2f} ({min(pairs):.2f} to {max(pairs):.2f})")
