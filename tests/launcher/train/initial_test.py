#!/usr/bin/env python3
"""train.initial: a run that starts from another's parameters, whole or with layers frozen.

    initial_test.py TRIREME MPIEXEC [unittest arguments]

Standard library only; the text is made here, in a folder of its own.
"""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from files import read_safetensors

TRIREME, MPIEXEC = sys.argv[1:3]
JOB = """
model {{ gpt {{ layers: 2 width: 16 heads: 2 context: 12 vocabulary: 256 }} }}
data {{ train {{ text {{ files: "text.txt" }} }} }}
train {{ global_batch: 8 steps: 3 {train} }}
optimizer {{ adamw {{ lr: {lr} }} {group} }}
checkpoint {{ every_steps: 3 }}
parallel {{ {parallel} }}
"""


class Initial(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.scratch.name)
        (cls.folder / "text.txt").write_text("what shall we do with the drunken sailor " * 50)
        cls.train("first")
        cls.first = read_safetensors(cls.folder / "first" / "model.safetensors")

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def run_binary(cls, *arguments, ranks=1):
        launch = [MPIEXEC, "-np", str(ranks)] if ranks > 1 else []
        return subprocess.run([*launch, TRIREME, *arguments], cwd=cls.folder, capture_output=True,
                              text=True, timeout=60, check=False)

    @classmethod
    def train(cls, name, train="", lr="1e-2", group="", parallel="", ranks=1, status=0):
        job = cls.folder / f"{name}.txtpb"
        job.write_text(JOB.format(train=train, lr=lr, group=group, parallel=parallel))
        done = cls.run_binary("train", str(job), "--run-dir", name, "--device", "cpu", ranks=ranks)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def test_starts_where_the_other_ended(self):
        at = "checkpoints/step-00000003"
        self.assertEqual(self.run_binary("checkpoint", "export", f"first/{at}", "hf").returncode, 0)
        self.assertEqual(self.run_binary("checkpoint", "import", "hf", "imported").returncode, 0)
        # A step this small changes no bit.
        for number, (path, ranks, parallel) in enumerate([
                ("first", 1, ""), (f"first/{at}", 1, ""), ("first/model.safetensors", 1, ""),
                ("imported", 1, ""), ("imported", 4, "tensor: 2 pipeline: 2"), ("first", 2, "zero: 3")]):
            with self.subTest(path=path, parallel=parallel):
                run = f"next{number}"
                done = self.train(run, f'initial: "{path}"', lr="1e-30", parallel=parallel, ranks=ranks)
                self.assertIn(f"parameters from {self.folder / path}", done.stdout)
                self.assertEqual(read_safetensors(self.folder / run / "model.safetensors"), self.first)

    def test_groups_may_be_frozen(self):
        self.train("frozen", 'initial: "first" seed: 9', group='group { match: "block0/*" frozen: true }')
        after = read_safetensors(self.folder / "frozen" / "model.safetensors")
        self.assertEqual(after.keys(), self.first.keys())
        for name, values in after.items():
            self.assertEqual(values == self.first[name], name.startswith("block0/"), name)

    def test_other_models_are_refused(self):
        done = self.train("wide", 'initial: "first"', parallel="", status=0)
        job = (self.folder / "wide.txtpb").read_text()
        (self.folder / "wider.txtpb").write_text(job.replace("width: 16", "width: 32"))
        done = self.run_binary("train", "wider.txtpb", "--device", "cpu")
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("first/model.safetensors: tensor '", done.stderr)
        (self.folder / "wider.txtpb").write_text(job.replace('"first"', '"frist"'))
        done = self.run_binary("train", "wider.txtpb", "--device", "cpu")
        self.assertEqual(done.returncode, 64, done.stderr)
        self.assertIn("wider.txtpb:4:34: train.initial: there is no ", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
