#!/usr/bin/env python3
"""Writes the seeds of the corpora: small files of each kind, whole and nearly whole.

    make_seeds.py        into tests/fuzz/corpus/<target>/seed-*

What found something is kept beside them, named after what it found.
"""
import gzip
import json
import struct
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
JOB = ('model { mlp { hidden: [4] } } data { train { synthetic {} } } train { global_batch: 8 steps: 2 } '
       "optimizer { sgd { lr: 0.1 } }\n")
LAYERS = """model {
  layer { name: "c" conv2d { outputs: 6 kernel: [5, 3] stride: 2 pad: 1 groups: 2 init { kaiming_normal {} } } }
  layer { name: "m" max_pool2d {} }
  layer { name: "f" flatten {} }
  layer { name: "d" dropout { probability: 0.25 } }
  layer { name: "a" linear { outputs: 12 activation: GELU init { uniform { low: -1 high: 1 } } } }
  layer { name: "b" input: "d" linear { outputs: 12 bias: false init { normal { stddev: 0.1 } } } }
  layer { name: "s" input: ["a", "b"] add {} }
  layer { name: "r" reshape { dims: [3, -1] } }
  layer { name: "loss" softmax_cross_entropy { label_smoothing: 0.1 } }
  layer { name: "loss2" input: "r" mean_squared_error { weight: 0.5 target: "s" } }
}
data { train { custom { name: "mine" parameter { key: "k" value: "v" } } } validation_fraction: 0.1 }
train { global_batch: 120 micro_batch: 60 epochs: 2 seed: 18446744073709551615 eval_every_steps: 5 }
optimizer { adamw { lr: 1e-3 } clip_norm: 1 group { match: "*/bias" weight_decay: 0 lr_scale: 2 frozen: true } }
schedule { cosine { warmup_steps: 10 final_fraction: 0.1 } }
parallel { data: 2 }
logging { every_steps: 5 }
"""
JOBS = {
    "mlp": JOB,
    "layers": LAYERS,
    "idx": JOB.replace("synthetic {}", 'idx { images: "i.gz" labels: "l.gz" } } normalize { mean: 0.1 stddev: [0.3] '),
    "step": JOB + "schedule { step { step_size: 5 gamma: 0.5 } } name: \"run-1\"",
    "eval": JOB.replace("} } train", '} eval { synthetic { samples: 9 noise: 0 seed: 3 } } } train'),
    "gpt": JOB.replace("mlp { hidden: [4] }", "gpt { preset: GPT2_124M layers: 2 dropout: 0.1 tied: false }").replace(
        "synthetic {}", 'tokens { files: ["a_*.bin", "b.bin"] vocabulary: 50257 context: 64 }'),
    "llama": JOB.replace("mlp { hidden: [4] }", "llama { layers: 2 width: 8 heads: 4 kv_heads: 2 hidden: 12 context: 9 "
                         "vocabulary: 256 theta: 1e4 epsilon: 1e-6 }").replace("synthetic {}", 'text { files: "a.txt" }'),
    "sets": JOB + "\0train.seed=2\0optimizer.adam.lr=1e-3\0model.mlp.hidden=[3, 4]\0name=other",
    "set-element": LAYERS + "\0model.layer[1].name=pool\0model.layer[0].conv2d.kernel[1]=7\0optimizer.group[0].match=*",
    "set-bad": JOB + "\0train\0train.sed=3\0model.layer[9].name=x\0data.train.idx.images=\"a\\nb\"",
    "unclosed": "model { mlp { hidden: [4 } data { train { synthetic { } train { global_batch: 8",
    "escapes": 'name: "a\\x41\\u00e9\\n" model { custom { name: \'one\' "two" } } # a comment\n',
    "empty": "",
    "bom": "\ufeff" + JOB,
}


def header(magic, *dims):
    return struct.pack(f">{1 + len(dims)}I", magic, *dims)


IMAGES = header(0x803, 3, 2, 2) + bytes(range(12))
LABELS = header(0x801, 4) + bytes([0, 1, 2, 3])
PACKED = gzip.compress(IMAGES, mtime=0)
IDX = {
    "images": IMAGES,
    "images-color": header(0x804, 2, 2, 1, 3) + bytes(range(12)),
    "labels": LABELS,
    "images.gz": PACKED,
    "labels.gz": gzip.compress(LABELS, mtime=0),
    "two-members.gz": gzip.compress(LABELS[:5], mtime=0) + gzip.compress(LABELS[5:], mtime=0),
    "name.gz": PACKED[:3] + b"\x08" + PACKED[4:10] + b"name\0" + PACKED[10:],
    "truncated.gz": PACKED[:-9],
    "trailing.gz": PACKED + b"x",
    "huge": header(0x803, 0xffffffff, 0xffffffff, 0xffffffff),
    "huge.gz": gzip.compress(header(0x803, 0x7fffffff, 0x7fffffff, 1), mtime=0),
    "zero": header(0x803, 3, 0, 2),
    "zeros.gz": gzip.compress(header(0x801, 100000) + bytes(100000), mtime=0),
    "f32": header(0xd03, 1, 1, 1) + bytes(4),
}


def llmc(count, tokens, magic=20240520, version=1):
    return struct.pack("<256i", magic, version, count, *[0] * 253) + struct.pack(f"<{len(tokens)}H", *tokens)


TOKENS = {
    "nanogpt": struct.pack("<5H", 0, 1, 255, 256, 50256),
    "nanogpt-low": struct.pack("<3H", 5, 6, 7),
    "odd": b"\1\0\2",
    "llmc": llmc(3, [1, 2, 32767]),
    "llmc-vocabulary": llmc(2, [1, 32768]),
    "llmc-short": llmc(4, [1, 2, 3]),
    "llmc-negative": llmc(-1, [1]),
    "llmc-huge": llmc(2**31 - 1, [1]),
    "llmc-version": llmc(1, [1], version=2),
    "llmc-header": llmc(0, [])[:512],
}


def safetensors(head, data=b"", length=None):
    text = head if isinstance(head, bytes) else json.dumps(head, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


SAFETENSORS = {
    "two": safetensors({"__metadata__": {"format": "pt"}, "b": tensor([3], 0, 12), "a/weight": tensor([2, 1], 12, 20)},
                       bytes(range(20))),
    "scalar": safetensors({"s": tensor([], 0, 4)}, bytes(4)),
    "none": safetensors({}),
    "empty-tensors": safetensors({"x": tensor([0], 0, 0), "y": tensor([0, 7], 0, 0)}),
    "gap": safetensors({"a": tensor([1], 4, 8)}, bytes(8)),
    "overlap": safetensors({"a": tensor([2], 0, 8), "b": tensor([1], 4, 8)}, bytes(8)),
    "surplus": safetensors({"a": tensor([1], 0, 4)}, bytes(8)),
    "huge-shape": safetensors({"a": tensor([2**62, 4], 0, 4)}, bytes(4)),
    "huge-offsets": safetensors({"a": tensor([1], 0, 2**64 - 1)}, bytes(4)),
    "rank-seven": safetensors({"a": tensor([1] * 7, 0, 4)}, bytes(4)),
    "f16": safetensors({"a": tensor([2], 0, 4, "F16")}, bytes(4)),
    "twice": safetensors(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],'
                         b'"data_offsets":[0,4]}}', bytes(4)),
    "deep": safetensors(b'{"a":' + b"[" * 64 + b"]" * 64 + b"}"),
    "newline": safetensors({"a\nb": {}}),
    "newline-gap": safetensors({"a\nb": tensor([1], 4, 8)}, bytes(8)),
    "long-name": safetensors({"n" * 800: tensor([1], 4, 8)}, bytes(8)),
    "long-header": safetensors({}, length=2**63),
}


INFO = """info { data: 2 tensor: 1 pipeline: 1 zero: 0 seed: 7 data_identity: "synthetic" global_batch: 120
  trireme_version: "0.1.0" job_name: "small" }
counters { attempted_steps: 20 applied_steps: 19 non_finite_steps: 1 refused_in_a_row: 0
  best_value_bits: 4602678819172646912 best_step: 10 evaluations_since_best: 1 judged_bits: 9221120237041090560 }
"""
TENSORS = """tensors { name: "fc/weight" role: PARAMETER dtype: F32 shape: [2, 3] }
tensors { name: "fc/weight" role: MOMENT1 dtype: F32 shape: [2, 3] }
tensors { name: "scale" role: STATE dtype: F32 }
"""


def shard(data_bytes, pieces, header_bytes=64, blocks=1):
    return (f"shards {{ bytes: {header_bytes + data_bytes} header_bytes: {header_bytes} header_hash: 3 "
            + "block_checksums: 5 " * blocks + " ".join(f"pieces {{ {p} }}" for p in pieces) + " }\n")


ROWS = ["tensor: 0 origin: [0, 0] extent: [1, 3]", "tensor: 0 origin: [1, 0] extent: [1, 3]"]
MANIFESTS = {
    "two-shards": INFO + TENSORS + shard(36, [ROWS[0], "tensor: 1 origin: [0, 0] extent: [2, 3]"])
                  + shard(16, [ROWS[1], "tensor: 2"]),
    "none": INFO,
    "one": INFO + 'tensors { name: "a" role: PARAMETER dtype: F32 shape: 4 }' + shard(16, ["tensor: 0 origin: 0 extent: 4"]),
    "blocks": INFO + 'tensors { name: "a" role: PARAMETER dtype: F32 shape: 1000000 }'
              + shard(4000000, ["tensor: 0 origin: 0 extent: 1000000"], blocks=4),
    "hole": INFO + TENSORS + shard(12, [ROWS[0]]),
    "twice": INFO + TENSORS + shard(48, [*ROWS, *ROWS]),
    "huge": INFO + 'tensors { name: "a" role: PARAMETER dtype: F32 shape: [4611686018427387904, 4] }'
            + shard(16, ["tensor: 0 origin: [0, 0] extent: [4, 1]"]),
    "no-counters": INFO.split("counters")[0],
}


def payload(text):
    """The message that the text describes, without the envelope, which the target puts around it."""
    done = subprocess.run(["protoc", f"--proto_path={ROOT}", "--encode=trireme.checkpoint.Manifest",
                           "launcher/checkpoint/manifest.proto"], input=text.encode(), capture_output=True, check=True)
    return done.stdout


def write(target, files):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / f"seed-{name}").write_bytes(data if isinstance(data, bytes) else data.encode())


write("job", JOBS)
write("idx", IDX)
write("tokens", TOKENS)
write("safetensors", SAFETENSORS)
write("manifest", {name: payload(text) for name, text in MANIFESTS.items()})
