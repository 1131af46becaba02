"""Two jobs started within 10 ms on one run folder; a wall clock that is a day wrong, or jumps.

Required: one of the two runs and the other is refused with 64, in one line that names the first; no
step is committed twice. The clock changes nothing.
"""
import shutil
import time

from harness import (Failure, Run, check_metrics, committed, finish, job_text, model, records, saved_steps, verify)

DAY = 86400


def two_at_once(plant, folder, job, ranks, reference, steps):
    first = Run(plant, folder, job, ranks)
    time.sleep(plant.dice.uniform(0, 0.010))
    second_folder_job = folder.with_suffix(".txtpb")  # the same job file, the same command
    assert second_folder_job.exists()
    second = Run(plant, folder, job, ranks)
    codes = [first.wait(), second.wait()]
    said = first.output()
    if codes == [0, 0] and "nothing to do" in said:
        return False  # a busy machine: one was through before the other came
    if sorted(codes) != [0, 64]:
        raise Failure(f"{folder}: expects one 0 and one 64, got {codes}: {said[-1500:]}")
    lines = [line for line in first.lines() if "in use by" in line]
    if len(lines) != 1:
        raise Failure(f"{folder}: expects one line that names the other run: {said[-1500:]}")
    if model(folder) != reference:
        raise Failure(f"{folder}: other parameters than those of an unbroken run")
    check_metrics(folder, steps)
    doubled = [s for s in set(saved_steps(folder)) if saved_steps(folder).count(s) > 1]
    if doubled:
        raise Failure(f"{folder}: steps {doubled} were committed twice")
    verify(plant, folder)
    return True


def clock(plant, **settings):
    return {"LD_PRELOAD": str(plant.clock), **{f"TRIREME_CLOCK_{k.upper()}": str(v) for k, v in settings.items()}}


def wrong_clocks(plant, ranks, job, reference, steps, short):
    """Runs under a wrong clock, and runs broken off under one and resumed under another."""
    done = 0
    wrong = [("ahead", {"shift": DAY}), ("behind", {"shift": -DAY}), ("one-rank", {"shift": DAY, "rank": 1}),
             ("jumps-ahead", {"shift": DAY, "after": 0.3}), ("jumps-back", {"shift": -DAY, "after": 0.3})]
    for name, settings in wrong[::2] if short else wrong:
        folder = plant.folder(f"clock-{name}") / "run"
        run = Run(plant, folder, job, ranks, environment=clock(plant, **settings))
        if run.wait() != 0 or model(folder) != reference:
            raise Failure(f"{folder}: a clock that is {name} changes the run: {run.output()[-1500:]}")
        check_metrics(folder, steps)
        done += 1
    for before, after in ((DAY, -DAY), (-DAY, DAY))[: 1 if short else 2]:
        folder = plant.folder(f"clock-{before}-{after}") / "run"
        run = Run(plant, folder, job, ranks, environment=clock(plant, shift=before))
        deadline = time.monotonic() + 20
        while len(committed(folder)) < 2 and time.monotonic() < deadline and run.process.poll() is None:
            time.sleep(0.002)
        run.kill_all()
        newest = max(committed(folder), default=0)
        if model(folder):
            raise Failure(f"{folder}: was too fast to be broken off")
        again = Run(plant, folder, job, ranks, environment=clock(plant, shift=after))
        if again.wait() != 0 or model(folder) != reference:
            raise Failure(f"{folder}: resumed under another clock: {again.output()[-1500:]}")
        if newest and str(newest) not in again.output():
            raise Failure(f"{folder}: does not say that it resumes at {newest}: {again.output()[-800:]}")
        check_metrics(folder, steps)
        done += 1
    return done


def run(plant, count, short):
    pairs = count or (5 if short else 100)
    # Long enough for the second to meet the first: a step of one process takes a fiftieth of one of two.
    steps = {0: 4000, 2: 100}
    jobs = {ranks: job_text(steps=steps[ranks], every=steps[ranks] // 10) for ranks in steps}
    references = {}
    for ranks in (0, 2):
        unbroken = Run(plant, plant.folder(f"doubles-{ranks}") / "unbroken", jobs[ranks], ranks)
        if unbroken.wait() != 0:
            raise Failure(unbroken.output()[-1500:])
        references[ranks] = model(unbroken.folder)
    met = number = 0
    while met < pairs:
        number += 1
        ranks = 2 if number % 4 == 3 else 0
        met += two_at_once(plant, plant.folder(f"pair-{number}") / "run", jobs[ranks], ranks, references[ranks], steps[ranks])
        if number > 2 * pairs + 10:
            raise Failure(f"{met} of {number} pairs met")
    clocks = wrong_clocks(plant, 2, jobs[2], references[2], steps[2], short)
    return (f"{pairs} pairs within 10 ms; {clocks} runs with the clock a day off or jumping",
            f"one runs, one is refused {pairs}/{pairs}, double commits 0; the clock changes nothing {clocks}/{clocks}", "-")
