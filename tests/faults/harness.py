"""What all parts of the fault campaign share: a small job, runs of it, what they left behind.

A run is a real `mpirun` (or the program alone, with no ranks) in a folder of its own. Standard
library only.
"""
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# 12 samples of 16 numbers a step: about a millisecond, so that a run is start-up and saving.
JOB = """
name: "faults"
model {{ mlp {{ hidden: [24] }} }}
data {{
  train {{ {source} }}
  eval {{ synthetic {{ samples: 60 height: 4 width: 4 seed: 3 first_sample: 240 }} }}
}}
train {{ global_batch: 12 steps: {steps} seed: 5 eval_every_steps: 1000000 }}
optimizer {{ adamw {{ lr: 1e-3 }} }}
schedule {{ cosine {{ warmup_steps: 4 }} }}
checkpoint {{ every_steps: {every} keep_last: {keep} mode: {mode} max_failures: {max_failures} }}
{more}
"""
SYNTHETIC = "synthetic { samples: 240 height: 4 width: 4 seed: 3 }"


def job_text(steps=100, every=10, keep=3, mode="ASYNC", max_failures=3, source=SYNTHETIC, more=""):
    return JOB.format(steps=steps, every=every, keep=keep, mode=mode, max_failures=max_failures,
                      source=source, more=more)


class Failure(Exception):
    """A promise that did not hold; its text says which, and where the evidence lies."""


@dataclass
class Plant:
    """The binaries under test, and where runs happen."""
    build: Path
    work: Path
    mpiexec: str
    dice: random.Random
    # What bounds of time are multiplied by where the machine may be busy with something else.
    patience: float = 1

    def __post_init__(self):
        self.trireme = self.build / "trireme"
        self.stuck = self.build / "tests" / "stuck_trainer"
        self.inject = self.build / "tests" / "libfault_inject.so"
        self.clock = self.build / "tests" / "libfault_clock.so"
        for file in (self.trireme, self.stuck, self.inject, self.clock):
            if not file.exists():
                raise SystemExit(f"{file} is not built")
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)

    def folder(self, name):
        path = self.work / name
        path.mkdir(parents=True)
        return path


class Run:
    """One start of `trireme train`. `folder` is the run folder; the job file lies beside it."""

    def __init__(self, plant, folder, job, ranks=0, arguments=(), environment=None, program=None):
        self.folder = folder
        self.ranks = ranks
        path = folder.with_suffix(".txtpb")
        path.write_text(job)
        launch = [plant.mpiexec, "-np", str(ranks)] if ranks else []
        if ranks and environment:  # for the ranks alone, not for mpirun itself
            launch += [word for name, value in environment.items() for word in ("-x", f"{name}={value}")]
        self.command = [*launch, str(program or plant.trireme), "train", str(path), "--run-dir", str(folder),
                        "--device", "cpu", *arguments]
        own = {**os.environ, "OMP_NUM_THREADS": "1", **({} if ranks else environment or {})}
        self.start = time.monotonic()
        self.output_path = folder.with_suffix(".out")
        with open(self.output_path, "ab") as out:
            self.output_begin = out.tell()
            self.process = subprocess.Popen(self.command, stdout=out, stderr=subprocess.STDOUT,
                                            env=own, start_new_session=True)
        self.seconds = None

    def wait(self, timeout=60):
        """The exit code; a run that does not end by itself is killed and is a failure."""
        try:
            self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            table = [(pid, state_of(pid)) for pid in self.processes()]
            self.kill_all()
            raise Failure(f"did not end within {timeout} s: {' '.join(self.command)}; left: {table}; said: {self.output()[-2000:]}")
        self.seconds = time.monotonic() - self.start
        code = self.process.returncode
        return code if code >= 0 else 128 - code

    def output(self):
        with open(self.output_path, "rb") as file:
            file.seek(self.output_begin)
            return file.read().decode(errors="replace")

    def lines(self):
        return [line for line in self.output().splitlines() if line.startswith("trireme:")]

    def wait_for_step(self, step, seconds=60):
        """Until the run has done so many steps, or is over."""
        metrics = self.folder / "metrics.jsonl"
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                if metrics.read_bytes().count(b'"step_ms"') >= step:
                    return
            except OSError:
                pass
            time.sleep(0.001)

    def children(self):
        """Pids of the ranks by rank; without mpirun the process itself is rank 0."""
        if not self.ranks:
            return {0: self.process.pid} if self.process.poll() is None else {}
        found = {}
        for pid in children_of(self.process.pid):
            rank = environment_of(pid).get("OMPI_COMM_WORLD_RANK")
            if rank is not None:
                found[int(rank)] = pid
        return found

    def processes(self):
        """Every live process of this run, mpirun and orphans too."""
        marker = str(self.folder).encode()
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if marker in words and state_of(int(entry)) not in ("Z", "X", ""):
                found.append(int(entry))
        return found

    def wait_until_gone(self, seconds):
        """Seconds until no process of the run is left, or a failure."""
        begin = time.monotonic()
        while left := self.processes():
            if time.monotonic() - begin > seconds:
                states = {pid: state_of(pid) for pid in left}
                self.kill_all()
                raise Failure(f"processes left after {seconds} s: {states}; said: {self.output()[-1000:]}")
            time.sleep(0.02)
        return time.monotonic() - begin

    def kill_all(self):
        for pid in self.processes():
            send(pid, signal.SIGKILL)
        self.process.wait()


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def children_of(pid):
    found = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, listing.read_text().split())
        except OSError:  # a thread that has just ended
            pass
    return found


def environment_of(pid):
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def state_of(pid):
    """R, S, T, Z ... or nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return ""


# ---- what a run leaves ----

def committed(folder):
    """Steps of the checkpoints that stand, oldest first."""
    parent = folder / "checkpoints"
    if not parent.is_dir():
        return []
    found = [re.fullmatch(r"step-(\d+)", path.name) for path in parent.iterdir()]
    return sorted(int(match[1]) for match in found if match)


def checkpoint(folder, step):
    return folder / "checkpoints" / f"step-{step:08d}"


def leftovers(folder):
    """What in checkpoints/ is no checkpoint."""
    parent = folder / "checkpoints"
    return sorted(p.name for p in parent.iterdir() if not p.name.startswith("step-")) if parent.is_dir() else []


def records(folder):
    """metrics.jsonl; a torn last line counts as not there."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    found = []
    for line in path.read_text(errors="replace").split("\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def steps_of(folder):
    return [r["step"] for r in records(folder) if "loss" in r and "step" in r]


def saved_steps(folder):
    return [r["step"] for r in records(folder) if "checkpoint_bytes" in r]


def model(folder):
    path = folder / "model.safetensors"
    return path.read_bytes() if path.exists() else b""


def verify(plant, folder):
    """Every checkpoint that stands passes `trireme checkpoint verify`; returns how many."""
    steps = committed(folder)
    for step in steps:
        done = subprocess.run([plant.trireme, "checkpoint", "verify", checkpoint(folder, step)],
                              capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise Failure(f"{checkpoint(folder, step)} does not verify: {done.stdout}{done.stderr}")
    return len(steps)


def finish(plant, folder, job, ranks, reference, most_starts=3):
    """Starts the same command until it has finished; the parameters must be the reference's bits."""
    for _ in range(most_starts):
        run = Run(plant, folder, job, ranks)
        code = run.wait()
        if code == 0:
            break
    else:
        raise Failure(f"{folder} does not finish: code {code}: {run.output()[-1500:]}")
    if model(folder) != reference:
        raise Failure(f"{folder}/model.safetensors differs from that of the unbroken run")
    return run


def check_metrics(folder, steps):
    got = steps_of(folder)
    if got != list(range(1, steps + 1)):
        missing = sorted(set(range(1, steps + 1)) - set(got))
        raise Failure(f"{folder}/metrics.jsonl has {len(got)} steps, missing {missing[:5]}, order or doubles wrong")


# ---- figures ----

def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def spread(values, unit="s", digits=2):
    """p50 / p99 / max."""
    if not values:
        return "-"
    return " / ".join(f"{v:.{digits}f}" for v in (percentile(values, 0.5), percentile(values, 0.99), max(values))) + f" {unit}"


def safetensors_header(path):
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), 8 + length


def machine():
    model_name = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                       if line.startswith("model name")), "unknown CPU")
    return f"{os.cpu_count()} x {model_name}, Linux {os.uname().release}"
