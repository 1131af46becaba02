#!/usr/bin/env python3
"""train.determinism LAYOUT under a real mpirun: the same model.safetensors, byte for byte, and the
same losses and norms, in any layout, cut or unbroken.

    determinism_mpirun_test.py TRIREME MPIEXEC [unittest arguments]

Standard library only; tokens are drawn here, in a folder of its own.
"""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from files import write_tokens

TRIREME, MPIEXEC = sys.argv[1:3]
STEPS = 6
JOB = """
name: "determinism"
model {{ gpt {{ layers: 3 width: 24 heads: 4 context: 12 vocabulary: 61 dropout: 0.1 }} }}
data {{ train {{ tokens {{ files: "train.bin" }} }} eval {{ tokens {{ files: "eval.bin" }} }} }}
train {{ global_batch: 16 micro_batch: {micro_batch} steps: {steps} seed: 4 eval_every_steps: 6
        determinism: {determinism} virtual_shards: 4 }}
optimizer {{ adamw {{ lr: 1e-3 }} clip_norm: 0.5 }}
checkpoint {{ every_steps: 3 keep_last: 5 }}
parallel {{ {parallel} }}
"""
# ranks, parallel { ... }
LAYOUTS = [
    (2, "zero: 1"),
    (2, "pipeline: 2 pipeline_schedule: ZERO_BUBBLE"),
    (4, "zero: 2"),
    (4, "pipeline: 2 zero: 3"),
]


class Determinism(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.scratch.name)
        write_tokens(cls.folder / "train.bin", 3000, 61, seed=1)
        write_tokens(cls.folder / "eval.bin", 500, 61, seed=2)
        cls.one = cls.train("one", 1, "")

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def train(cls, name, ranks, parallel, determinism="LAYOUT", steps=STEPS, micro_batch=2, run=None):
        """Runs a job; the bytes of its parameters, and what it reported that is no time."""
        job = cls.folder / f"{name}.txtpb"
        job.write_text(JOB.format(parallel=parallel, determinism=determinism, steps=steps,
                                  micro_batch=micro_batch))
        folder = cls.folder / (run or name)
        done = subprocess.run(
            [MPIEXEC, "-np", str(ranks), TRIREME, "train", job, "--run-dir", folder, "--device",
             "cpu"],
            capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise AssertionError(f"{name}: status {done.returncode}\n{done.stdout}{done.stderr}")
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        kept = [{k: v for k, v in r.items() if k in ("step", "loss", "grad_norm", "eval_loss")}
                for r in records if "loss" in r or "eval_loss" in r]
        return (folder / "model.safetensors").read_bytes(), kept

    def test_equal_bytes_in_every_layout(self):
        for number, (ranks, parallel) in enumerate(LAYOUTS):
            with self.subTest(ranks=ranks, parallel=parallel):
                got = self.train(f"layout{number}", ranks, parallel)
                self.assertEqual(got[1], self.one[1])
                self.assertTrue(got[0] == self.one[0], "model.safetensors differ")

    def test_without_it_they_differ(self):
        one, four = (self.train(f"run{ranks}", ranks, "", "RUN", micro_batch=4)
                     for ranks in (1, 4))
        self.assertFalse(one[0] == four[0])

    def test_cut_and_gone_on_elsewhere(self):
        self.train("cut", 4, "zero: 3", steps=3, run="moved")
        got = self.train("moved", 2, "pipeline: 2", run="moved")
        self.assertTrue(got[0] == self.one[0], "model.safetensors differ")
        self.assertEqual(got[1][-1], self.one[1][-1])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
