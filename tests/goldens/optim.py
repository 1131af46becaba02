#!/usr/bin/env python3
"""Writes optim.json: five updates of a flat buffer by PyTorch's SGD, Adam and AdamW, in float32.

    python3 tests/goldens/optim.py > tests/goldens/optim.json    (PyTorch 2.13.0, CPU)

No test needs PyTorch: they read the file that stands beside this script. The buffer has 29
elements in three parameter groups (different weight decay and lr scale) and two gaps that no group
covers. A step's gradients are sums over `count` samples, seeded with loss_scale / nominal_count:
PyTorch is given them times nominal_count / count / loss_scale, and clips their global norm (gaps
included) to clip_norm unless that is 0. `expected` holds the buffer after each step.
"""
import json
import sys

import numpy as np
import torch

SIZE, STEPS = 29, 5
GROUPS = [(0, 7, 1.0, 1.0), (9, 16, 0.0, 0.5), (18, 29, 2.0, 3.0)]  # begin, end, decay x, lr x
NOMINAL, COUNT, SCALE = 8.0, 5.0, 4.0
rng = np.random.default_rng(5)


def f32(value):
    return float(np.float32(value))


def numbers(array):
    return [float(v) for v in np.asarray(array, dtype=np.float32)]


def optimizer(kind, o, groups):
    if kind == "sgd":
        return torch.optim.SGD(groups, momentum=o["momentum"], nesterov=o["nesterov"])
    cls = torch.optim.AdamW if o["decoupled"] else torch.optim.Adam
    return cls(groups, betas=(f32(o["beta1"]), f32(o["beta2"])), eps=f32(o["epsilon"]))


def case(name, kind, clip=0.0, lr=0.01, **o):
    initial = (rng.standard_normal(SIZE)).astype(np.float32)
    gradients = [(rng.standard_normal(SIZE) * 0.5).astype(np.float32) for _ in range(STEPS)]
    parts = [torch.nn.Parameter(torch.tensor(initial[b:e])) for b, e, _, _ in GROUPS]
    gap = torch.nn.Parameter(torch.zeros(SIZE))  # takes part in the norm alone
    groups = [{"params": [p], "lr": f32(lr) * scale, "weight_decay": f32(o["weight_decay"]) * decay}
              for p, (_, _, decay, scale) in zip(parts, GROUPS)]
    torch_optimizer = optimizer(kind, o, groups)
    buffer, expected = initial.copy(), []
    for gradient in gradients:
        mean = gradient * np.float32(NOMINAL / COUNT / SCALE)
        gap.grad = torch.tensor(mean)
        for p, (b, e, _, _) in zip(parts, GROUPS):
            p.grad = torch.tensor(mean[b:e])
            gap.grad[b:e] = 0
        if clip:
            torch.nn.utils.clip_grad_norm_(parts + [gap], f32(clip))
        torch_optimizer.step()
        for p, (b, e, _, _) in zip(parts, GROUPS):
            buffer[b:e] = p.detach().numpy()
        expected.append(numbers(buffer))
    return {"name": name, "kind": kind, "options": o, "lr": lr, "clip_norm": clip,
            "nominal_count": NOMINAL, "count": COUNT, "loss_scale": SCALE,
            "ranges": [{"begin": b, "end": e, "weight_decay": o["weight_decay"] * d, "lr_scale": s}
                       for b, e, d, s in GROUPS],
            "initial": numbers(initial), "gradients": [numbers(g) for g in gradients],
            "expected": expected}


def sgd(name, momentum=0.0, nesterov=False, weight_decay=0.0, **kw):
    return case("sgd " + name, "sgd", momentum=momentum, nesterov=nesterov,
                weight_decay=weight_decay, **kw)


def adam(name, decoupled, weight_decay=0.0, epsilon=1e-8, beta1=0.9, beta2=0.999, **kw):
    return case(name, "adam", decoupled=decoupled, weight_decay=weight_decay, epsilon=epsilon,
                beta1=beta1, beta2=beta2, **kw)


CASES = [
    sgd("plain", lr=0.1),
    sgd("decay", weight_decay=0.05, lr=0.1),
    sgd("momentum", momentum=0.9, lr=0.1),
    sgd("momentum, decay", momentum=0.9, weight_decay=0.05, lr=0.1),
    sgd("nesterov", momentum=0.8, nesterov=True, lr=0.1),
    sgd("nesterov, decay, clipped", momentum=0.8, nesterov=True, weight_decay=0.05, clip=0.5,
        lr=0.1),
    adam("adam", False),
    adam("adam decay", False, weight_decay=0.1),
    adam("adam clipped", False, clip=0.25, epsilon=1e-3),
    adam("adamw", True, weight_decay=0.1),
    adam("adamw betas", True, weight_decay=0.02, beta1=0.5, beta2=0.9, epsilon=1e-4),
    adam("adamw clipped, not reached", True, weight_decay=0.1, clip=1000.0),
]
json.dump({"torch": torch.__version__, "cases": CASES}, sys.stdout, separators=(",", ":"))
print()
