#!/usr/bin/env python3
"""Times training steps on the CPU: `trireme train` against PyTorch, the same network, batch and threads.

    bench/compare_pytorch.py --trireme build/release/trireme

Networks: LeNet-5 (28 x 28 x 1 images), the MLP 784-512-512-10, and with `--models gpt_char` the character GPT of
jobs/gpt_char.txtpb without dropout (6 layers, width 384, 6 heads, context 256, vocabulary 256, batch 8; in PyTorch
F.scaled_dot_product_attention and a tied head), all with AdamW. A pair is one run of each,
Trireme first in odd pairs, PyTorch first in even ones. Both are processes pinned to as many cores as they have
threads, with all that they start (Trireme's data thread shares them), and leave out the first steps of a run.
Trireme's is a new process for each run; PyTorch's stays, warm, and waits in between.

  PyTorch   zero_grad, forward, loss, backward, step, loss.item(); data made before. Per cell, the quickest of
            {default, fused AdamW} x {contiguous, channels_last (LeNet-5)} by the best of three trial runs of each.
  Trireme   step_ms of metrics.jsonl: waiting for data, forward, loss, accuracy, backward, the gradient's norm,
            the update. Synthetic data, in memory after the first epoch, which is left out.

ratio = median over runs of PyTorch's step / Trireme's, a run counting by the median of its steps; above 1 Trireme
is faster. The interval is the 95 % bootstrap percentile interval over pairs. `least` is the ratio of
the quickest step seen of each, `cpu` that of the processor time of a step: what a loaded machine distorts least.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time

SAMPLES = 1920  # a multiple of the batches' sizes
JOB = """name: "compare"
model {{ {model} }}
data {{ train {{ {data} }} }}
train {{ global_batch: {batch} steps: {steps} seed: 1 }}
optimizer {{ adamw {{ lr: 1e-3 weight_decay: 0.01 }} }}
"""
LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY = 6, 384, 6, 256, 256
SYNTHETIC = f"synthetic {{ samples: {SAMPLES} }}"
TEXT = 'text { files: "text.txt" }'
# Of each network: the job's model and data, sizes of batches, timed steps of a run, and whether a first pass over the
# samples is left out (synthetic ones are made in it).
NETWORKS = {
    "lenet5": {"model": "lenet5 {}", "data": SYNTHETIC, "batches": [64, 120], "steps": 150, "first_epoch": True},
    "mlp": {"model": "mlp { hidden: [512, 512] }", "data": SYNTHETIC, "batches": [64, 120], "steps": 150,
            "first_epoch": True},
    "gpt_char": {"model": f"gpt {{ layers: {LAYERS} width: {WIDTH} heads: {HEADS} context: {CONTEXT} "
                          f"vocabulary: {VOCABULARY} }}",
                 "data": TEXT, "batches": [8], "steps": 10, "first_epoch": False},
}


def main():
    args = parse_arguments()
    if args.torch_run:
        return serve_torch(json.loads(args.torch_run))
    require_torch()
    if not args.trireme or not os.access(args.trireme, os.X_OK):
        sys.exit("compare_pytorch: --trireme must name the trireme program, e.g. build/release/trireme")
    print_setting(args)
    for model in args.models:
        for batch in args.batches or NETWORKS[model]["batches"]:
            for threads in args.threads:
                compare(args, model, batch, threads)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trireme", help="the program to time")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--steps", type=int, help="timed steps of a run; default: 150, of gpt_char 10")
    parser.add_argument("--models", nargs="+", choices=sorted(NETWORKS), default=["lenet5", "mlp"])
    parser.add_argument("--batches", nargs="+", type=int, help="default: 64 and 120, of gpt_char 8")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--torch-run", help=argparse.SUPPRESS)  # this script as PyTorch's process
    args = parser.parse_args()
    if args.torch_run:
        return args
    cores = len(os.sched_getaffinity(0))
    if args.pairs < 2 or min([*args.threads, *(args.batches or [1]), *([args.steps] if args.steps is not None else [])]) < 1:
        parser.error("expects at least 2 pairs and 1 step, batch and thread")
    if max(args.threads) > cores:
        parser.error(f"expects at most {cores} threads, the cores this process may use")
    return args


def require_torch():
    try:
        import torch  # noqa: F401
    except ImportError:
        sys.exit("compare_pytorch: PyTorch is missing; `pip install torch` into the Python that runs this script")


# --- one run of each side: milliseconds of each timed step, processor milliseconds per step ---


class TorchProcess:
    """PyTorch in a process of its own, which waits on its standard input between runs."""

    def __init__(self, cell):
        command = [sys.executable, __file__, "--torch-run", json.dumps(cell)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        **pinned(cell["threads"]))

    def run(self):
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"compare_pytorch: PyTorch's process ended with code {self.process.wait()}")
        return json.loads(answer)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def serve_torch(cell):
    import torch

    torch.set_num_threads(cell["threads"])
    torch.manual_seed(1)
    net = torch_network(cell["model"])
    layout = torch.channels_last if cell["channels_last"] else torch.contiguous_format
    net = net.to(memory_format=layout)
    batches = [torch_batch(cell, layout) for _ in range(SAMPLES // cell["batch"])]
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01, fused=cell["fused"] or None)
    for _ in sys.stdin:
        print(json.dumps(torch_steps(cell, net, optimizer, batches)), flush=True)


def torch_batch(cell, layout):
    import torch

    if cell["model"] == "gpt_char":
        text = torch.randint(0, VOCABULARY, (cell["batch"], CONTEXT + 1))
        return text[:, :-1].contiguous(), text[:, 1:].flatten()
    return (torch.randn(cell["batch"], 1, 28, 28).contiguous(memory_format=layout),
            torch.randint(0, 10, (cell["batch"],)))


def torch_steps(cell, net, optimizer, batches):
    from torch.nn.functional import cross_entropy

    times, cpu_before = [], 0.0
    for step in range(cell["skipped"] + cell["steps"]):
        if step == cell["skipped"]:
            cpu_before = time.process_time()
        data, labels = batches[step % len(batches)]
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = cross_entropy(net(data), labels)
        loss.backward()
        optimizer.step()
        loss.item()
        times.append(1e3 * (time.perf_counter() - start))
    cpu = 1e3 * (time.process_time() - cpu_before) / cell["steps"]
    return {"times": times[cell["skipped"]:], "cpu": cpu}


def torch_network(model):
    from torch import nn

    if model == "gpt_char":
        return torch_gpt()
    if model == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(),
                             nn.Linear(512, 10))
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def torch_gpt():
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x):
            B, S, _ = x.shape
            q, k, v = (t.view(B, S, HEADS, -1).transpose(1, 2) for t in self.qkv(self.norm1(x)).split(WIDTH, dim=2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(B, S, WIDTH))
            return x + self.fc2(F.gelu(self.fc1(self.norm2(x)), approximate="tanh"))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
            self.blocks, self.norm = nn.Sequential(*(Block() for _ in range(LAYERS))), nn.LayerNorm(WIDTH)
            for embedding in (self.tokens, self.positions):
                nn.init.normal_(embedding.weight, std=0.02)

        def forward(self, x):
            h = self.tokens(x) + self.positions(torch.arange(x.shape[1]))
            return F.linear(self.norm(self.blocks(h)), self.tokens.weight).flatten(0, 1)

    return Gpt()


def trireme_process(program, cell):
    with tempfile.TemporaryDirectory() as folder:
        short, _ = trireme_run(program, cell, folder, "short", cell["skipped"])
        full, times = trireme_run(program, cell, folder, "full", cell["skipped"] + cell["steps"])
    return {"times": times[cell["skipped"]:], "cpu": (full - short) / cell["steps"]}


def trireme_run(program, cell, folder, name, steps):
    """Processor milliseconds of the whole process, which a shorter run's are taken from; times of all steps."""
    job, run = pathlib.Path(folder, name + ".txtpb"), pathlib.Path(folder, name)
    network = NETWORKS[cell["model"]]
    if network["data"] == TEXT:
        pathlib.Path(folder, "text.txt").write_bytes(random.Random(1).randbytes(SAMPLES * CONTEXT + 1))
    job.write_text(JOB.format(model=network["model"], data=network["data"], batch=cell["batch"], steps=steps))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run([program, "train", str(job), "--device", "cpu", "--run-dir", str(run)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **pinned(cell["threads"]))
    if result.returncode != 0:
        sys.exit(f"compare_pytorch: {program} ended with code {result.returncode}: {result.stderr.strip()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return cpu, [json.loads(line)["step_ms"] for line in lines if '"step_ms"' in line]


def pinned(threads):
    """Arguments of a process that has as many cores as threads."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    return {"env": dict(os.environ, OMP_NUM_THREADS=str(threads)),
            "preexec_fn": lambda: os.sched_setaffinity(0, cores)}


# --- the comparison ---


def compare(args, model, batch, threads):
    network = NETWORKS[model]
    cell = {"model": model, "batch": batch, "threads": threads, "steps": args.steps or network["steps"],
            "skipped": SAMPLES // batch + 10 if network["first_epoch"] else 2}
    cell.update(best_torch_variant(cell))
    torch = TorchProcess(cell)
    torch.run()  # the first is warm-up
    runs = {"trireme": lambda: trireme_process(args.trireme, cell), "torch": torch.run}
    results = {"trireme": [], "torch": []}
    for pair in range(args.pairs):
        for side in ("trireme", "torch") if pair % 2 == 0 else ("torch", "trireme"):
            results[side].append(runs[side]())
    torch.end()
    print_row(cell, results["trireme"], results["torch"])


def best_torch_variant(cell):
    layouts = [False, True] if cell["model"] == "lenet5" else [False]
    variants = [{"fused": fused, "channels_last": layout} for fused in (False, True) for layout in layouts]
    return min(variants, key=lambda variant: torch_trial({**cell, **variant}))


def torch_trial(cell):
    torch = TorchProcess(cell)
    fastest = min(statistics.median(torch.run()["times"]) for _ in range(3))
    torch.end()
    return fastest


def bootstrap(ours, theirs, draws=10000):
    """95 % percentile interval of median(theirs) / median(ours), pairs drawn with replacement."""
    source, pairs, ratios = random.Random(1), list(zip(ours, theirs)), []
    for _ in range(draws):
        drawn = source.choices(pairs, k=len(pairs))
        ratios.append(statistics.median(t for _, t in drawn) / statistics.median(o for o, _ in drawn))
    ratios.sort()
    return ratios[int(0.025 * draws)], ratios[int(0.975 * draws)]


def print_row(cell, ours, theirs):
    medians = [[statistics.median(run["times"]) for run in side] for side in (ours, theirs)]
    least = [min(min(run["times"]) for run in side) for side in (ours, theirs)]
    cpu = [statistics.median(run["cpu"] for run in side) for side in (ours, theirs)]
    mine, torchs = (statistics.median(side) for side in medians)
    low, high = bootstrap(*medians)
    variant = ("fused AdamW" if cell["fused"] else "default AdamW") + (
        ", channels_last" if cell["channels_last"] else "")
    print(f"| {cell['model']} | {cell['batch']} | {cell['threads']} | {mine:.2f} | {torchs:.2f} | "
          f"{torchs / mine:.2f} [{low:.2f}, {high:.2f}] | {least[1] / least[0]:.2f} | {cpu[1] / cpu[0]:.2f} | "
          f"{variant} |", flush=True)


def print_setting(args):
    import torch

    build = subprocess.run([args.trireme, "--version"], capture_output=True, text=True, check=True).stdout
    models = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    print(f"{datetime.date.today()}, {models[0] if models else platform.machine()}, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.platform()}")
    print(f"PyTorch {torch.__version__}, Python {platform.python_version()}; {build.strip()}")
    steps = args.steps or ", ".join(f"{NETWORKS[model]['steps']} ({model})" for model in args.models)
    print(f"{args.pairs} pairs of runs of {steps} timed steps; steps in ms\n")
    print("| network | batch | threads | Trireme | PyTorch | ratio [95 %] | least | cpu | PyTorch's best |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)


if __name__ == "__main__":
    main()
