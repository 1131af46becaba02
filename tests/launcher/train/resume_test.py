#!/usr/bin/env python3
"""Runs that are stopped, killed, damaged and changed, and go on: under a real mpirun.

    resume_test.py TRIREME MPIEXEC [unittest arguments]

Standard library only. Runs on synthetic data, in a folder of its own.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

TRIREME, MPIEXEC = sys.argv[1:3]
JOB = """
name: "small"
model { mlp { hidden: [24] dropout: 0.2 } }
data {
  train { synthetic { samples: 480 height: 8 width: 8 } }
  eval { synthetic { samples: 96 height: 8 width: 8 } }
}
train { global_batch: 24 steps: 60 eval_every_steps: 20 }
optimizer { adamw { lr: 1e-3 } }
checkpoint { every_steps: 10 keep_last: 3 }
"""
ENDLESS = ("--set", "train.steps=10000000", "--set", "checkpoint.every_steps=50")


class Folder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.job = self.folder / "small.txtpb"
        self.job.write_text(JOB)

    def command(self, run, ranks, *arguments):
        launch = [MPIEXEC, "-np", str(ranks)] if ranks else []
        return [*launch, TRIREME, "train", self.job, "--run-dir", self.folder / run, "--device",
                "cpu", *arguments]

    def train(self, run, ranks, *arguments, code=0):
        done = subprocess.run(self.command(run, ranks, *arguments), capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def start(self, run, ranks, *arguments):
        process = subprocess.Popen(self.command(run, ranks, *arguments), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        return process

    def wait_for_steps(self, run, steps):
        """Until the run has done `steps` steps."""
        metrics = self.folder / run / "metrics.jsonl"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if metrics.exists() and metrics.read_bytes().count(b'"step_ms"') >= steps:
                return
            time.sleep(0.02)
        self.fail(f"{run}: no {steps} steps within a minute")

    def model(self, run):
        return (self.folder / run / "model.safetensors").read_bytes()

    def steps(self, run):
        """The losses of the run's steps, by step; each step is there once."""
        lines = (self.folder / run / "metrics.jsonl").read_text().splitlines()
        records = [r for r in map(json.loads, lines) if "loss" in r]
        losses = {r["step"]: r["loss"] for r in records}
        self.assertEqual(len(losses), len(records), "a step that is there twice")
        return losses

    def checkpoints(self, run):
        return sorted(p.name for p in (self.folder / run / "checkpoints").iterdir())

    def lines_of_ours(self, text):
        return [line for line in text.splitlines() if line.startswith("trireme:")]


def ranks_of(pid):
    tasks = Path(f"/proc/{pid}/task")
    found = [int(c) for task in tasks.iterdir() for c in (task / "children").read_text().split()]
    return sorted(p for p in found if "trireme" in Path(f"/proc/{p}/comm").read_text())


class GoingOn(Folder):
    def test_a_killed_rank_costs_no_committed_step(self):
        self.train("unbroken", 2)
        # The run that is killed is the start of the same one.
        process = self.start("run", 2, "--set", "logging.every_steps=1")
        self.wait_for_steps("run", 15)
        os.kill(ranks_of(process.pid)[1], signal.SIGKILL)
        begin = time.monotonic()
        _, errors = process.communicate(timeout=30)
        if process.returncode != 0:  # else it was through before
            self.assertLess(time.monotonic() - begin, 3)
            self.assertEqual(process.returncode, 137)
            ours = self.lines_of_ours(errors)
            self.assertEqual(len(ours), 1, errors)
            self.assertIn("rank 1/2", ours[0])
        saved = self.checkpoints("run")
        again = self.train("run", 2)
        self.assertEqual(self.model("run"), self.model("unbroken"))
        self.assertEqual(self.steps("run"), self.steps("unbroken"))
        committed = [name for name in saved if name.startswith("step-")]
        if committed and process.returncode != 0:
            self.assertIn(f"going on after step {int(committed[-1][5:])},", again.stdout)

    def test_usr1_saves_and_asks_to_be_started_again(self):
        process = self.start("run", 2, *ENDLESS)
        self.wait_for_steps("run", 30)
        for _ in range(2):  # orted and Slurm deliver it twice
            for pid in ranks_of(process.pid):
                os.kill(pid, signal.SIGUSR1)
        _, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 75, errors)
        done = max(self.steps("run"))
        self.assertIn(f"step-{done:08}", self.checkpoints("run"))
        # On to 40 steps more, and the same in one go.
        more = ("--set", f"train.steps={done + 40}", "--set", "checkpoint.every_steps=50")
        again = self.train("run", 2, *more)
        self.assertIn(f"going on after step {done}, ", again.stdout)
        self.assertIn(f"train.steps: 10000000 -> {done + 40}", again.stdout)
        self.train("unbroken", 2, *more)
        self.assertEqual(self.model("run"), self.model("unbroken"))

    def test_term_in_one_process_saves_and_stops_for_good(self):
        process = self.start("run", 0, *ENDLESS)
        self.wait_for_steps("run", 5)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 78, errors)
        done = max(self.steps("run"))
        self.assertIn(f"step-{done:08}", self.checkpoints("run"))
        self.assertIn(f"stopped by a signal after step {done} of 10000000", output)

    def test_any_number_of_ranks_goes_on_from_any_other(self):
        self.train("unbroken", 1)
        self.train("run", 3, "--set", "train.steps=20")
        self.train("run", 2, "--set", "train.steps=40")
        self.train("run", 4)
        losses, expected = self.steps("run"), self.steps("unbroken")
        self.assertEqual(losses.keys(), expected.keys())
        for step, loss in losses.items():
            self.assertAlmostEqual(loss, expected[step], delta=1e-4 * expected[step], msg=step)

    def test_any_zero_goes_on_from_any_other(self):
        self.train("unbroken", 1)
        self.train("run", 3, "--set", "train.steps=20", "--set", "parallel.zero=3")
        saved = self.folder / "run/checkpoints/step-00000020"
        # One shard more than there were ranks, in another folder, and on from there.
        resharded = self.folder / "step-00000020"
        subprocess.run([TRIREME, "checkpoint", "reshard", saved, resharded, "--data", "4"],
                       check=True, capture_output=True, timeout=60)
        self.train("next", 2, "--set", "train.steps=40", "--set", "parallel.zero=1", "--resume",
                   resharded)
        told = self.train("next", 4, "--set", "parallel.zero=2").stdout
        self.assertIn("parallel.zero: 1 -> 2", told)
        losses, expected = self.steps("run") | self.steps("next"), self.steps("unbroken")
        self.assertEqual(losses.keys(), expected.keys())
        for step, loss in losses.items():
            self.assertAlmostEqual(loss, expected[step], delta=1e-4 * expected[step], msg=step)

    def test_a_finished_run_made_longer_equals_one_of_that_length(self):
        self.train("unbroken", 2)
        self.train("run", 2, "--set", "train.steps=30")
        again = self.train("run", 2)
        self.assertIn("train.steps: 30 -> 60", again.stdout)
        self.assertEqual(self.model("run"), self.model("unbroken"))
        self.assertTrue((self.folder / "run" / "job.resolved.2.txtpb").exists())
        self.assertIn("finished; nothing to do", self.train("run", 2).stdout)

    def test_from_a_checkpoint_into_another_folder(self):
        self.train("run", 2)
        saved = self.folder / "run" / "checkpoints" / "step-00000050"
        done = self.train("branch", 2, "--resume", saved)
        self.assertIn("going on after step 50, ", done.stdout)
        self.assertEqual(self.model("branch"), self.model("run"))
        self.assertEqual(min(self.steps("branch")), 51)
        refused = self.train("run", 2, "--resume", saved, code=64)
        self.assertIn("newer", refused.stderr)

    def test_without_the_resolved_job_checkpoints_are_enough(self):
        self.train("unbroken", 1)
        self.train("run", 1, "--set", "train.steps=30")
        (self.folder / "run" / "job.resolved.txtpb").unlink()
        (self.folder / "run" / "model.safetensors").unlink()
        self.assertIn("going on after step 30, ", self.train("run", 1).stdout)
        self.assertEqual(self.model("run"), self.model("unbroken"))


class Refusals(Folder):
    def damage(self, run, step, name="shard-00000.safetensors"):
        path = self.folder / run / "checkpoints" / f"step-{step:08}" / name
        data = bytearray(path.read_bytes())
        data[len(data) * 3 // 4] ^= 16
        path.write_bytes(data)
        return path

    def test_a_corrupt_checkpoint_is_skipped_by_all_ranks(self):
        self.train("unbroken", 2)
        self.train("run", 2, "--set", "train.steps=50")
        bad = self.damage("run", 50, "shard-00001.safetensors")
        worse = self.damage("run", 40, "manifest.pb")
        done = self.train("run", 2)
        self.assertIn(f"skipped: {bad}", done.stdout)
        self.assertIn(f"skipped: {worse}", done.stdout)
        self.assertIn("going on after step 30, ", done.stdout)
        self.assertEqual(self.model("run"), self.model("unbroken"))
        self.assertEqual(sum(n.startswith("refused-") for n in self.checkpoints("run")), 2)

    def test_nothing_left_to_go_on_from(self):
        self.train("run", 2, "--set", "train.steps=30")
        for step in (10, 20, 30):
            bad = self.damage("run", step)
        done = self.train("run", 2, code=65)
        self.assertEqual(len(self.lines_of_ours(done.stderr)), 1, done.stderr)
        self.assertIn(str(bad), done.stderr)

    def test_another_job(self):
        self.train("run", 1, "--set", "train.steps=20")
        before = {p: p.read_bytes() for p in (self.folder / "run").rglob("*") if p.is_file()}
        for change in ("train.seed=2", "train.global_batch=12", "model.mlp={hidden: [25]}"):
            done = self.train("run", 1, "--set", change, code=64)
            self.assertEqual(len(self.lines_of_ours(done.stderr)), 1, done.stderr)
            self.assertIn(change.split("=")[0], done.stderr)
        after = {p: p.read_bytes() for p in (self.folder / "run").rglob("*") if p.is_file()}
        self.assertEqual(after, before)

    def test_two_runs_in_one_folder(self):
        process = self.start("run", 1, *ENDLESS)
        self.wait_for_steps("run", 5)
        done = self.train("run", 1, *ENDLESS, code=64)
        self.assertIn("is in use by pid", done.stderr)
        for pid in ranks_of(process.pid):  # mpirun that is terminated itself exits with 1
            os.kill(pid, signal.SIGTERM)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 78)
        self.assertEqual(len(self.steps("run")), max(self.steps("run")))

    def test_never(self):
        self.train("run", 1, "--set", "train.steps=10")
        self.assertIn("--resume never", self.train("run", 1, "--resume", "never", code=64).stderr)


class Guards(Folder):
    def test_what_is_kept(self):
        self.train("run", 1, "--set", "checkpoint.every_steps=5", "--set", "checkpoint.keep_last=2",
                   "--set", "checkpoint.keep_every=25", "--set", "checkpoint.mode=SYNC")
        self.assertEqual(self.checkpoints("run"),
                         [f"step-{step:08}" for step in (25, 50, 55, 60)])

    def test_the_best_is_kept(self):
        # The rate makes the loss rise after the first evaluations.
        self.train("run", 1, "--set", "optimizer.adamw={lr: 0.5}", "--set", "train.steps=100",
                   "--set", "train.eval_every_steps=10", "--set", "checkpoint.keep_last=1",
                   "--set", "checkpoint.keep_best=1")
        lines = (self.folder / "run" / "metrics.jsonl").read_text().splitlines()
        evals = {r["step"]: r["eval_loss"] for r in map(json.loads, lines) if "eval_loss" in r}
        best = min(evals, key=evals.get)
        self.assertEqual(self.checkpoints("run"),
                         sorted({f"step-{best:08}", "step-00000100"}))

    def test_early_stop(self):
        stop = ("--set", "train.early_stop={metric: \"accuracy\" patience: 2}", "--set",
                "train.eval_every_steps=5", "--set", "train.steps=100000")
        done = self.train("run", 2, *stop)
        self.assertIn("training ends early", done.stdout)
        self.assertLess(max(self.steps("run")), 5000)
        self.assertIn("finished; nothing to do", self.train("run", 2, *stop).stdout)

    def test_the_first_refused_step_may_end_the_run(self):
        done = self.train("run", 2, "--set", "optimizer.sgd={lr: 1e30}", "--set",
                          "train.non_finite=STOP", code=72)
        self.assertEqual(len(self.lines_of_ours(done.stderr)), 1, done.stderr)
        self.assertIn("was not finite", done.stderr)

    def test_replicas_are_the_same(self):
        self.train("run", 3, "--set", "train.replica_check_every_steps=7")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
