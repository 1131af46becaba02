"""Signals at random phases.

USR1 (what Slurm sends before its time limit): every rank finishes the step, the state is committed,
the job ends with 75. TERM and INT to the ranks: the same, 78. A second signal changes nothing. TERM
to mpirun: at worst no commit. Always: the same command then ends with the unbroken run's bits.
"""
import signal
import time

from harness import (Failure, Run, check_metrics, committed, finish, job_text, model, send, spread, steps_of, verify)

STEPS = 1500


def wait_until_started(run):
    """The handlers are there once the run folder has its lock."""
    deadline = time.monotonic() + 20
    while not (run.folder / "lock").exists():
        if run.process.poll() is not None or time.monotonic() > deadline:
            raise Failure(f"{run.folder} did not start: {run.output()[-1500:]}")
        time.sleep(0.002)


def wait_for_phase(plant, run, phase, seconds):
    wait_until_started(run)
    if phase == "first step":
        return
    if phase == "save":
        deadline = time.monotonic() + seconds
        parent = run.folder / "checkpoints"
        while time.monotonic() < deadline and run.process.poll() is None:
            if parent.is_dir() and any(p.name.startswith(".tmp-") for p in parent.iterdir()):
                return
        return
    time.sleep(plant.dice.uniform(0, seconds))


def to_mpirun(run, number):
    send(run.process.pid, number)


def to_ranks(run, number):
    for pid in run.children().values():
        send(pid, number)


def one(plant, folder, job, ranks, phase, signals, aim, want, seconds, reference):
    """`signals`: (number, seconds after the one before). Returns the seconds to the end; nothing if it was faster."""
    run = Run(plant, folder, job, ranks)
    wait_for_phase(plant, run, phase, seconds)
    begin = time.monotonic()
    for number, pause in signals:
        time.sleep(pause)
        aim(run, number)
    code = run.wait()
    took = time.monotonic() - begin
    if code == 0 and model(folder):
        return None
    if code not in want:
        raise Failure(f"{folder}: {signals} in phase {phase}: expects {want}, got {code}: {run.output()[-1500:]}")
    run.wait_until_gone(10)
    if code in (75, 78):
        done, steps = max(steps_of(folder), default=0), committed(folder)
        if not steps or steps[-1] != done:
            raise Failure(f"{folder}: ended with {code} after step {done}, committed are {steps}")
    verify(plant, folder)
    finish(plant, folder, job, ranks, reference)
    check_metrics(folder, STEPS)
    return took


def run(plant, count, short):
    trials = count or (6 if short else 50)
    usr1, term, interrupt = signal.SIGUSR1, signal.SIGTERM, signal.SIGINT
    references = {}
    seconds = {}
    for ranks in (2, 4):
        job = job_text(steps=STEPS, every=20)
        unbroken = Run(plant, plant.folder(f"signals-{ranks}") / "unbroken", job, ranks)
        if unbroken.wait() != 0:
            raise Failure(unbroken.output()[-1500:])
        references[ranks] = model(unbroken.folder)
        seconds[ranks] = unbroken.seconds - 0.4

    took, done, number = [], 0, 0
    while done < trials:
        number += 1
        phase = ("any", "first step", "save", "any")[number % 4]
        ranks = (2, 4)[number % 2]
        aim = to_mpirun if number % 3 else to_ranks
        signals = [(usr1, 0)] if number % 5 else [(usr1, 0), (usr1, plant.dice.uniform(0, 0.02))]
        job = job_text(steps=STEPS, every=20, mode=("ASYNC", "SYNC")[number % 2])
        end = one(plant, plant.folder(f"usr1-{number}") / "run", job, ranks, phase, signals, aim, (75,), seconds[ranks],
                  references[ranks])
        if end is not None:
            took.append(end)
            done += 1

    others = [("TERM", [(term, 0)], to_ranks, (78,)), ("INT", [(interrupt, 0)], to_ranks, (78,)),
              ("TERM TERM", [(term, 0), (term, 0.005)], to_ranks, (78,)),
              ("USR1 TERM", [(usr1, 0), (term, 0.002)], to_ranks, (75, 78)),
              # mpirun counts a job that it was told to end as failed, whatever the ranks say.
              ("TERM to mpirun", [(term, 0)], to_mpirun, (1, 75, 78, 143))]
    repeats = 1 if short else 10
    other = 0
    for name, signals, aim, want in others:
        for n in range(repeats):
            folder = plant.folder(f"signal-{name.replace(' ', '-')}-{n}") / "run"
            if one(plant, folder, job_text(steps=STEPS, every=20), 2, "any", signals, aim, want, seconds[2], references[2]):
                other += 1
    return (f"USR1 at {done} phases; {', '.join(name for name, *_ in others)}: {other}",
            f"committed and 75: {done}/{trials}; the others as designed: {other}", f"signal to end {spread(took)}")
