"""Signals at random phases.

USR1 (what Slurm sends before its time limit): every rank finishes the step, the state is committed,
the job ends with 75. TERM and INT to the ranks: the same, 78. A second signal changes nothing. TERM
to mpirun: at worst no commit. Always: the same command then ends with the unbroken run's bits.
"""
import signal
import time

from harness import (Failure, Run, check_metrics, committed, finish, job_text, model, send, spread, steps_of, verify)

STEPS, EVERY = 60, 5


def wait_until_started(run):
    """The handlers are there once the run folder has its lock."""
    deadline = time.monotonic() + 20
    while not (run.folder / "lock").exists():
        if run.process.poll() is not None or time.monotonic() > deadline:
            raise Failure(f"{run.folder} did not start: {run.output()[-1500:]}")
        time.sleep(0.002)


def wait_for_phase(plant, run, phase):
    wait_until_started(run)
    if phase == "first step":
        return
    if phase == "save":
        deadline = time.monotonic() + 60
        parent = run.folder / "checkpoints"
        while time.monotonic() < deadline and run.process.poll() is None:
            if parent.is_dir() and any(p.name.startswith(".tmp-") for p in parent.iterdir()):
                return
        return
    run.wait_for_step(plant.dice.randrange(1, STEPS))
    time.sleep(plant.dice.uniform(0, 0.005))


def to_mpirun(run, number):
    send(run.process.pid, number)


def to_ranks(run, number):
    children = run.children()
    if len(children) != run.ranks and run.process.poll() is None and not run.output().endswith(".safetensors\n"):
        raise Failure(f"{run.folder}: found the ranks {sorted(children)} of {run.ranks}")
    for pid in children.values():
        send(pid, number)


def one(plant, folder, job, ranks, phase, signals, aim, want, reference):
    """`signals`: (number, seconds after the one before). Returns the seconds to the end; nothing if it was faster."""
    run = Run(plant, folder, job, ranks)
    wait_for_phase(plant, run, phase)
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
    # A TERM leaves ranks a second (mpirun kills them then): they save only if they agree in half of it.
    too_late = code == 78 and "before the other ranks agreed" in run.output()
    if code in (75, 78) and not too_late:
        done, steps = max(steps_of(folder), default=0), committed(folder)
        if not steps or steps[-1] != done:
            raise Failure(f"{folder}: ended with {code} after step {done}, committed are {steps}")
    verify(plant, folder)
    finish(plant, folder, job, ranks, reference)
    check_metrics(folder, STEPS)
    return took, too_late


def second_signal(plant, folder, job, reference):
    """TERM twice, to a rank that cannot agree on a step, since the other one is stopped."""
    run = Run(plant, folder, job, 2)
    wait_until_started(run)
    run.wait_for_step(STEPS // 2)
    ranks = run.children()
    send(ranks[1], signal.SIGSTOP)
    send(ranks[0], signal.SIGTERM)
    time.sleep(0.2)
    begin = time.monotonic()
    send(ranks[0], signal.SIGTERM)
    code = run.wait()
    took = time.monotonic() - begin
    # Half a second after the first it ends as well: a busy machine may get the second one too late.
    if code != 78 or not any(words in run.output() for words in ("second signal", "before the other ranks agreed")):
        raise Failure(f"{folder}: a second TERM: expects 78 and why, got {code}: {run.output()[-1500:]}")
    if took > 3 * plant.patience:  # mpirun gives the stopped rank a second or two
        raise Failure(f"{folder}: ended {took:.1f} s after the second TERM")
    run.wait_until_gone(10)
    verify(plant, folder)
    finish(plant, folder, job, 2, reference)
    check_metrics(folder, STEPS)


def run(plant, count, short):
    trials = count or (4 if short else 50)
    most_ranks = 2 if short else 4
    usr1, term, interrupt = signal.SIGUSR1, signal.SIGTERM, signal.SIGINT
    references = {}
    for ranks in {2, most_ranks}:
        job = job_text(steps=STEPS, every=EVERY)
        unbroken = Run(plant, plant.folder(f"signals-{ranks}") / "unbroken", job, ranks)
        if unbroken.wait() != 0:
            raise Failure(unbroken.output()[-1500:])
        references[ranks] = model(unbroken.folder)

    took, done, number = [], 0, 0
    while done < trials:
        number += 1
        phase = ("any", "first step", "save", "any")[number % 4]
        ranks = (2, most_ranks)[number % 2]
        aim = to_mpirun if number % 3 else to_ranks
        signals = [(usr1, 0)] if number % 5 else [(usr1, 0), (usr1, plant.dice.uniform(0, 0.02))]
        job = job_text(steps=STEPS, every=EVERY, mode=("ASYNC", "SYNC")[number % 2])
        end = one(plant, plant.folder(f"usr1-{number}") / "run", job, ranks, phase, signals, aim, (75,),
                  references[ranks])
        if end is not None:
            took.append(end[0])
            done += 1

    others = [("TERM", [(term, 0)], to_ranks, (78,)), ("INT", [(interrupt, 0)], to_ranks, (78,)),
              ("TERM TERM", [(term, 0), (term, 0.005)], to_ranks, (78,)),
              ("USR1 TERM", [(usr1, 0), (term, 0.002)], to_ranks, (75, 78)),
              # mpirun counts a job that it was told to end as failed, whatever the ranks say.
              ("TERM to mpirun", [(term, 0)], to_mpirun, (1, 75, 78, 143))]
    others = others[::2] if short else others
    repeats = 1 if short else 10
    other = 0
    unsaved = 0
    for name, signals, aim, want in others:
        for n in range(repeats):
            folder = plant.folder(f"signal-{name.replace(' ', '-')}-{n}") / "run"
            end = one(plant, folder, job_text(steps=STEPS, every=EVERY), 2, "any", signals, aim, want, references[2])
            if end is not None:
                other += 1
                unsaved += end[1]
    for n in range(repeats):
        second_signal(plant, plant.folder(f"signal-second-{n}") / "run", job_text(steps=STEPS, every=EVERY), references[2])
        other += 1
    return (f"USR1 at {done} phases; {', '.join(name for name, *_ in others)}, TERM twice beside a stopped rank: {other}",
            f"committed and 75: {done}/{trials}; the others as designed: {other}"
            + (f", of which {unsaved} did not agree in half a second and saved nothing new" if unsaved else ""), f"signal to end {spread(took)}")
