#!/usr/bin/env python3
"""Writes language.json: a small GPT-2 and a small Llama in PyTorch, in float32.

    python3 tests/goldens/language.py > tests/goldens/language.json    (PyTorch 2.13.0, CPU)

No test needs PyTorch: they read the file that stands beside this script. Of each model: the loss
and every gradient of the first step, and the losses of 20 steps of AdamW with the gradients'
norm clipped. Numbers that a formula gives are not in the file: element i of a parameter is
base + spread * u(i, salt), and token i of step n is u's 32 bits modulo the vocabulary, with

    u(i, salt) = bits(i, salt) / 2^32 - 1/2

so that both sides start from the same floats.
"""
import json
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

STEPS, BATCH = 20, 3
ADAMW = {"lr": 3e-3, "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "weight_decay": 0.1}
CLIP = 1.0
GPT = {"layers": 2, "width": 24, "heads": 3, "context": 11, "vocabulary": 37, "hidden": 40,
       "epsilon": 1e-5, "tied": True}
LLAMA = {"layers": 2, "width": 32, "heads": 4, "kv_heads": 2, "hidden": 44, "context": 11,
         "vocabulary": 37, "theta": 100.0, "epsilon": 1e-5, "tied": False}
SEQUENCE = 9  # shorter than the context


def bits(count, salt):
    """32 pseudo-random bits for each i: two rounds of multiply and shift."""
    x = (np.arange(count, dtype=np.uint64) * np.uint64(2654435761) +
         np.uint64(salt * 40503 + 12345)) & np.uint64(0xffffffff)
    for _ in range(2):
        x ^= x >> np.uint64(15)
        x = (x * np.uint64(739982445)) & np.uint64(0xffffffff)
    x ^= x >> np.uint64(12)
    return x


def values(shape, salt, base, spread):
    u = bits(math.prod(shape), salt).astype(np.float64) / 2**32 - 0.5
    return torch.tensor((base + spread * u).astype(np.float32).reshape(shape))


def tokens(step, vocabulary):
    drawn = bits(BATCH * (SEQUENCE + 1), 1000 + step) % np.uint64(vocabulary)
    text = torch.tensor(drawn.astype(np.int64).reshape(BATCH, SEQUENCE + 1))
    return text[:, :-1], text[:, 1:]


def gpt_shapes(o):
    H, V, F_ = o["width"], o["vocabulary"], o["hidden"]
    shapes = {"tokens/weight": (V, H), "positions/weight": (o["context"], H)}
    for i in range(o["layers"]):
        b = f"block{i}/"
        for norm in ("norm1", "norm2"):
            shapes[b + norm + "/weight"] = shapes[b + norm + "/bias"] = (H,)
        for name, (rows, columns) in {"attention/qkv": (3 * H, H), "attention/out": (H, H),
                                      "mlp/fc1": (F_, H), "mlp/fc2": (H, F_)}.items():
            shapes[b + name + "/weight"], shapes[b + name + "/bias"] = (rows, columns), (rows,)
    shapes["norm/weight"] = shapes["norm/bias"] = (H,)
    return shapes


def llama_shapes(o):
    H, V, F_, D = o["width"], o["vocabulary"], o["hidden"], o["width"] // o["heads"]
    shapes = {"tokens/weight": (V, H)}
    for i in range(o["layers"]):
        b = f"block{i}/"
        shapes |= {b + "norm1/weight": (H,), b + "norm2/weight": (H,),
                   b + "attention/qkv/weight": ((o["heads"] + 2 * o["kv_heads"]) * D, H),
                   b + "attention/out/weight": (H, H), b + "mlp/gate_up/weight": (2 * F_, H),
                   b + "mlp/down/weight": (H, F_)}
    return shapes | {"norm/weight": (H,), "head/weight": (V, H)}


def heads(x, count):
    B, S, W = x.shape
    return x.view(B, S, count, W // count).transpose(1, 2)


def attend(q, k, v):
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    B, N, S, D = y.shape
    return y.transpose(1, 2).reshape(B, S, N * D)


def gpt(p, o, x, product=F.linear):
    def norm(name, h):
        return F.layer_norm(h, (o["width"],), p[name + "/weight"], p[name + "/bias"], o["epsilon"])

    def linear(name, h):
        return product(h, p[name + "/weight"], p[name + "/bias"])

    h = p["tokens/weight"][x] + p["positions/weight"][:x.shape[1]]
    for i in range(o["layers"]):
        b = f"block{i}/"
        q, k, v = linear(b + "attention/qkv", norm(b + "norm1", h)).chunk(3, dim=-1)
        h = h + linear(b + "attention/out", attend(*(heads(t, o["heads"]) for t in (q, k, v))))
        inner = F.gelu(linear(b + "mlp/fc1", norm(b + "norm2", h)), approximate="tanh")
        h = h + linear(b + "mlp/fc2", inner)
    return product(norm("norm", h), p["tokens/weight"])


def rotate(x, theta):
    """Hugging Face's pairing: element i with i + D / 2."""
    S, D = x.shape[-2:]
    inverse = 1.0 / theta ** (torch.arange(0, D, 2, dtype=torch.float32) / D)
    angle = torch.outer(torch.arange(S, dtype=torch.float32), inverse)
    cos, sin = (torch.cat([t, t], dim=-1) for t in (angle.cos(), angle.sin()))
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin


def llama(p, o, x, product=F.linear):
    def norm(name, h):
        scale = torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + o["epsilon"])
        return p[name + "/weight"] * (h * scale)

    def linear(name, h):
        return product(h, p[name + "/weight"])

    D, groups = o["width"] // o["heads"], o["kv_heads"]
    h = p["tokens/weight"][x]
    for i in range(o["layers"]):
        b = f"block{i}/"
        qkv = linear(b + "attention/qkv", norm(b + "norm1", h))
        q, k, v = qkv.split([o["heads"] * D, groups * D, groups * D], dim=-1)
        q, k, v = rotate(heads(q, o["heads"]), o["theta"]), rotate(heads(k, groups), o["theta"]), heads(v, groups)
        k, v = (t.repeat_interleave(o["heads"] // groups, dim=1) for t in (k, v))
        h = h + linear(b + "attention/out", attend(q, k, v))
        gate, up = linear(b + "mlp/gate_up", norm(b + "norm2", h)).chunk(2, dim=-1)
        h = h + linear(b + "mlp/down", F.silu(gate) * up)
    return linear("head", norm("norm", h))


def model(kind, o, shapes, forward, digits=6):
    listed, parameters = [], {}
    for salt, (name, shape) in enumerate(shapes.items()):
        is_norm = "norm" in name and name.endswith("weight")
        base, spread = (1.0, 0.4) if is_norm else (0.0, 0.5)
        listed.append({"name": name, "shape": shape, "salt": salt, "base": base, "spread": spread})
        parameters[name] = values(shape, salt, base, spread).requires_grad_()
    decayed = [p for p in parameters.values() if p.dim() > 1]
    plain = [p for p in parameters.values() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": ADAMW["weight_decay"]},
         {"params": plain, "weight_decay": 0.0}],
        lr=ADAMW["lr"], betas=(ADAMW["beta1"], ADAMW["beta2"]), eps=ADAMW["epsilon"])
    losses = []
    for step in range(STEPS):
        x, y = tokens(step % 4, o["vocabulary"])  # four batches in turn: there is something to learn
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(parameters, o, x).flatten(0, 1), y.flatten())
        loss.backward()
        if step == 0:
            for entry in listed:
                gradient = parameters[entry["name"]].grad.flatten().tolist()
                entry["gradient"] = [float(f"{g:.{digits}g}") for g in gradient]
        torch.nn.utils.clip_grad_norm_(parameters.values(), CLIP)
        optimizer.step()
        losses.append(float(f"{loss.item():.9g}"))
    return {"kind": kind, "options": o, "parameters": listed, "losses": losses}


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump({"torch": torch.__version__, "batch": BATCH, "sequence": SEQUENCE, "adamw": ADAMW,
               "clip_norm": CLIP, "batches": 4,
               "models": [model("gpt", GPT, gpt_shapes(GPT), gpt),
                          model("llama", LLAMA, llama_shapes(LLAMA), llama)]},
              sys.stdout, separators=(",", ":"))
    print()
