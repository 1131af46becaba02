#!/usr/bin/env python3
"""Language from the command line: shards, training, evaluation, generation, and what is refused.

    language_test.py TRIREME MPIEXEC [unittest arguments]

Standard library only. Text is made here: sentences of a small grammar, which a small model learns.
"""
import json
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TRIREME = sys.argv[1]  # MPIEXEC is not needed
GPT = "gpt { layers: 1 width: 32 heads: 2 context: 32 vocabulary: 256 }"
LLAMA = "llama { layers: 1 width: 32 heads: 4 kv_heads: 2 hidden: 48 context: 32 vocabulary: 256 }"
TEXT = 'text { files: "text.txt" }'
JOB = """name: "small"
model {{ {model} }}
data {{ train {{ {data} }} validation_fraction: 0.1 }}
train {{ global_batch: 8 steps: {steps} }}
optimizer {{ adamw {{ lr: 1e-2 }} clip_norm: 1 }}
"""


def make_text():
    draw = random.Random(1)
    return " ".join(f"the {draw.choice(['red', 'blue'])} {draw.choice(['ship', 'oar', 'mast'])} sails." for _ in range(700))


class Language(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        (self.folder / "text.txt").write_text(make_text())

    def trireme(self, *arguments, code=0):
        result = subprocess.run([TRIREME, *map(str, arguments)], capture_output=True, cwd=self.folder, timeout=120,
                                check=False)
        self.assertEqual(result.returncode, code, result.stderr.decode())
        return result

    def job(self, model=GPT, data=TEXT, steps=60):
        (self.folder / "job.txtpb").write_text(JOB.format(model=model, data=data, steps=steps))
        return "job.txtpb"

    def train(self, **how):
        self.trireme("train", self.job(**how), "--run-dir", "run", "--device", "cpu")
        return [json.loads(line) for line in (self.folder / "run/metrics.jsonl").read_text().splitlines()]

    def refused(self, code, *arguments):
        """The one line that is said."""
        lines = self.trireme(*arguments, code=code).stderr.decode().splitlines()
        self.assertEqual(len(lines), 1, lines)
        return lines[0]

    def learns(self, model):
        records = self.train(model=model)
        losses = [r["loss"] for r in records if "loss" in r]
        self.assertGreater(losses[0], 5)  # log 256 = 5.5
        self.assertLess(losses[-1], 2)
        self.assertTrue(all(r["tokens_per_second"] > r["samples_per_second"] for r in records if "loss" in r))
        evaluation = [r for r in records if "eval_loss" in r][-1]
        self.assertAlmostEqual(evaluation["perplexity"], 2.718281828 ** evaluation["eval_loss"], 4)
        self.assertGreater(evaluation["accuracy"], 0.3)

    def generate(self, *arguments):
        return self.trireme("generate", "job.txtpb", "--checkpoint", "run", "--device", "cpu", *arguments)

    def test_gpt_learns_is_judged_and_generates(self):
        self.learns(GPT)
        judged = self.trireme("eval", "job.txtpb", "--checkpoint", "run", "--device", "cpu").stdout.decode()
        self.assertIn("perplexity", judged)
        once = self.generate("--prompt", "the ", "--tokens", 20, "--temperature", 0.7, "--top-k", 5, "--seed", 3)
        self.assertTrue(once.stdout.startswith(b"the "))
        self.assertEqual(len(once.stdout), 4 + 20 + 1)
        self.assertIn("tokens/s", once.stderr.decode())
        again = self.generate("--prompt", "the ", "--tokens", 20, "--temperature", 0.7, "--top-k", 5, "--seed", 3)
        self.assertEqual(once.stdout, again.stdout)
        greedy = self.generate("--prompt", "the ", "--tokens", 20, "--temperature", 0).stdout
        self.assertEqual(greedy, self.generate("--prompt", "the ", "--tokens", 20, "--top-k", 1).stdout)

    def test_llama_learns_and_generates(self):
        self.learns(LLAMA)
        self.assertEqual(len(self.generate("--prompt", "the", "--tokens", 30).stdout), 3 + 30 + 1)

    def test_shards_train_as_their_text_does(self):
        """The same windows, so the same losses, from the text and from both layouts of shards."""
        of_text = [r["loss"] for r in self.train(steps=5) if "loss" in r]
        for number, layout in enumerate(["llmc", "nanogpt"]):
            said = self.trireme("data", "tokens", "text.txt", "text.bin", "--format", layout).stdout.decode()
            self.assertIn(f"{len(make_text())} tokens", said)
            self.job(data='tokens { files: "*.bin" }', steps=5)
            self.trireme("train", "job.txtpb", "--run-dir", f"run{number}", "--device", "cpu")
            lines = (self.folder / f"run{number}/metrics.jsonl").read_text().splitlines()
            self.assertEqual([json.loads(l)["loss"] for l in lines if '"loss"' in l], of_text)

    def test_summary_counts_a_tied_weight_once(self):
        (self.folder / "a.bin").write_bytes(struct.pack("<2000H", *range(2000)))
        summary = self.trireme("summary", self.job("gpt { preset: GPT2_124M }", 'tokens { files: "a.bin" }')).stdout
        self.assertRegex(summary.decode(), r"total +124439808 ")

    def test_refuses_bad_shards_with_66(self):
        job = self.job(data='tokens { files: "a.bin" }')
        tokens = [7 * i % 256 for i in range(4000)]
        shard = struct.pack("<256i", 20240520, 1, 4000, *[0] * 253) + struct.pack("<4000H", *tokens)
        for content, said in [
                (shard[:-10], "4000 tokens expect a file of 9024 bytes, got 9014: truncated by 10 bytes"),
                (shard[1024:-1], "expects tokens of 2 bytes each, got a file of 7999"),
                (shard[1024:1024 + 64], "a context of 32 expects at least 33 tokens, got 32"),
                (struct.pack("<256i", 20240520, 7, 4000, *[0] * 253), "expects version 1 of llm.c's layout, got 7"),
                (shard[:1024 + 2 * 1001] + b"\x00\x01" + shard[1024 + 2 * 1002:],
                 "token 256 at position 1001 is not below the vocabulary, 256")]:
            (self.folder / "a.bin").write_bytes(content)
            for command in (["validate", job], ["train", job, "--run-dir", "bad", "--device", "cpu"]):
                if command[0] == "validate" and "token 256" in said:
                    continue  # every token is looked at when it is read
                self.assertIn(said, self.refused(66, *command))
            shutil.rmtree(self.folder / "bad", ignore_errors=True)

    def test_refuses_bad_jobs_with_64(self):
        for model, said in [
                (GPT.replace("heads: 2", "heads: 5"), "model.gpt.heads (5) must divide model.gpt.width (32)"),
                (LLAMA.replace("kv_heads: 2", "kv_heads: 3"), "model.llama.kv_heads (3) must divide model.llama.heads"),
                (GPT.replace("256", "255"), "model.gpt.vocabulary (255) must be at least that of data.train.text (256)"),
                ("lenet5 {}", "data.train.text.context is missing")]:
            lines = self.trireme("validate", self.job(model=model), code=64).stderr.decode()
            self.assertIn(said, lines)

    def test_refuses_prompts_that_do_not_fit(self):
        self.train(steps=1)
        said = self.refused(64, "generate", "job.txtpb", "--checkpoint", "run", "--prompt", "x" * 30, "--tokens", "4")
        self.assertIn("--tokens can be 3 at most", said)
        said = self.refused(64, "generate", "job.txtpb", "--checkpoint", "run", "--prompt-tokens", "1,256",
                            "--tokens", "3")
        self.assertIn("expects tokens from 0 to 255, got 256", said)
        said = self.refused(65, "generate", "job.txtpb", "--checkpoint", "run", "--set", "model.gpt.layers=2")
        self.assertIn("block1", said)
        said = self.refused(64, "generate", "job.txtpb", "--checkpoint", "run", "--prompt", "x", "--top-p", "0")
        self.assertIn("top_p expects a value above 0", said)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
