#!/usr/bin/env python3
"""Every axis of the mesh under a real mpirun: a small GPT against one rank, and a run that is cut
and goes on in another layout.

    layouts_mpirun_test.py TRIREME MPIEXEC [unittest arguments]

Standard library only; tokens are drawn here, in a folder of its own. TRIREME_LAYOUTS=N adds N
layouts drawn at random, for the campaign.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from files import read_floats, write_tokens

TRIREME, MPIEXEC = sys.argv[1:3]
STEPS = 6
JOB = """
name: "layouts"
model {{ gpt {{ layers: 3 width: 24 heads: 4 context: 12 vocabulary: 61 dropout: 0.1 }} }}
data {{ train {{ tokens {{ files: "train.bin" }} }} eval {{ tokens {{ files: "eval.bin" }} }} }}
train {{ global_batch: 16 micro_batch: 2 steps: {steps} seed: 4 eval_every_steps: 6 {train} }}
optimizer {{ adamw {{ lr: 1e-3 }} clip_norm: 0.5 }}
checkpoint {{ every_steps: 3 keep_last: 5 }}
parallel {{ {parallel} }}
"""
# ranks, parallel { ... }, train { ... }
LAYOUTS = [
    (2, "tensor: 2 sequence: true", ""),
    (2, "pipeline: 2", "recompute: FULL"),
    (3, "pipeline: 3 pipeline_schedule: ZERO_BUBBLE", ""),
    (4, "pipeline: 2 pipeline_schedule: INTERLEAVED zero: 1", ""),
    (4, "data: 4 zero: 3", "recompute: FULL"),
    (4, "tensor: 2 zero: 2", ""),
    (8, "tensor: 2 pipeline: 2 zero: 3 sequence: true", "recompute: FULL"),
    (8, "tensor: 2 pipeline: 2 pipeline_schedule: GPIPE zero: 1", ""),
]


def drawn(count):
    """Layouts of at most eight ranks that the job below can have."""
    draw = random.Random(20261121)
    while count:
        data, tensor, pipeline = draw.choice((1, 2, 4, 8)), draw.choice((1, 2, 4)), draw.choice((1, 2, 3))
        schedule = draw.choice(("ONE_F_ONE_B", "GPIPE", "INTERLEAVED", "ZERO_BUBBLE"))
        micro_batches = 8 // data
        if data * tensor * pipeline > 8 or pipeline == 1 and schedule != "ONE_F_ONE_B":
            continue
        if schedule == "INTERLEAVED" and micro_batches % pipeline:
            continue
        sequence = "sequence: true" if tensor > 1 and draw.random() < 0.5 else ""
        yield (data * tensor * pipeline,
               f"data: {data} tensor: {tensor} pipeline: {pipeline} pipeline_schedule: {schedule} "
               f"zero: {draw.randrange(4)} {sequence}", draw.choice(("", "recompute: FULL")))
        count -= 1


LAYOUTS += drawn(int(os.environ.get("TRIREME_LAYOUTS", "0")))


class Layouts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.scratch.name)
        write_tokens(cls.folder / "train.bin", 3000, 61, seed=1)
        write_tokens(cls.folder / "eval.bin", 500, 61, seed=2)
        cls.one = cls.train("one", 1, "", "")

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def train(cls, name, ranks, parallel, train, steps=STEPS, run=None):
        """Runs a job; the records of its metrics, and the gradients of its first step."""
        job = cls.folder / f"{name}.txtpb"
        job.write_text(JOB.format(parallel=parallel, train=train, steps=steps))
        gradients = cls.folder / f"{name}.safetensors"
        folder = cls.folder / (run or name)
        done = subprocess.run(
            [MPIEXEC, "-np", str(ranks), TRIREME, "train", job, "--run-dir", folder, "--device",
             "cpu", "--save-gradients", gradients],
            capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise AssertionError(f"{name}: status {done.returncode}\n{done.stdout}{done.stderr}")
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return records, read_floats(gradients)

    def losses(self, records):
        return [r["loss"] for r in records if "loss" in r]

    def test_equal_one_rank(self):
        records, gradients = self.one
        for number, (ranks, parallel, train) in enumerate(LAYOUTS):
            with self.subTest(ranks=ranks, parallel=parallel, train=train):
                got, got_gradients = self.train(f"layout{number}", ranks, parallel, train)
                for want, loss in zip(self.losses(records), self.losses(got), strict=True):
                    self.assertAlmostEqual(loss, want, delta=2e-6 * want)
                evals = [[r["eval_loss"] for r in rs if "eval_loss" in r] for rs in (records, got)]
                self.assertAlmostEqual(evals[1][0], evals[0][0], delta=2e-6 * evals[0][0])
                self.assertEqual(got_gradients.keys(), gradients.keys())
                for name, want in gradients.items():
                    largest = max(abs(x) for x in want)
                    self.assertGreater(largest, 1e-6, name)
                    worst = max(abs(a - b) for a, b in zip(got_gradients[name], want, strict=True))
                    self.assertLess(worst, 1e-5 * largest, name)
        print(f"{len(LAYOUTS)} layouts")

    def test_goes_on_in_another_layout(self):
        records, _ = self.one
        self.train("cut", 4, "tensor: 2 zero: 1", "", steps=3, run="moved")
        got, _ = self.train("moved", 6, "pipeline: 3 zero: 2", "", run="moved")
        for want, loss in zip(self.losses(records), self.losses(got), strict=True):
            self.assertAlmostEqual(loss, want, delta=1e-5 * want)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
