#!/usr/bin/env python3
"""What a newcomer gets wrong, with the binary itself: one line, from one rank, and the documented
exit code.

    bad_input_test.py TRIREME MPIEXEC [unittest arguments]

Standard library only; data are drawn here, in a folder of its own.
"""
import json
import random
import struct
import subprocess
import sys
import tempfile
import unittest
from array import array
from pathlib import Path

TRIREME, MPIEXEC = sys.argv[1:3]
USAGE, CHECKPOINT, DATA = 64, 65, 66

TOKENS = """
model { gpt { layers: 2 width: 16 heads: 2 context: 12 vocabulary: 61 } }
data { train { tokens { files: "train.bin" } } }
train { global_batch: 8 steps: 2 }
optimizer { adamw { lr: 1e-3 } }
"""
TEXT = TOKENS.replace('tokens { files: "train.bin" }', 'text { files: "text.txt" }').replace("61", "256")
MLP = """
model { mlp { hidden: [8] } }
data { train { synthetic { samples: 100 } } }
train { global_batch: 8 steps: 2 }
optimizer { sgd { lr: 0.1 } }
checkpoint { every_steps: 2 }
"""

# Layers so wide that two ranks would need six times the host's memory.
HOST_BYTES = 1024 * sum(int(line.split()[1]) for line in open("/proc/meminfo", encoding="utf-8")
                        if line.startswith(("MemTotal:", "SwapTotal:")))
WIDE = "model.mlp.hidden=[%d,%d]" % ((int((3 * HOST_BYTES / 8) ** 0.5),) * 2)
SHORT = 'data.train.tokens.files="%s"'
# ranks, arguments, exit code, a part of the one line
CASES = [
    (2, ["trian", "mlp.txtpb"], USAGE, 'unknown command "trian"; did you mean "train"?'),
    (2, ["train", "mlp.txtpb", "--foo"], USAGE, "--foo"),
    (2, ["validate", "mlp.txtpb", "--set", "train.steps=0"], USAGE, "train.steps (0) must be from 1"),
    (2, ["generate", "text.txtpb", "--checkpoint", "x", "--prompt", "a"], USAGE, "start it without mpirun"),
    (3, ["train", "mlp.txtpb"], USAGE, "mlp.txtpb:4:9: train.global_batch (8) does not divide over 3"),
    (2, ["train", "tokens.txtpb", "--set", "parallel.tensor=2", "--set", "model.gpt.heads=1"], USAGE,
     "--set parallel.tensor=2: parallel.tensor (2): layer 'block0/attention'"),
    (2, ["train", "tokens.txtpb", "--set", SHORT % "beyond.bin"], DATA,
     "beyond.bin: token 77 at position 1234 is not below the vocabulary, 61"),
    (2, ["train", "tokens.txtpb", "--set", "train.memory_limit_mib=1", "--set", "train.recompute=FULL"],
     USAGE, "train.memory_limit_mib (1), but a rank of stage 0 needs "),
    (2, ["train", "mlp.txtpb", "--set", WIDE], USAGE,
     "each rank's part of its host has "),
    (1, ["train", "tokens.txtpb", "--set", "data.train.tokens.context=13"], USAGE,
     "data.train.tokens.context (13) must be at most model.gpt.context (12)"),
    (1, ["train", "tokens.txtpb", "--set", SHORT % "short.bin"], DATA, "expects at least 13 tokens, got 5"),
    (1, ["train", "tokens.txtpb", "--set", SHORT % "odd.bin"], DATA, "truncated"),
    (1, ["train", "tokens.txtpb", "--set", SHORT % "cut.bin"], DATA, "truncated by 2000 bytes"),
    (1, ["train", "tokens.txtpb", "--set", SHORT % "no*.bin"], USAGE, "there is no file"),
    (1, ["train", "text.txtpb", "--set", 'data.train.text.files="empty.txt"'], DATA, "got an empty file"),
]
# of a trained model in "run" and "mlp", arguments, exit code, a part of the one line
LATER = [
    (["generate", "text.txtpb", "--checkpoint", "run", "--prompt", "more than twelve bytes"], USAGE,
     "a prompt of 22 tokens is longer than the model's context, 12"),
    (["generate", "text.txtpb", "--checkpoint", "run", "--prompt", "hello"], USAGE, "--tokens can be 8 at most"),
    (["generate", "text.txtpb", "--checkpoint", "run", "--prompt-tokens", "3,300"], USAGE,
     "expects tokens from 0 to 255, got 300"),
    (["generate", "mlp.txtpb", "--checkpoint", "run", "--prompt", "a"], USAGE, "gpt or llama"),
    (["generate", "text.txtpb", "--checkpoint", "nowhere", "--prompt", "a"], CHECKPOINT, "nowhere: "),
    (["checkpoint", "export", "mlp/checkpoints/step-00000002", "out"], USAGE, "neither gpt nor llama"),
    (["checkpoint", "export", "run/checkpoints/step-00000002", "hf"], USAGE, "hf: is there already"),
    (["checkpoint", "reshard", "run/checkpoints/step-00000002", "out", "--pipeline", "400"], USAGE,
     "--pipeline (400) must be at most the checkpoint's 28 tensors"),
    (["checkpoint", "reshard", "run/checkpoints/step-00000002", "out", "--tensor", "257"], USAGE,
     "--tensor (257) must be at most the 256 rows"),
    (["checkpoint", "reshard", "run", "out"], CHECKPOINT, "run"),
    (["checkpoint", "import", "missing", "out"], CHECKPOINT, "ln_f.bias"),
    (["checkpoint", "import", "shape", "out"], CHECKPOINT, "is (8, 2), expected (16)"),
    (["checkpoint", "import", "bert", "out"], CHECKPOINT, "expects gpt2 or llama"),
    (["checkpoint", "import", "nowhere", "out"], CHECKPOINT, "nowhere/config.json"),
]


def write_tokens(path, count, header=0):
    draw = random.Random(1)
    tokens = array("H", (draw.randrange(61) for _ in range(count)))
    words = array("i", [20240520, 1, header] + [0] * 253) if header else array("i")
    path.write_bytes(words.tobytes() + tokens.tobytes())
    return tokens


def rewrite(source, out, change):
    """A Hugging Face folder with the tensors that `change` makes of {name: (shape, bytes)}."""
    data = (source / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {
        name: (entry["shape"], data[8 + length + entry["data_offsets"][0] : 8 + length + entry["data_offsets"][1]])
        for name, entry in header.items()
    }
    change(tensors)
    entries, body = {}, b""
    for name, (shape, content) in tensors.items():
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    text = json.dumps(entries).encode()
    out.mkdir()
    (out / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
    (out / "config.json").write_text((source / "config.json").read_text())


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = folder = Path(cls.scratch.name)
        for name, job in (("tokens", TOKENS), ("text", TEXT), ("mlp", MLP)):
            (folder / f"{name}.txtpb").write_text(job)
        tokens = write_tokens(folder / "train.bin", 3000)
        write_tokens(folder / "short.bin", 5)
        write_tokens(folder / "cut.bin", 3000, header=4000)
        (folder / "odd.bin").write_bytes(tokens.tobytes()[:-1])
        tokens[1234] = 77
        (folder / "beyond.bin").write_bytes(tokens.tobytes())
        (folder / "empty.txt").write_text("")
        (folder / "text.txt").write_text("what shall we do with the drunken sailor " * 50)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def run_binary(self, ranks, arguments):
        launch = [MPIEXEC, "-np", str(ranks)] if ranks > 1 else []
        return subprocess.run([*launch, TRIREME, *arguments], cwd=self.folder, capture_output=True,
                              text=True, timeout=60, check=False)

    def expect(self, ranks, arguments, code, part):
        with self.subTest(ranks=ranks, arguments=arguments):
            done = self.run_binary(ranks, arguments)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            lines = done.stderr.splitlines()
            self.assertEqual(len(lines), 1, done.stderr)
            self.assertTrue(lines[0].startswith("trireme: "), lines[0])
            self.assertIn(part, lines[0])

    def test_jobs_and_data(self):
        for ranks, arguments, code, part in CASES:
            more = ["--device", "cpu"] if arguments[0] == "train" else []
            self.expect(ranks, arguments + more, code, part)

    def test_what_was_trained(self):
        for job, run in (("text", "run"), ("mlp", "mlp")):
            done = self.run_binary(1, ["train", f"{job}.txtpb", "--run-dir", run, "--device", "cpu",
                                       "--set", "checkpoint.every_steps=2"])
            self.assertEqual(done.returncode, 0, done.stderr)
        done = self.run_binary(1, ["checkpoint", "export", "run/checkpoints/step-00000002", "hf"])
        self.assertEqual(done.returncode, 0, done.stderr)
        hugging_face = self.folder / "hf"
        name = "transformer.ln_f.bias"
        rewrite(hugging_face, self.folder / "missing", lambda tensors: tensors.pop(name))
        rewrite(hugging_face, self.folder / "shape",
                lambda tensors: tensors.update({name: ([8, 2], tensors[name][1])}))
        rewrite(hugging_face, self.folder / "bert", lambda tensors: None)
        (self.folder / "bert" / "config.json").write_text('{"model_type": "bert"}')
        for arguments, code, part in LATER:
            self.expect(1, arguments, code, part)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
