#!/usr/bin/env python3
"""Times data-parallel steps on CPUs: `mpirun trireme train` against PyTorch's DistributedDataParallel over gloo.

    . deploy/mpi_env.sh
    bench/compare_ddp.py --trireme build/release/trireme

Networks, data, optimizer, what is timed and the figures are compare_pytorch.py's; the global batch is the same and cut
over the ranks, each of one thread and pinned to a core of its own on both sides. DDP runs in its quicker form of {default,
fused AdamW} with its default buckets, in processes that stay, warm, and wait in between; Trireme's are new for each run.
"""
import argparse
import json
import os
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile

import compare_pytorch as one


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trireme", help="the program to time")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--steps", type=int, help="timed steps of a run; default: 150, of gpt_char 10")
    parser.add_argument("--models", nargs="+", choices=sorted(one.NETWORKS), default=["gpt_char"])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--mpiexec", default="mpirun")
    parser.add_argument("--torch-rank", help=argparse.SUPPRESS)  # this script as one of PyTorch's processes
    args = parser.parse_args()
    if args.torch_rank:
        return serve(json.loads(args.torch_rank))
    one.require_torch()
    if not args.trireme or not os.access(args.trireme, os.X_OK):
        parser.error("--trireme must name the trireme program, e.g. build/release/trireme")
    if args.ranks > len(os.sched_getaffinity(0)):
        parser.error("expects a core for each rank")
    one.print_setting(args)
    for model in args.models:
        for batch in one.NETWORKS[model]["batches"]:
            compare(args, model, batch)


class Ddp:
    """PyTorch's ranks, which wait on their standard inputs between runs; rank 0 answers."""

    def __init__(self, cell):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        cores = sorted(os.sched_getaffinity(0))
        self.ranks = [
            subprocess.Popen([sys.executable, __file__, "--torch-rank", json.dumps({**cell, "rank": rank, "port": port})],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                             env=dict(os.environ, OMP_NUM_THREADS="1"),
                             preexec_fn=lambda core=cores[rank]: os.sched_setaffinity(0, {core}))
            for rank in range(cell["ranks"])]

    def run(self):
        for rank in self.ranks:
            rank.stdin.write("run\n")
            rank.stdin.flush()
        answers = [rank.stdout.readline() for rank in self.ranks]
        if not all(answers):
            sys.exit("compare_ddp: a process of PyTorch ended")
        answers = [json.loads(answer) for answer in answers]
        return {"times": answers[0]["times"], "cpu": sum(answer["cpu"] for answer in answers)}

    def end(self):
        for rank in self.ranks:
            rank.stdin.close()
        for rank in self.ranks:
            rank.wait()


def serve(cell):
    import torch
    import torch.distributed as dist

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(cell["port"]))
    dist.init_process_group("gloo", rank=cell["rank"], world_size=cell["ranks"])
    torch.set_num_threads(1)
    torch.manual_seed(1)
    net = torch.nn.parallel.DistributedDataParallel(one.torch_network(cell["model"]))
    torch.manual_seed(1 + cell["rank"])
    local = {**cell, "batch": cell["batch"] // cell["ranks"]}
    batches = [one.torch_batch(local, torch.contiguous_format) for _ in range(16)]
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01, fused=cell["fused"] or None)
    for _ in sys.stdin:
        dist.barrier()
        print(json.dumps(one.torch_steps(local, net, optimizer, batches)), flush=True)
    dist.destroy_process_group()


def trireme(args, cell):
    network = one.NETWORKS[cell["model"]]
    with tempfile.TemporaryDirectory() as folder:
        if network["data"] == one.TEXT:
            text = random.Random(1).randbytes(one.SAMPLES * one.CONTEXT + 1)
            pathlib.Path(folder, "text.txt").write_bytes(text)
        job, run = pathlib.Path(folder, "job.txtpb"), pathlib.Path(folder, "run")
        job.write_text(one.JOB.format(model=network["model"], data=network["data"], batch=cell["batch"],
                                      steps=cell["skipped"] + cell["steps"]))
        done = subprocess.run([args.mpiexec, "-np", str(cell["ranks"]), "--bind-to", "core", args.trireme, "train", job,
                               "--device", "cpu", "--run-dir", run], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
        if done.returncode != 0:
            sys.exit(f"compare_ddp: {args.trireme} ended with code {done.returncode}: {done.stderr.strip()}")
        lines = (run / "metrics.jsonl").read_text().splitlines()
        times = [json.loads(line)["step_ms"] for line in lines if '"step_ms"' in line]
    return {"times": times[cell["skipped"]:], "cpu": float("nan")}  # mpirun's own time would be in it


def compare(args, model, batch):
    network = one.NETWORKS[model]
    cell = {"model": model, "batch": batch, "ranks": args.ranks, "threads": f"{args.ranks} x 1",
            "steps": args.steps or network["steps"], "channels_last": False,
            "skipped": one.SAMPLES // batch + 10 if network["first_epoch"] else 2}
    forms = {fused: Ddp({**cell, "fused": fused}) for fused in (False, True)}
    cell["fused"] = min(forms, key=lambda fused: min(statistics.median(forms[fused].run()["times"]) for _ in range(2)))
    forms.pop(not cell["fused"]).end()
    ddp, ours, theirs = forms[cell["fused"]], [], []
    for pair in range(args.pairs):
        if pair % 2 == 0:
            ours.append(trireme(args, cell))
        theirs.append(ddp.run())
        if pair % 2 == 1:
            ours.append(trireme(args, cell))
    ddp.end()
    one.print_row(cell, ours, theirs)


if __name__ == "__main__":
    main()
