"""Ranks that stop moving: SIGSTOP of rank 0 or another, readers that loop for ever, wait for ever or
lock what they hold.

Required: the job ends with 71 within the deadline + 5 s, one line names the right rank and where it
is stuck, and no process is left. Also, of readers that fail or whose process ends: the failure's own
code, at once.
"""
import os
import re
import signal
import subprocess
import time

from harness import Failure, Run, job_text, send, spread, steps_of

DEADLINE = 2.0
DEADLINES = ("deadlines {{ start_seconds: 20 first_step_seconds: {0} step_seconds: {0} data_seconds: {0} "
             "eval_seconds: {0} checkpoint_seconds: {0} }}").format(DEADLINE)


def stuck_source(rank, read, how):
    values = {"rank": rank, "read": read, "how": how}
    fields = " ".join(f'parameter {{ key: "{key}" value: "{value}" }}' for key, value in values.items())
    return f'custom {{ name: "stuck" {fields} }}'


def wait_for_steps(run, least):
    deadline = time.monotonic() + 30
    while max(steps_of(run.folder), default=0) < least:
        if run.process.poll() is not None or time.monotonic() > deadline:
            raise Failure(f"{run.folder} does not come to step {least}: {run.output()[-1500:]}")
        time.sleep(0.01)


def check_report(run, code, rank, ranks, took, where, limit):
    lines = [line for line in run.lines() if "hang:" in line]
    place = f"{run.folder}, rank {rank} of {ranks}"
    if code != 71:
        raise Failure(f"{place}: expects 71, got {code} after {took:.1f} s: {run.output()[-1500:]}")
    if len(lines) != 1:
        raise Failure(f"{place}: expects one line of the hang, got {len(lines)}: {run.output()[-1500:]}")
    named = re.search(r"hang: rank (\d+)/(\d+) on \S+", lines[0])
    if not named or (int(named[1]), int(named[2])) != (rank, ranks):
        raise Failure(f"{place}: another is named: {lines[0]}")
    if not re.search(where, lines[0].split(";")[0]):
        raise Failure(f"{place}: the place is not {where}: {lines[0]}")
    if took > limit:
        raise Failure(f"{place}: reported after {took:.1f} s, expects {limit} at most")


def stopped(plant, folder, rank, ranks):
    """A rank that gets no processor any more."""
    run = Run(plant, folder, job_text(steps=1000000, every=500, more=DEADLINES), ranks)
    wait_for_steps(run, plant.dice.randrange(1, 400))
    begin = time.monotonic()
    send(run.children()[rank], signal.SIGSTOP)
    code = run.wait(timeout=60)
    took = time.monotonic() - begin
    run.wait_until_gone(10)
    check_report(run, code, rank, ranks, took, r"(it is|it was) in \S+", DEADLINE + 5)
    return took


def stuck(plant, folder, rank, ranks, how):
    """A reader that gets stuck; the time counts from the last step that was finished."""
    read = plant.dice.randrange(1, 500)
    source = stuck_source(rank, read, how)
    job = job_text(steps=1000000, every=500, source=source, more=DEADLINES)
    run = Run(plant, folder, job, ranks, program=plant.stuck)
    metrics = folder / "metrics.jsonl"
    code = run.wait(timeout=90)
    ended = time.time()
    last = metrics.stat().st_mtime if metrics.exists() and metrics.stat().st_size else ended - run.seconds
    run.wait_until_gone(10)
    check_report(run, code, rank, ranks, ended - last, r"data\.next", DEADLINE + 5)
    return ended - last


def failing(plant, folder, rank, ranks, how, want):
    """A rank that fails, or is gone, while the others wait in a collective."""
    job = job_text(steps=1000000, every=500, source=stuck_source(rank, plant.dice.randrange(1, 300), how), more=DEADLINES)
    run = Run(plant, folder, job, ranks, program=plant.stuck)
    code = run.wait(timeout=30)
    run.wait_until_gone(10)
    lines = run.lines()
    if code != want or len(lines) != 1 or f"rank {rank}/{ranks}" not in lines[0]:
        raise Failure(f"{folder}: rank {rank}/{ranks} does '{how}': expects {want} and one line, got {code}: {run.output()[-1500:]}")


def failing_evaluation(plant, folder, rank, ranks):
    """`eval` on a rank that fails: its session stays until the process ends."""
    plain = job_text(steps=5).replace("mlp { hidden: [24] }", 'custom { name: "watched" }')
    trained = Run(plant, folder, plain, program=plant.stuck)
    if trained.wait() != 0:
        raise Failure(f"{folder}: cannot be trained: {trained.output()[-1500:]}")
    job = folder.with_name("eval.txtpb")
    bad = stuck_source(rank, plant.dice.randrange(1, 50), "throw")
    job.write_text(re.sub(r"eval \{ synthetic \{.*\} \}", f"eval {{ {bad} }}", plain))
    done = subprocess.run(
        [plant.mpiexec, "-np", str(ranks), plant.stuck, "eval", job, "--checkpoint", folder, "--device", "cpu"],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "OMP_NUM_THREADS": "1"})
    lines = [line for line in done.stderr.splitlines() if line.startswith("trireme:")]
    if done.returncode != 66 or len(lines) != 1 or f"rank {rank}/{ranks}" not in lines[0]:
        raise Failure(f"{folder}: expects 66 and one line of rank {rank}/{ranks}, got {done.returncode}: {done.stderr[-1500:]}")
    if "the session is freed" in done.stderr:
        raise Failure(f"{folder}: rank {rank}/{ranks} freed its session while others were in a collective")


def run(plant, count, short):
    hangs = count or (4 if short else 50)
    kinds = ("stop", "loop", "sleep", "deadlock", "stop")
    took, told = [], {}
    for number in range(hangs):
        kind = kinds[number % len(kinds)]
        ranks = (2, 4, 3)[number % 3]
        rank = 0 if number % 4 == 0 else plant.dice.randrange(ranks)
        folder = plant.folder(f"hangs-{number}-{kind}-{rank}-of-{ranks}") / "run"
        took.append(stopped(plant, folder, rank, ranks) if kind == "stop" else stuck(plant, folder, rank, ranks, kind))
        told[kind] = told.get(kind, 0) + 1
    failures = 0
    for how, want in (("throw", 66), ("exit", 3)):
        for rank in range(1 if short else 3):
            failing(plant, plant.folder(f"fails-{how}-{rank}") / "run", rank, 3, how, want)
            failures += 1
    for rank in range(1, 2 if short else 3):
        failing_evaluation(plant, plant.folder(f"eval-{rank}") / "run", rank, 3)
        failures += 1
    return (f"{hangs} hangs ({', '.join(f'{k}: {n}' for k, n in told.items())}), deadline {DEADLINE:g} s; {failures} ranks that fail",
            f"right rank and place {hangs}/{hangs}, 71; failures named {failures}/{failures}", f"to the end {spread(took)}")
