"""What saving costs: how long LeNet-5 stands still for an asynchronous save every 10 steps, and how
fast large saves are written, beside dd with fsync on the same disk, alternated: SAVES of a run, each
of which replaces the one before, and as many files by dd that do the same. Of each the median counts:
the first ones of both take memory that the system has yet to find, which on virtual machines is slower
than the disk.
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
SAVES = 6
# 2 layers of WIDTH x WIDTH with two moments: 24 WIDTH^2 bytes and a little.
LARGE = """
name: "large"
model { mlp { hidden: [WIDTH, WIDTH, WIDTH] } }
data { train { synthetic { samples: 16 height: 4 width: 4 } } eval { synthetic { samples: 8 height: 4 width: 4 first_sample: 16 } } }
train { global_batch: 2 steps: SAVES eval_every_steps: 1000000 }
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
    return size / (time.monotonic() - begin) / 2**20


def dds(folder, size):
    speeds = []
    for number in range(SAVES):
        speeds.append(dd(folder / f"dd{number}", size))
        if number:
            os.unlink(folder / f"dd{number - 1}")
    return statistics.median(speeds)


def throughput(plant, alternations, width, ranks):
    """MiB/s of writing with its flush, of a save until its commit is on the disk, of the reading back
    after it, and of dd."""
    writing, saving, reading, theirs = [], [], [], []
    for number in range(alternations):
        base = plant.folder(f"speed-large-{number}")
        run = Run(plant, base / "run", LARGE.replace("WIDTH", str(width)).replace("SAVES", str(SAVES)), ranks)
        if run.wait(timeout=600) != 0:
            raise Failure(run.output()[-1500:])
        saves = [r for r in records(base / "run") if "checkpoint_save_ms" in r]
        size = saves[-1]["checkpoint_bytes"]
        for speeds, key in ((writing, "checkpoint_write_ms"), (saving, "checkpoint_save_ms"),
                            (reading, "checkpoint_verify_ms")):
            speeds.append(statistics.median(size / r[key] * 1000 / 2**20 for r in saves))
        shutil.rmtree(base)
        base.mkdir()
        theirs.append(dds(base, size))
        shutil.rmtree(base)
    return writing, saving, reading, theirs, size


def run(plant, count, short):
    steps = 60 if short else 300
    step_ms, stalls = stall(plant, 2, steps)
    worst = max(stalls)
    alternations = count or (2 if short else 10)
    texts, ratios = [], []
    for width in (512,) if short else (2048, 4096):
        writing, saving, reading, theirs, size = throughput(plant, alternations, width, 0)
        pairs = [ours / dds for ours, dds in zip(saving, theirs)]
        ratios.append((statistics.median(pairs), f"{statistics.median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f})"))
        texts.append(f"{size / 2**20:.0f} MiB to the commit {statistics.median(saving):.0f} MiB/s (write and flush alone "
                     f"{statistics.median(writing):.0f}), dd {statistics.median(theirs):.0f}; the read-back after it "
                     f"{statistics.median(reading):.0f}")
    if not short and statistics.median(stalls) > step_ms:
        raise Failure(f"a save stalls {statistics.median(stalls):.2f} ms, a step takes {step_ms:.2f} ms")
    if not short and min(ratios)[0] < 0.7:
        raise Failure(f"saving does not reach 0.70 of dd: {'; '.join(texts)}; save / dd {', '.join(r[1] for r in ratios)}")
    return (f"LeNet-5, 2 ranks, {steps} steps, a save every 10; {alternations} alternations of {SAVES} saves and {SAVES} "
            "files of dd conv=fsync, each replacing the one before",
            f"stall median {statistics.median(stalls):.2f} ms, most {worst:.2f} ms, step {step_ms:.2f} ms; {'; '.join(texts)}",
            "save / dd " + ", ".join(r[1] for r in ratios))
