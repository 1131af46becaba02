"""A fault at every call of a save that changes the disk: the process dies before it, dies in the
middle of a write, or the call fails with ENOSPC or EIO, or writes less than asked.

Required: the old or the new checkpoint stands, never neither, and what stands verifies; after an
error training goes on; in the end the parameters are the unbroken run's bits.
"""
import re

from harness import (Failure, Run, check_metrics, checkpoint, committed, finish, job_text, leftovers, model, saved_steps,
                     verify)

EVERY = 10
# Under mpirun, where a run takes longer, two saves: the second removes the first.
STEPS, KEEP = {0: 30, 2: 20}, {0: 2, 2: 1}
KINDS = ("kill", "torn", "ENOSPC", "EIO", "short")


def shim(plant, folder, rank, **settings):
    return {"LD_PRELOAD": str(plant.inject), "TRIREME_FAULT_ROOT": str(folder), "TRIREME_FAULT_RANK": str(rank),
            **{f"TRIREME_FAULT_{name.upper()}": str(value) for name, value in settings.items()}}


def calls_of(plant, base, job, ranks, rank, beneath):
    """The calls of one whole run, in their order: (name, path)."""
    folder = base / f"count-{rank}"
    log = base / f"calls-{rank}"
    run = Run(plant, folder, job, ranks, environment=shim(plant, folder / beneath, rank, log=log))
    if run.wait() != 0:
        raise Failure(run.output()[-1500:])
    lines = [line.split(" ", 2) for line in log.read_text().splitlines()]
    return [(name, re.sub(r"tmp-[0-9a-f-]+|del-[0-9a-f-]+", "tmp", path)) for _, name, path in lines], model(folder)


def is_write(name):
    return name in ("write", "pwrite")


def one_fault(plant, base, job, ranks, rank, kind, k, what, reference, beneath):
    folder = base / f"{kind}-{rank}-{k}"
    place = f"{kind} at call {k} of rank {rank} ({what[0]} {what[1]}), {folder}"
    run = Run(plant, folder, job, ranks, environment=shim(plant, folder / beneath, rank, kind=kind, at=k))
    code = run.wait()
    try:
        check_what_stands(plant, folder, what, code)
        if kind in ("kill", "torn"):
            if code == 0:
                raise Failure("the run was not hit")
        elif code != 0:
            raise Failure(f"training ended with {code}: {run.output()[-800:]}")
        elif kind != "short" and beneath == "checkpoints" and not warned(run):
            raise Failure(f"no warning: {run.output()[-800:]}")
        if code == 0 and model(folder) != reference:
            raise Failure("model.safetensors differs from that of the unbroken run")
        if code != 0:
            finish(plant, folder, job, ranks, reference)
        check_metrics(folder, STEPS[ranks])
        if verify(plant, folder) == 0:
            raise Failure("no checkpoint stands at the end")
        # What the last save could not remove stays, with a warning, until the next start that trains.
        may_stay = ".del-" if kind in ("ENOSPC", "EIO") else "nothing"
        if any(not name.startswith(may_stay) for name in leftovers(folder)):
            raise Failure(f"left in checkpoints/: {leftovers(folder)}")
    except Failure as failure:
        raise Failure(f"{place}: {failure}") from None


def warned(run):
    return any(words in run.output() for words in ("could not be saved", "cannot remove", "cannot rename", "cannot commit"))


def check_what_stands(plant, folder, what, code):
    """Every save that was announced, or begun after another, has left one that stands."""
    steps = committed(folder)
    verify(plant, folder)
    announced = saved_steps(folder)
    newest = max(announced, default=0)
    if newest and (not steps or steps[-1] < newest):
        raise Failure(f"step {newest} was announced as committed, there are {steps}")


def run(plant, count, short):
    """`count` bounds the points of each kind and rank under mpirun; without it all of them."""
    points = 0
    told = []
    kinds = KINDS
    for mode in ("SYNC", "ASYNC"):
        for ranks in (0,) if short else (0, 2):
            job = job_text(steps=STEPS[ranks], every=EVERY, keep=KEEP[ranks], mode=mode)
            for rank in range(max(ranks, 1)):
                found = []
                base = plant.folder(f"writes-{mode}-{ranks}-{rank}")
                areas = (("checkpoints", kinds), (".", ("kill", "torn")))
                for beneath, these in areas[: 1 if ranks else 2]:
                    area = base / ("run" if beneath == "." else beneath)
                    area.mkdir()
                    calls, reference = calls_of(plant, area, job, ranks, rank, beneath if beneath != "." else "")
                    if not calls and beneath == "checkpoints":
                        raise Failure(f"rank {rank} of {ranks} made no call in checkpoints/")
                    found.append(len(calls))
                    for kind in these:
                        chosen = [k for k, call in enumerate(calls, 1)
                                  if kind not in ("torn", "short") or is_write(call[0])]
                        most = 4 if short else count if ranks and count else len(chosen)
                        if len(chosen) > most:
                            chosen = sorted(plant.dice.sample(chosen, most))
                        for k in chosen:
                            one_fault(plant, area, job, ranks, rank, kind, k, calls[k - 1], reference,
                                      beneath if beneath != "." else "")
                            points += 1
                bound = f", {count} of each kind" if ranks and count else ""
                told.append(f"{mode} {ranks or 'no mpirun'}{f' rank {rank}' if ranks else ''}: {' calls of saves, '.join(map(str, found))} calls"
                            + (" in the run folder" if len(found) > 1 else " of saves") + bound)
    forever(plant)
    return (f"{points} points ({'; '.join(told)}); kinds {', '.join(kinds)}",
            "old or new stands, all verify, bit-equal at the end: all", "-")


def forever(plant):
    """A disk that stays full: the old checkpoint stands, and after max_failures saves the run stops with 70."""
    base = plant.folder("writes-full")
    job = job_text(steps=100, every=EVERY, keep=2, mode="SYNC", max_failures=2)
    calls, reference = calls_of(plant, base, job, 0, 0, "checkpoints")
    first = next(k for k, (name, path) in enumerate(calls, 1) if name.startswith("rename") and "step-00000020" in path)
    folder = base / "full"
    run = Run(plant, folder, job, 0, environment=shim(plant, folder / "checkpoints", 0, kind="ENOSPC", at=first + 1, count=-1))
    code = run.wait()
    if code != 70:
        raise Failure(f"a disk that stays full: expects 70, got {code}: {run.output()[-800:]}")
    if 20 not in committed(folder):
        raise Failure(f"a disk that stays full took the old checkpoint: {committed(folder)}")
    verify(plant, folder)
    finish(plant, folder, job, 0, reference)
