#!/usr/bin/env python3
"""Writes ops.json: what PyTorch computes for every op, forward and gradients, at awkward shapes.

    python3 tests/goldens/ops.py > tests/goldens/ops.json        (PyTorch 2.13.0, CPU)

No test needs PyTorch: they read the file that stands beside this script. Inputs are f32 numbers;
PyTorch computes in float64 from them, so the file holds what a perfect f32 kernel would round.

A case: op and options as in core/ops, inputs, outputs (the first of them alone where the others
are known to our kernels only), `direction` (of output 0; none for losses) and `gradients`: of
sum(direction * output 0), or of the loss's first sum, by the input's number. Images are NHWC,
filters (O, KH, KW, C / groups).
"""
import json
import sys

import torch
import torch.nn.functional as F

torch.manual_seed(20)
CASES = []
ACTIVATIONS = {
    "none": lambda x: x,
    "relu": torch.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
}


def draw(*shape, scale=1.0):
    """Normal numbers with few digits, so that they are f32 numbers and the file stays small."""
    return torch.round(torch.randn(*shape, dtype=torch.float64) * scale * 256) / 256


def tensor(x, dtype="f32"):
    return {"dtype": dtype, "shape": list(x.shape), "values": [float(f"{v:.10g}") for v in x.flatten()]}


def case(name, op, options, inputs, forward, wanted, dtypes=None, loss=False, parameters=()):
    """`forward(*inputs)` gives output 0; `wanted` are the inputs to differentiate."""
    inputs = [x.clone() if x is not None else None for x in inputs]
    for i in wanted:
        inputs[i].requires_grad_(True)
    y = forward(*inputs)
    entry = {"name": name, "op": op, "options": options, "parameters": list(parameters)}
    if loss:
        total = y[0]
    else:
        direction = draw(*y.shape)
        entry["direction"] = tensor(direction)
        total = (direction * y).sum()
    if wanted:
        total.backward()
    dtypes = dtypes or ["f32"] * len(inputs)
    entry["inputs"] = [
        tensor(x.detach(), d) if x is not None else None for x, d in zip(inputs, dtypes)
    ]
    entry["outputs"] = [tensor(y.detach(), "f64" if loss or not wanted else "f32")]
    entry["gradients"] = {str(i): tensor(inputs[i].grad) for i in wanted}
    CASES.append(entry)


def pointwise():
    for kind in ("relu", "gelu", "gelu_tanh", "tanh", "sigmoid"):
        case(kind, kind, {}, [draw(3, 7, scale=2)], ACTIVATIONS[kind], [0])
    case("add", "add", {}, [draw(3, 5), draw(3, 5)], lambda a, b: a + b, [0, 1])
    case("scale", "scale", {"factor": -1.5}, [draw(5, 3)], lambda x: -1.5 * x, [0])
    case("reshape", "reshape", {"dims": [3, -1]}, [draw(2, 6, 5)],
         lambda x: x.reshape(2, 3, 10), [0])


def losses():
    def cross_entropy(smoothing):
        def forward(x, labels, weight):
            classes = x.shape[-1]
            flat = labels.flatten().long()
            terms = F.cross_entropy(x.reshape(-1, classes), flat, reduction="none",
                                    ignore_index=-100, label_smoothing=smoothing)
            w = weight if weight is not None else torch.ones(1, dtype=torch.float64)
            w = w.repeat_interleave(flat.numel() // w.numel()) * (flat != -100)
            return torch.stack([(w * terms).sum(), w.sum()])
        return forward

    def labels(*shape, classes, ignore=False):
        drawn = torch.randint(0, classes, shape).double()
        if ignore:
            drawn.flatten()[1::3] = -100
        return drawn

    weights = torch.tensor([0.5, 0.0, 1.75], dtype=torch.float64)
    for name, x, ignore, weight, smoothing in (
            ("plain", draw(5, 7, scale=3), False, None, 0.0),
            ("ignored", draw(6, 3, scale=3), True, None, 0.0),
            ("smoothed", draw(4, 11, scale=3), False, None, 0.125),
            ("weighted", draw(3, 4, 5, scale=3), True, weights, 0.25)):
        options = {"label_smoothing": smoothing, "ignore_index": -100}
        target = labels(*x.shape[:-1], classes=x.shape[-1], ignore=ignore)
        case("softmax_cross_entropy " + name, "softmax_cross_entropy", options,
             [x, target, weight], cross_entropy(smoothing), [0], ["f32", "i32", "f32"], loss=True)

    def mean_squared_error(x, target, weight):
        w = weight if weight is not None else torch.ones(x.shape[0], dtype=torch.float64)
        terms = F.mse_loss(x, target, reduction="none").flatten(1).mean(1)
        return torch.stack([(w * terms).sum(), w.sum()])

    case("mean_squared_error plain", "mean_squared_error", {}, [draw(5, 3), draw(5, 3), None],
         mean_squared_error, [0, 1], loss=True)
    case("mean_squared_error weighted", "mean_squared_error", {},
         [draw(3, 2, 7), draw(3, 2, 7), weights], mean_squared_error, [0, 1], loss=True)

    def accuracy(x, target, weight):
        w = weight * (target != -100)
        return torch.stack([(w * (x.argmax(-1) == target)).sum(), w.sum()])

    case("accuracy", "accuracy", {"ignore_index": -100},
         [draw(3, 5), torch.tensor([2.0, -100.0, 1.0]).double(), weights + 1], accuracy, [],
         ["f32", "i32", "f32"])


def linear():
    for name, shape, out, bias, kind in (
            ("no bias", (5, 3), 4, False, "none"), ("bias", (1, 7), 5, True, "none"),
            ("relu", (6, 5), 3, True, "relu"), ("gelu", (2, 3, 5), 7, True, "gelu"),
            ("gelu_tanh", (3, 1), 2, True, "gelu_tanh"), ("tanh", (4, 6), 1, False, "tanh"),
            ("sigmoid", (3, 4), 3, True, "sigmoid")):
        inputs = [draw(*shape), draw(out, shape[-1])] + ([draw(out)] if bias else [])
        case("linear " + name, "linear", {"activation": kind}, inputs,
             lambda x, w, b=None, f=ACTIVATIONS[kind]: f(F.linear(x, w, b)),
             range(len(inputs)), parameters=range(1, len(inputs)))


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1).contiguous()


def convolution():
    for name, x, w, bias, kind, kw in (
            ("3x3", (2, 5, 7, 3), (4, 3, 3, 3), True, "none", {"padding": (1, 1)}),
            ("valid 5x5", (1, 9, 8, 1), (2, 5, 5, 1), True, "tanh", {}),
            ("stride", (2, 7, 6, 2), (3, 3, 2, 2), False, "relu",
             {"stride": (2, 3), "padding": (1, 0)}),
            ("dilation", (1, 8, 9, 2), (3, 3, 3, 2), True, "gelu",
             {"dilation": (2, 3), "padding": (2, 3)}),
            ("groups", (2, 5, 5, 6), (4, 3, 3, 3), True, "none", {"groups": 2}),
            ("1x1", (3, 2, 3, 5), (7, 1, 1, 5), True, "sigmoid", {})):
        inputs = [draw(*x), draw(*w)] + ([draw(w[0])] if bias else [])
        stride, pad = kw.get("stride", (1, 1)), kw.get("padding", (0, 0))
        dilation = kw.get("dilation", (1, 1))
        options = {"stride_h": stride[0], "stride_w": stride[1], "pad_h": pad[0],
                   "pad_w": pad[1], "dilation_h": dilation[0], "dilation_w": dilation[1],
                   "groups": kw.get("groups", 1), "activation": kind}

        def forward(x, w, b=None, f=ACTIVATIONS[kind], kw=kw):
            return f(nhwc(F.conv2d(nchw(x), nchw(w), b, **kw)))

        case("conv2d " + name, "conv2d", options, inputs, forward, range(len(inputs)),
             parameters=range(1, len(inputs)))


def pooling():
    for name, kind, x, kernel, stride, pad, include in (
            ("2x2", "max", (2, 4, 6, 3), (2, 2), (2, 2), (0, 0), False),
            ("overlapping", "max", (1, 7, 5, 2), (3, 3), (2, 1), (1, 1), False),
            ("2x2", "average", (2, 5, 4, 3), (2, 2), (2, 2), (0, 0), False),
            ("padded", "average", (1, 5, 6, 2), (3, 2), (2, 2), (1, 1), False),
            ("padded counted", "average", (1, 5, 6, 2), (3, 2), (2, 2), (1, 1), True)):
        options = {"kernel_h": kernel[0], "kernel_w": kernel[1], "stride_h": stride[0],
                   "stride_w": stride[1], "pad_h": pad[0], "pad_w": pad[1],
                   "count_include_pad": include}

        def forward(x, kind=kind, kernel=kernel, stride=stride, pad=pad, include=include):
            if kind == "max":
                return nhwc(F.max_pool2d(nchw(x), kernel, stride, pad))
            return nhwc(F.avg_pool2d(nchw(x), kernel, stride, pad, count_include_pad=include))

        # Distinct numbers, so that no window has two maxima.
        count = x[0] * x[1] * x[2] * x[3]
        image = (torch.randperm(count).double() / 16 - 2).reshape(x)
        case(f"{kind}_pool2d {name}", kind + "_pool2d", options, [image], forward, [0])


def attention():
    torch.manual_seed(21)  # numbers of its own, whatever parts come before
    for name, batch, positions, heads, kv_heads, dim, scale in (
            ("one position", 2, 1, 2, 2, 3, 0.0), ("causal", 2, 9, 3, 3, 5, 0.0),
            ("grouped", 1, 11, 6, 2, 4, 0.0), ("one key head, scaled", 1, 6, 4, 1, 8, 0.5)):
        options = {"heads": heads, "kv_heads": kv_heads, "head_dim": dim, "scale": scale}

        def forward(qkv, heads=heads, kv_heads=kv_heads, dim=dim, scale=scale):
            parts = qkv.split([heads * dim, kv_heads * dim, kv_heads * dim], -1)
            q, k, v = (x.unflatten(-1, (-1, dim)).transpose(1, 2) for x in parts)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale or None,
                                               enable_gqa=True)
            return y.transpose(1, 2).flatten(2)

        case("causal_attention " + name, "causal_attention", options,
             [draw(batch, positions, (heads + 2 * kv_heads) * dim)], forward, [0])


# New parts go to the end, so that the cases before keep their numbers.


def silu():
    case("silu", "silu", {}, [draw(3, 7, scale=2)], F.silu, [0])
    case("linear silu", "linear", {"activation": "silu"}, [draw(2, 3, 5), draw(4, 5), draw(4)],
         lambda x, w, b: F.silu(F.linear(x, w, b)), range(3), parameters=(1, 2))


def embedding():
    def forward(tokens, table, position_table=None, positions=None):
        y = F.embedding(tokens.long(), table)
        if position_table is None:
            return y
        start = positions if positions is not None else torch.zeros(tokens.shape[0])
        at = start[:, None].long() + torch.arange(tokens.shape[1])[None, :]
        return y + F.embedding(at, position_table)

    tokens = torch.randint(0, 5, (3, 7)).double()
    starts = torch.tensor([2.0, 0.0, 1.0]).double()
    dtypes = ["i32", "f32", "f32", "i32"]
    case("embedding", "embedding", {}, [tokens, draw(5, 6)], forward, [1], dtypes[:2],
         parameters=(1,))
    case("embedding with positions", "embedding", {}, [tokens, draw(5, 4), draw(9, 4)], forward,
         [1, 2], dtypes[:3], parameters=(1, 2))
    case("embedding from positions", "embedding", {}, [tokens, draw(5, 4), draw(9, 4), starts],
         forward, [1, 2], dtypes, parameters=(1, 2))


def norms():
    def forward(kind, epsilon):
        def norm(x, weight, bias=None, residual=None):
            s = x if residual is None else x + residual
            if kind == "layer_norm":
                return F.layer_norm(s, s.shape[-1:], weight, bias, epsilon)
            y = F.rms_norm(s, s.shape[-1:], weight, epsilon)
            return y if bias is None else y + bias
        return norm

    for kind in ("layer_norm", "rms_norm"):
        for name, shape, bias, residual in (
                ("", (5, 7), False, False), (" bias", (2, 3, 12), True, False),
                (" residual", (4, 9), False, True), (" bias residual", (2, 2, 5), True, True)):
            width = shape[-1]
            inputs = [draw(*shape, scale=2), draw(width), draw(width) if bias else None,
                      draw(*shape) if residual else None]
            wanted = [i for i in range(4) if inputs[i] is not None]
            case(kind + name, kind, {"epsilon": 1e-5}, inputs, forward(kind, 1e-5), wanted,
                 parameters=[i for i in wanted if i in (1, 2)])


def swiglu():
    def forward(x):
        gate, up = x.chunk(2, dim=-1)
        return F.silu(gate) * up

    case("swiglu", "swiglu", {}, [draw(3, 4, 10, scale=2)], forward, [0])


def rotary():
    """As in Hugging Face's Llama (apply_rotary_pos_emb, rotate_half)."""
    def rotate_half(x):
        half = x.shape[-1] // 2
        return torch.cat((-x[..., half:], x[..., :half]), dim=-1)

    def forward(o):
        def turn(x, positions=None):
            samples, length, dim = x.shape[0], x.shape[1], o["head_dim"]
            start = positions if positions is not None else torch.zeros(samples)
            at = start[:, None].float() + torch.arange(length)[None, :].float()
            frequency = o["theta"] ** -(torch.arange(0, dim, 2).double() / dim)
            angles = (at[..., None] * frequency.float()).double()  # f32, as there
            angles = torch.cat((angles, angles), dim=-1)[:, :, None, :]
            heads = x.reshape(samples, length, o["total_heads"], dim)
            q, v = heads[:, :, :o["heads"]], heads[:, :, o["heads"]:]
            q = q * angles.cos() + rotate_half(q) * angles.sin()
            return torch.cat((q, v), dim=2).reshape(x.shape)
        return turn

    for name, heads, total, dim, theta, starts in (
            ("", 2, 2, 4, 10000.0, None), (" of some heads", 2, 3, 6, 10000.0, None),
            (" from positions", 1, 2, 8, 500000.0, torch.tensor([0.0, 1021.0]).double())):
        options = {"heads": heads, "total_heads": total, "head_dim": dim, "theta": theta}
        x = draw(2, 5, total * dim)
        case("rotary" + name, "rotary", options, [x] if starts is None else [x, starts],
             forward(options), [0], ["f32", "i32"][:1 if starts is None else 2])


for part in (pointwise, losses, linear, convolution, pooling, attention, silu, embedding, norms,
             swiglu, rotary):
    part()
json.dump({"torch": torch.__version__, "cases": CASES}, sys.stdout, separators=(",", ":"))
print()
