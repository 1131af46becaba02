#!/usr/bin/env python3
"""Writes language_bf16.json: the models of language.py with bf16 products, two ways.

    python3 tests/goldens/language_bf16.py > tests/goldens/language_bf16.json    (PyTorch 2.13.0, CPU)

"rounded": what train.precision: BF16 means. Both operands of every linear layer's products,
forward and backward, are rounded to bfloat16; sums, biases and all else are float32.
"autocast": torch.autocast("cpu", torch.bfloat16), which also hands bfloat16 from op to op.
"first_losses": rounded, of many batches before any step.
"""
import json
import sys

import torch
import torch.nn.functional as F

from language import (GPT, LLAMA, gpt, gpt_shapes, llama, llama_shapes, model, tokens, values)

FIRST_BATCHES = 16


def rounded(x):
    return x.to(torch.bfloat16).float()


class RoundedLinear(torch.autograd.Function):
    @staticmethod
    def forward(context, x, weight, bias):
        context.save_for_backward(x, weight)
        context.has_bias = bias is not None
        return F.linear(rounded(x), rounded(weight), bias)

    @staticmethod
    def backward(context, dz):
        x, weight = context.saved_tensors
        rows = lambda t: t.reshape(-1, t.shape[-1])
        dx = rounded(dz) @ rounded(weight)
        dweight = rounded(rows(dz)).T @ rounded(rows(x))
        return dx, dweight, rows(dz).sum(0) if context.has_bias else None


def round_products(forward):
    return lambda p, o, x: forward(p, o, x, lambda h, w, b=None: RoundedLinear.apply(h, w, b))


def autocast(forward):
    def run(p, o, x):
        with torch.autocast("cpu", torch.bfloat16):
            return forward(p, o, x).float()
    return run


def first_losses(entry, o, forward):
    parameters = {p["name"]: values(p["shape"], p["salt"], p["base"], p["spread"])
                  for p in entry["parameters"]}
    losses = []
    for step in range(FIRST_BATCHES):
        x, y = tokens(step, o["vocabulary"])
        loss = F.cross_entropy(forward(parameters, o, x).flatten(0, 1), y.flatten())
        losses.append(float(f"{loss.item():.9g}"))
    return losses


def both(kind, o, shapes, forward):
    entry = model(kind, o, shapes, round_products(forward), digits=5)
    cast = model(kind, o, shapes, autocast(forward), digits=3)
    for parameter, other in zip(entry["parameters"], cast["parameters"]):
        parameter["autocast_gradient"] = other["gradient"]
    return entry | {"autocast_losses": cast["losses"],
                    "first_losses": first_losses(entry, o, round_products(forward))}


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump({"torch": torch.__version__,
               "models": [both("gpt", GPT, gpt_shapes(GPT), gpt),
                          both("llama", LLAMA, llama_shapes(LLAMA), llama)]},
              sys.stdout, separators=(",", ":"))
    print()
