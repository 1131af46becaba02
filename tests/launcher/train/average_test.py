#!/usr/bin/env python3
"""train.average: kept in any layout, saved, resumed, evaluated and exported.

    average_test.py TRIREME MPIEXEC [unittest arguments]

Standard library only; the text is made here, in a folder of its own.
"""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from files import read_floats, read_safetensors

TRIREME, MPIEXEC = sys.argv[1:3]
STEPS = 12
JOB = """
model { gpt { layers: 2 width: 16 heads: 2 context: 12 vocabulary: 256 } }
data {
  train { text { files: "text.txt" } }
  eval { text { files: "text.txt" } }
}
train { global_batch: 8 steps: 12 average { decay: 0.6 } }
optimizer { adamw { lr: 3e-2 } group { match: "block0/mlp/*" frozen: true } }
checkpoint { every_steps: 1 keep_last: 20 }
"""


class Average(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.folder = Path(cls.scratch.name)
        (cls.folder / "text.txt").write_text("what shall we do with the drunken sailor " * 50)
        (cls.folder / "job.txtpb").write_text(JOB)
        cls.run_binary("train", "job.txtpb", "--run-dir", "first", "--device", "cpu")

    @classmethod
    def run_binary(cls, *arguments, ranks=1, code=0):
        launch = [MPIEXEC, "-np", str(ranks)] if ranks > 1 else []
        done = subprocess.run([*launch, TRIREME, *arguments], cwd=cls.folder, capture_output=True,
                              text=True, timeout=120, check=False)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def train(self, run, *sets, ranks=1, code=0):
        words = [word for field in sets for word in ("--set", field)]
        return self.run_binary("train", "job.txtpb", "--run-dir", run, "--device", "cpu", *words,
                               ranks=ranks, code=code)

    def final(self, run):
        return read_safetensors(self.folder / run / "model_average.safetensors")

    def loss(self, checkpoint, *flags):
        done = self.run_binary("eval", "job.txtpb", "--checkpoint", checkpoint, "--device", "cpu", *flags)
        return float(done.stdout.split("loss ")[1].split()[0])

    def assert_near(self, got, want, bound):
        self.assertEqual(got.keys(), want.keys())
        for name, values in want.items():
            for a, b in zip(got[name], values):
                self.assertLessEqual(abs(a - b), bound, name)

    def test_follows_its_formula_over_the_parameters_of_every_step(self):
        average = {}
        for step in range(1, STEPS + 1):
            (shard,) = (self.folder / f"first/checkpoints/step-{step:08d}").glob("*.safetensors")
            saved = read_floats(shard)
            weight = max(1 - 0.6, 9 / (step + 8))
            for key, values in saved.items():
                role, name = key.split("/", 1)
                if role != "parameter":
                    continue
                before = average.get(name, [0.0] * len(values))
                average[name] = [(1 - weight) * a + weight * p for a, p in zip(before, values)]
            for name, values in average.items():
                frozen = name.startswith("block0/mlp/")
                self.assertEqual(f"average/{name}" in saved, not frozen, name)
                if not frozen:
                    self.assert_near({name: saved[f"average/{name}"]}, {name: values}, 1e-6)
        model = read_floats(self.folder / "first/model.safetensors")
        self.assertTrue(any(name.startswith("block0/mlp/") for name in average))
        for name, values in model.items():
            if name.startswith("block0/mlp/"):
                average[name] = values
        final = read_floats(self.folder / "first/model_average.safetensors")
        self.assert_near(final, average, 1e-6)
        self.assertNotEqual(final, model)

    def test_is_the_same_in_any_layout_and_after_any_change_of_it(self):
        want = read_floats(self.folder / "first/model_average.safetensors")
        for number, (ranks, cut, then_ranks, then) in enumerate([
                (2, ["parallel.zero=1"], 2, ["parallel.zero=3"]),
                (2, ["parallel.tensor=2"], 4, ["parallel.pipeline=2", "parallel.zero=2"]),
                (4, ["parallel.tensor=2", "parallel.pipeline=2"], 1, [])]):
            with self.subTest(cut=cut, then=then):
                run = f"cut{number}"
                self.train(run, *cut, "train.steps=5", ranks=ranks)
                self.train(run, *then, ranks=then_ranks)
                self.assert_near(read_floats(self.folder / run / "model_average.safetensors"), want, 2e-3)
                self.assertTrue((self.folder / run / "model_average.before-2.safetensors").exists())

    def test_goes_on_to_the_same_bits(self):
        self.train("cut", "train.steps=7")
        self.train("cut")
        self.assertEqual(self.final("cut"), self.final("first"))

    def test_is_evaluated_generated_from_and_exported(self):
        average = self.loss("first", "--average")
        self.assertNotEqual(average, self.loss("first"))
        self.assertEqual(self.loss("first/model_average.safetensors"), average)
        self.assertEqual(self.loss(f"first/checkpoints/step-{STEPS:08d}", "--average"), average)
        text = ("generate", "job.txtpb", "--prompt", "what", "--tokens", "8", "--device", "cpu",
                "--temperature", "0", "--checkpoint")
        self.assertEqual(self.run_binary(*text, "first", "--average").stdout,
                         self.run_binary(*text, "first/model_average.safetensors").stdout)
        for source, out in (("first", "hf"), (f"first/checkpoints/step-{STEPS:08d}", "hf2")):
            self.run_binary("checkpoint", "export", source, out, "--average")
            exported = read_safetensors(self.folder / out / "model.safetensors")
            self.assertIn(self.final("first")["block1/norm1/weight"], exported.values())
        self.run_binary("checkpoint", "reshard", "--data", "2", "--zero", "1",
                        f"first/checkpoints/step-{STEPS:08d}", "resharded")
        self.assertEqual(self.loss("resharded", "--average"), average)

    def test_is_planned(self):
        with_it = self.run_binary("plan", "job.txtpb", "--world", "1", "--device", "cpu").stdout
        self.assertIn("moving average", with_it)

    def test_refusals(self):
        self.run_binary("train", "job.txtpb", "--run-dir", "short", "--device", "cpu", "--set",
                        "train.steps=4")
        without = (self.folder / "job.txtpb").read_text().replace("average { decay: 0.6 }", "")
        (self.folder / "without.txtpb").write_text(without)
        self.run_binary("train", "without.txtpb", "--run-dir", "plain", "--device", "cpu")
        for run in ("plain", f"plain/checkpoints/step-{STEPS:08d}"):
            done = self.run_binary("eval", "job.txtpb", "--checkpoint", run, "--average", code=65)
            self.assertIn(f"{run}: holds no moving average of the parameters: it was trained without "
                          "train.average", done.stderr)
        done = self.run_binary("eval", "job.txtpb", "--checkpoint", "first/model.safetensors",
                               "--average", code=65)
        self.assertIn("is one file of parameters: --average is for", done.stderr)
        done = self.run_binary("train", "without.txtpb", "--run-dir", "short", "--device", "cpu", code=64)
        self.assertIn("train.average", done.stderr)
        for decay in ("1", "-0.1", "nan"):
            done = self.run_binary("validate", "job.txtpb", "--set", f"train.average.decay={decay}", code=64)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn("train.average.decay", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
