#!/usr/bin/env python3
"""Training under a real mpirun: the same job on 1, 2, 3 and 4 ranks, failures, signals.

    mpirun_train_test.py TRIREME MPIEXEC [unittest arguments]

Standard library only. Runs on synthetic data, in a folder of its own.
"""
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from files import read_floats

TRIREME, MPIEXEC = sys.argv[1:3]
BATCH = 120
JOB = """
name: "synthetic-lenet5"
model { lenet5 {} }
data {
  train { synthetic { samples: 1200 seed: 3 } }
  eval { synthetic { samples: 300 seed: 3 first_sample: 1200 } }
}
train { global_batch: 120 steps: 24 seed: 5 }
optimizer { adamw { lr: 1e-3 } }
schedule { cosine { warmup_steps: 4 } }
"""


class Run:
    """One finished run of a job."""

    def __init__(self, folder, ranks, name, job=JOB, arguments=(), run_dir=None):
        self.folder = run_dir or folder / name
        self.gradients_file = folder / f"{name}-gradients.safetensors"
        path = folder / f"{name}.txtpb"
        path.write_text(job)
        launch = [MPIEXEC, "-np", str(ranks)] if ranks else []
        begin = time.monotonic()
        self.process = subprocess.run(
            [*launch, TRIREME, "train", path, "--run-dir", self.folder, "--device", "cpu",
             "--save-gradients", self.gradients_file, *arguments],
            capture_output=True, text=True, timeout=120, check=False)
        self.seconds = time.monotonic() - begin
        self.ours = [line for line in self.process.stderr.splitlines() if "trireme:" in line]

    def records(self):
        lines = (self.folder / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def losses(self):
        return [r["loss"] for r in self.records() if "loss" in r]

    def deterministic_records(self):
        timing = {"samples_per_second", "step_ms", "communication_ms", "exposed_ms", "overlap",
                  "memory_before_bytes", "memory_peak_bytes"}
        return [{k: v for k, v in r.items() if k not in timing} for r in self.records()]

    def accuracy(self):
        return [r["accuracy"] for r in self.records() if "accuracy" in r][-1]


def pipelined(**fields):
    """Arguments that cut the network into stages."""
    sets = {"train.micro_batch": 20, **{f"parallel.{name}": v for name, v in fields.items()}}
    return [part for path, value in sets.items() for part in ("--set", f"{path}={value}")]


PIPELINES = {  # ranks and arguments
    "stages-2": (2, pipelined(pipeline=2)),
    "stages-3-zero-bubble": (3, pipelined(pipeline=3, pipeline_schedule="ZERO_BUBBLE")),
    "stages-2-named-data-2": (4, pipelined(pipeline=2, zero=2, stages="pool2",
                                           pipeline_schedule="GPIPE")),
    "stages-2-interleaved": (2, pipelined(pipeline=2, pipeline_schedule="INTERLEAVED")),
}


class MpirunTrain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        cls.runs = {n: Run(cls.folder, n, f"np{n}") for n in (0, 1, 2, 3, 4)}
        cls.pipelines = {name: Run(cls.folder, ranks, name, arguments=arguments)
                         for name, (ranks, arguments) in PIPELINES.items()}

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_every_run_ends_in_order(self):
        for ranks, run in self.runs.items():
            self.assertEqual(run.process.returncode, 0, f"-np {ranks}: {run.process.stderr}")
            self.assertEqual(len(run.losses()), 24)

    def test_losses_do_not_depend_on_the_number_of_ranks(self):
        want = self.runs[1].losses()
        for ranks in (2, 3, 4):
            got = self.runs[ranks].losses()
            self.assertLess(abs(got[0] / want[0] - 1), 1e-6, f"step 1, {ranks} ranks")
            for step in range(20):
                self.assertLess(abs(got[step] / want[step] - 1), 1e-5,
                                f"step {step + 1}, {ranks} ranks: {got[step]} {want[step]}")

    def test_every_gradient_of_step_1_by_name(self):
        # Sums of B terms in f32, in another order: sqrt(B) units in the last place, times a few.
        bound = 4 * BATCH**0.5 * 2**-24
        want = read_floats(self.runs[1].gradients_file)
        self.assertEqual(len(want), 10)
        for ranks in (2, 3, 4):
            got = read_floats(self.runs[ranks].gradients_file)
            self.assertEqual(set(got), set(want))
            for name, values in want.items():
                largest = max(abs(v) for v in values)
                self.assertGreater(largest, 1e-4, f"{name}: gradients near zero prove nothing")
                worst = max(abs(a - b) for a, b in zip(got[name], values)) / largest
                self.assertLess(worst, bound, f"{name} on {ranks} ranks")

    def test_pipelines_give_what_one_rank_gives(self):
        want = self.runs[1]
        gradients = read_floats(want.gradients_file)
        bound = 4 * BATCH**0.5 * 2**-24
        for name, run in self.pipelines.items():
            self.assertEqual(run.process.returncode, 0, f"{name}: {run.process.stderr}")
            for step, (got, loss) in enumerate(zip(run.losses(), want.losses(), strict=True)):
                self.assertLess(abs(got / loss - 1), 1e-6 if step == 0 else 1e-5, f"{name}: {step}")
            got = read_floats(run.gradients_file)
            self.assertEqual(set(got), set(gradients), name)
            for tensor, values in gradients.items():
                largest = max(abs(v) for v in values)
                worst = max(abs(a - b) for a, b in zip(got[tensor], values)) / largest
                self.assertLess(worst, bound, f"{name}: {tensor}")
            self.assertEqual(run.accuracy(), want.accuracy(), name)

    def test_a_network_of_too_few_layers_is_one_line(self):
        run = Run(self.folder, 0, "too-few", arguments=pipelined(pipeline=9, data=1))
        self.assertEqual(run.process.returncode, 64)
        self.assertEqual(len(run.ours), 1, run.process.stderr)

    def test_final_accuracy(self):
        want = self.runs[1].accuracy()
        self.assertGreater(want, 0.5)
        for ranks in (2, 3, 4):
            self.assertLess(abs(self.runs[ranks].accuracy() - want), 0.005)

    def test_the_same_layout_twice_gives_the_same_bits(self):
        for ranks in (1, 2, 4):
            again = Run(self.folder, ranks, f"again{ranks}")
            self.assertEqual(again.deterministic_records(), self.runs[ranks].deterministic_records())
            self.assertEqual((again.folder / "model.safetensors").read_bytes(),
                             (self.runs[ranks].folder / "model.safetensors").read_bytes())

    def test_a_run_that_nobody_launched_equals_one_rank(self):
        self.assertEqual(self.runs[0].deterministic_records(), self.runs[1].deterministic_records())

    def test_the_resolved_job_gives_the_same_run(self):
        resolved = (self.runs[2].folder / "job.resolved.txtpb").read_text()
        again = Run(self.folder, 2, "resolved", job=resolved)
        self.assertEqual(again.process.returncode, 0, again.process.stderr)
        self.assertEqual(again.deterministic_records(), self.runs[2].deterministic_records())

    def test_micro_batches_change_nothing_but_rounding(self):
        run = Run(self.folder, 2, "micro", arguments=["--set", "train.micro_batch=20"])
        want = self.runs[2].losses()
        for got, expected in zip(run.losses()[:20], want):
            self.assertLess(abs(got / expected - 1), 1e-5)

    def test_a_finished_run_says_so(self):
        again = subprocess.run(
            [TRIREME, "train", self.folder / "np1.txtpb", "--run-dir", self.folder / "np1"],
            capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("this run is finished", again.stdout)

    def test_evaluation_of_the_saved_parameters(self):
        run = subprocess.run(
            [MPIEXEC, "-np", "2", TRIREME, "eval", self.folder / "np1.txtpb", "--checkpoint",
             self.folder / "np1", "--device", "cpu"],
            capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn(f"accuracy {self.runs[1].accuracy():.4f}", run.stdout)

    def expect_failure(self, run, code, text):
        self.assertEqual(run.process.returncode, code, run.process.stderr + run.process.stdout)
        self.assertEqual(len(run.ours), 1, run.process.stderr)
        self.assertIn(text, run.ours[0])
        self.assertLess(run.seconds, 10)

    def test_a_world_that_does_not_fit_the_batch(self):
        self.expect_failure(Run(self.folder, 7, "seven"), 64, "nearest")

    def test_ranks_that_run_different_jobs(self):
        begin = time.monotonic()
        path, folder = self.folder / "np2.txtpb", self.folder / "differ"
        command = [TRIREME, "train", path, "--run-dir", folder, "--device", "cpu"]
        odd = [*command, "--set", "parallel.zero=1"]
        process = subprocess.run(
            [MPIEXEC, "-np", "1", *command, ":", "-np", "1", *odd],
            capture_output=True, text=True, timeout=120, check=False)
        ours = [line for line in process.stderr.splitlines() if "trireme:" in line]
        self.assertEqual(process.returncode, 64, process.stderr)
        self.assertEqual(len(ours), 1, process.stderr)
        self.assertRegex(ours[0], r"\[programs\] collective 0 of the world group: rank 0 has "
                         r"all_reduce of bucket 0 .*, \d+ x f32 .*, where rank 1 has "
                         r"reduce_scatter of bucket 0 .*, \d+ x f32 .*must run the same job")
        self.assertEqual((folder / "metrics.jsonl").exists(), False)
        self.assertLess(time.monotonic() - begin, 10)

    def test_overlap_is_reported(self):
        for record in self.runs[2].records():
            if "step_ms" not in record:
                continue
            self.assertGreater(record["communication_ms"], 0)
            self.assertGreaterEqual(record["exposed_ms"], 0)
            self.assertLessEqual(record["exposed_ms"], record["step_ms"])
            self.assertTrue(0 <= record["overlap"] <= 1)
        self.assertNotIn("overlap", self.runs[1].records()[0])
    def test_a_precision_that_a_cpu_does_not_have(self):
        run = Run(self.folder, 2, "half", arguments=["--set", "train.precision=FP16"])
        self.expect_failure(run, 64, "train.precision (FP16) cannot be had on this CPU")
        self.assertFalse(run.folder.exists())

    def test_a_run_folder_that_cannot_be_written(self):
        (self.folder / "file").write_text("not a folder")
        run = Run(self.folder, 2, "blocked", run_dir=self.folder / "file" / "run")
        self.expect_failure(run, 64, "run folder")

    def test_corrupt_data_ends_all_ranks(self):
        (self.folder / "images.idx").write_bytes(b"\0\0\x08\x03" + struct.pack(">III", 9, 28, 28))
        (self.folder / "labels.idx").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 9) + bytes(9))
        job = JOB.replace("train { synthetic { samples: 1200 seed: 3 } }",
                          'train { idx { images: "images.idx" labels: "labels.idx" } }')
        self.expect_failure(Run(self.folder, 3, "corrupt", job=job), 66, "images.idx")

    def test_sigterm_stops_all_ranks_after_the_same_step(self):
        path = self.folder / "long.txtpb"
        path.write_text(JOB.replace("steps: 24", "steps: 1000000"))
        process = subprocess.Popen(
            [MPIEXEC, "-np", "2", TRIREME, "train", path, "--run-dir", self.folder / "long",
             "--device", "cpu"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        metrics = self.folder / "long" / "metrics.jsonl"
        while time.monotonic() < deadline and not (metrics.exists() and metrics.stat().st_size):
            time.sleep(0.05)
        for pid in children(process.pid):
            os.kill(pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 78, errors)
        done = max(r["step"] for r in map(json.loads, metrics.read_text().splitlines()))
        self.assertTrue((self.folder / "long" / "checkpoints" / f"step-{done:08}").is_dir())


def children(pid):
    tasks = Path(f"/proc/{pid}/task")
    found = [int(c) for task in tasks.iterdir() for c in (task / "children").read_text().split()]
    return [p for p in found if "trireme" in Path(f"/proc/{p}/comm").read_text()]


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
