"""SIGKILL of a random rank, or of mpirun, at a random instant; then the same command until it has
finished.

Required: no committed step is lost, the final parameters are the unbroken run's bits, the job ends
within 3 s of the kill, and no process is left 10 s after.
"""
import signal
import time

from harness import (Failure, Run, check_metrics, committed, finish, job_text, model, saved_steps, send, spread,
                     state_of, steps_of, verify)

STEPS, EVERY = 80, 5
# Open MPI 4.1's mpirun says this, and waits for ever, if a rank dies while it introduces itself
# inside MPI_Init; a program that only calls MPI_Init shows it as well (docs/reliability.md).
LAUNCHER_HANGS = "PMIX ERROR: UNREACHABLE"


def wait_for_instant(plant, run):
    """Sometimes in start-up, mostly at any step: a wait by the clock alone would often come too late."""
    if plant.dice.random() < 0.2:
        time.sleep(plant.dice.uniform(0, 0.3))
        return
    run.wait_for_step(plant.dice.randrange(1, STEPS))
    time.sleep(plant.dice.uniform(0, 0.005))


def wait_for_victim(run, victim):
    """The pid to kill, waiting for a rank that mpirun has not started yet."""
    if victim == "mpirun":
        return run.process.pid
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and run.process.poll() is None:
        pid = run.children().get(victim)
        if pid:
            return pid
        time.sleep(0.002)
    return None


def wait_for_end(run, limit):
    """Until mpirun and every rank are gone."""
    begin = time.monotonic()
    while run.process.poll() is None or run.processes():
        if time.monotonic() - begin > limit:
            left = {pid: state_of(pid) for pid in run.processes()}
            run.kill_all()
            raise Failure(f"{run.folder}: not gone {limit} s after the kill: {left}; said: {run.output()[-1500:]}")
        time.sleep(0.01)
    return time.monotonic() - begin


def one_kill(plant, folder, job, ranks):
    """Returns the victim and the seconds to the end, none if mpirun hung; nothing if the run was faster."""
    run = Run(plant, folder, job, ranks)
    victim = plant.dice.choice([*range(ranks), "mpirun"])
    wait_for_instant(plant, run)
    pid = wait_for_victim(run, victim)
    if pid is None or run.process.poll() is not None:
        run.wait()
        return None
    send(pid, signal.SIGKILL)
    try:
        took = wait_for_end(run, 10)
    except Failure:
        if LAUNCHER_HANGS not in run.output():
            raise
        return victim, None
    code = run.wait()
    if code == 0 and victim != "mpirun" and (folder / "model.safetensors").exists():
        return None  # it had finished before it was hit
    if took > 3 * plant.patience:
        raise Failure(f"{folder}: ended {took:.1f} s after {victim} was killed; said: {run.output()[-1500:]}")
    return victim, took


def check_nothing_lost(plant, folder):
    """Steps committed at this moment; each must verify, and none may be missing that was announced."""
    steps = committed(folder)
    announced = saved_steps(folder)
    if announced and (not steps or steps[-1] < max(announced)):
        raise Failure(f"{folder}: step {max(announced)} was announced as committed, there are {steps}")
    verify(plant, folder)
    return steps[-1] if steps else 0


def check_resumed_at(folder, before, newest):
    """Metric lines of steps up to the newest checkpoint are those of the killed run, byte for byte."""
    after = (folder / "metrics.jsonl").read_bytes().split(b"\n")
    kept = 0
    for old, new in zip(before.split(b"\n"), after):
        if old != new:
            break
        kept += b'"loss"' in old
    if kept < newest:
        raise Failure(f"{folder}: steps up to {newest} were committed, but step {kept + 1} was computed again")


def run(plant, count, short):
    trials = count or (5 if short else 200)
    ranks_of = (2,) if short else (2, 3, 4)
    reference = {}
    for ranks in ranks_of:
        job = job_text(steps=STEPS, every=EVERY)
        unbroken = Run(plant, plant.folder(f"kills-{ranks}") / "unbroken", job, ranks)
        if unbroken.wait() != 0:
            raise Failure(unbroken.output()[-1500:])
        check_metrics(unbroken.folder, STEPS)
        reference[ranks] = model(unbroken.folder)
    ends, victims, kills = [], {}, 0
    trial = killed_runs = 0
    while killed_runs < trials:  # a run that was faster than its killer is checked, but does not count
        trial += 1
        ranks = ranks_of[trial % len(ranks_of)]
        mode = ("ASYNC", "SYNC")[plant.dice.random() < 0.3]
        job = job_text(steps=STEPS, every=EVERY, mode=mode)
        folder = plant.folder(f"kills-{ranks}-{trial}") / "run"
        kills_before = kills
        for _ in range(1 + (plant.dice.random() < 0.25)):  # some are hit again while they resume
            hit = one_kill(plant, folder, job, ranks)
            if hit is None:
                break
            kills += 1
            victims[hit[0]] = victims.get(hit[0], 0) + 1
            ends += [hit[1]] if hit[1] is not None else []
        killed_runs += kills > kills_before
        newest = check_nothing_lost(plant, folder)
        metrics = folder / "metrics.jsonl"
        before = metrics.read_bytes() if metrics.exists() else b""
        finish(plant, folder, job, ranks, reference[ranks])
        if newest and hit is not None:
            check_resumed_at(folder, before, newest)
        check_metrics(folder, STEPS)
    told = ", ".join(f"{name}: {n}" for name, n in sorted(victims.items(), key=str))
    hung = f"; mpirun itself hung {kills - len(ends)} times (Open MPI, see above)" if len(ends) < kills else ""
    faster = f", and {trial - killed_runs} that ended first" if trial > killed_runs else ""
    return (f"{killed_runs} runs of {'/'.join(map(str, ranks_of))} ranks, each killed: {kills} kills ({told}){faster}",
            f"committed steps lost 0; bit-equal {trial}/{trial}; left after 10 s: 0{hung}",
            f"end after the kill {spread(ends)}")
