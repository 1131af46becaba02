#!/usr/bin/env python3
"""Breaks the code on purpose, one place at a time, and checks that a test notices.

    tests/mutants.py [NAME...]       all mutants, or those named; prints a markdown table

Each mutant is one replacement of text in a copy of the tree (build/mutants). Its tests are built and
run: they must fail, and must have passed before. Exits with 1 if a mutant survives.
"""
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "build" / "mutants" / "tree"
BUILD = ROOT / "build" / "mutants" / "build"


@dataclass
class Mutant:
    name: str
    what: str
    file: str
    old: str
    new: str
    target: str
    tests: str  # a gtest filter


MUTANTS = [
    Mutant("wait", "the update does not wait for the reductions", "core/runtime/executor.cc",
           "  device_.order(device_.stream(role), device_.stream(StreamRole::kCompute));", "", "parallel_tests",
           "*DataParallel*"),
    Mutant("scale", "backward is not divided by the global batch", "core/graph/differentiate.cc",
           "options_.loss_scale / nominal", "options_.loss_scale / (0 * nominal + 1)", "core_tests", "Session.*"),
    Mutant("bucket", "the first bucket is not reduced", "parallel/data_sharding.cc",
           "if (last_segment[life.bucket] == s)",
           "if (last_segment[life.bucket] == s && life.bucket > 0)", "parallel_tests", "*DataParallel*"),
    Mutant("barrier", "a block reduction reads before all warps have written", "core/cuda/reduce.cuh",
           "  if (lane == 0) of_warp[warp] = v;\n  __syncthreads();",
           "  if (lane == 0) of_warp[warp] = v;", "emulator_tests", "*"),
    Mutant("pad", "convolution forgets the padding above", "core/cpu/onednn.cc",
           "return {spec.pad_h, spec.pad_w};", "return {0, spec.pad_w};", "core_tests", "*onv*"),
    Mutant("gradient", "the derivative of sigmoid loses a factor", "core/kernels/activation.h",
           "return y * (1.0f - y);", "return (1.0f - y);", "core_tests", "*ctivation*:*igmoid*"),
    Mutant("seed", "dropout ignores the job's seed", "core/ops/dropout_cpu.cc",
           "random_key(context.seed,", "random_key(0,", "core_tests", "*ropout*"),
    Mutant("shape", "a graph may hold a linear layer whose widths differ", "core/ops/linear.cc",
           " ||\n      x.shape[-1] != weight.shape[1])\n    fail(\"[linear] expects x", ")\n    fail(\"[linear] expects x",
           "core_tests", "*inear*"),
    Mutant("sample", "dropout draws the same masks on every rank", "core/runtime/executor.cc",
           "sample_offset_ + program_.first_row(entry.micro_batch)",
           "program_.first_row(entry.micro_batch)", "parallel_tests", "*DataParallel*"),
    Mutant("overwrite", "memory is taken over while somebody still reads it", "core/program/storage.cc",
           "if (storage < 0 || storages_[storage].range.end != time_of_[id]) return -1;",
           "if (storage < 0 || storages_[storage].range.end < time_of_[id]) return -1;", "core_tests", "Storage.*"),
    Mutant("accumulate", "later micro-batches replace the gradient", "core/runtime/executor.cc",
           "    case Adds::kWithinStep:\n      return !entry.first;",
           "    case Adds::kWithinStep:\n      return false;", "core_tests", "Session.*"),
    Mutant("predicate", "a non-finite step is applied", "core/kernels/optimizer.h",
           "step->apply = apply ? 1 : 0;", "step->apply = 1;", "core_tests", "Session.*"),
    Mutant("padding samples", "padding counts in an evaluation", "launcher/data/sampler.h",
           "Draw{0, 0}", "Draw{0, 1}", "launcher_tests", "*"),
    Mutant("order", "every epoch has the same order", "launcher/data/sampler.h",
           "n / size_, size_)(n % size_)", "0, size_)(n % size_)", "launcher_tests", "*"),
    Mutant("count", "ranks' collectives are compared without their counts", "core/sim/check_programs.cc",
           "static_cast<int>(call.dtype), call.count};", "static_cast<int>(call.dtype), 0};",
           "parallel_tests", "CheckCalls.*"),
    Mutant("moment", "checkpoints leave out the second moment", "launcher/checkpoint/state.cc",
           "  buffers.insert(buffers.begin(), core::StateBuffer::kParameters);\n",
           "  buffers.insert(buffers.begin(), core::StateBuffer::kParameters);\n"
           "  std::erase(buffers, core::StateBuffer::kMoment2);\n",
           "launcher_tests", "Saver.*"),
    Mutant("average", "a slice's average is of the parameters beside it", "core/optim/optimizer.cc",
           "range.gradient_shift = -range.moment_shift;", "range.gradient_shift = 0;",
           "core_tests", "Average.*"),
    Mutant("applied", "a resumed run forgets how often it has updated", "core/runtime/session.cc",
           "  host_step_->applied_steps = counters.applied;\n", "", "core_tests", "Session.*"),
    Mutant("finite", "a state that is not finite is committed", "launcher/checkpoint/saver.cc",
           "if (!all_finite(values))", "if (false)", "launcher_tests", "Saver.*"),
    Mutant("lock", "a run that lost its lock commits", "launcher/checkpoint/saver.cc",
           "if (options_.owns_run && !options_.owns_run())", "if (false)", "launcher_tests", "Saver.*"),
    Mutant("snapshot", "a save writes what was copied for the one before", "launcher/checkpoint/snapshot.cc",
           "  copied_ = 0;\n  failed_", "  failed_", "launcher_tests", "Snapshot.*:Saver.*"),
    Mutant("minority", "the replicas that differ are taken for the others", "launcher/train/replica_check.cc",
           "return as_many(a) < as_many(b);", "return as_many(a) > as_many(b);", "launcher_tests", "Replicas.*"),
    Mutant("patience", "an improvement does not start the count anew", "launcher/train/judge.cc",
           "best_ = {.value = value, .step = record.step};",
           "best_.value = value, best_.step = record.step;", "launcher_tests", "EarlyStop.*"),
    Mutant("attention scale", "scores are not scaled", "core/ops/attention_shape.cc",
           "1 / std::sqrt(static_cast<float>(head_dim))", "1.0f", "core_tests", "*ttention*"),
    Mutant("attention mask", "a query sees one key too many", "core/cpu/block_loops.cc",
           "block.scores + k * block.row + k - block.ahead,", "block.scores + k * block.row + k - block.ahead - 1,", "core_tests", "*ttention*"),
    Mutant("labels", "a position is to predict itself", "launcher/data/tokens.cc",
           "std::copy(out.tokens.begin() + 1, out.tokens.end(), out.labels.begin());",
           "std::copy(out.tokens.begin(), out.tokens.end() - 1, out.labels.begin());",
           "launcher_tests", "*oken*"),
    Mutant("share", "the tensor ranks do not add up the gradient of what they share", "core/ops/exchange.cc",
           "  builder.emit(\"input\", std::make_shared<AllReduce>(place_), {builder.output_gradient(0)}, {0});",
           "  builder.pass(0, builder.output_gradient(0));", "parallel_tests", "ShardTensor.*"),
    Mutant("replicated norm", "every tensor rank counts what they hold in common", "parallel/plan_training.cc",
           "return tensor_.place.rank == 0 || !parameter.slice.is_whole();", "return true;",
           "parallel_tests", "TensorSession.*"),
    Mutant("tied norm", "every stage counts a tied parameter", "parallel/plan_training.cc",
           "    if (ties_.is_tied(parameter.name) && ties_.stages.front() != place_.stage) return false;\n",
           "", "parallel_tests", "TensorSession.*:*Pipeline*"),
    Mutant("tie", "the gradients of a tied parameter are not summed", "parallel/data_sharding.cc",
           "        parameter && parameter->trained)\n      options.insertions.push_back(",
           "        parameter && !parameter->trained)\n      options.insertions.push_back(",
           "parallel_tests", "*Pipeline*"),
    Mutant("owner", "a rank owns another slice than the one it is sent", "core/program/shard_map.cc",
           "bucket.begin + rank * length", "bucket.begin + (degree - 1 - rank) * length",
           "parallel_tests", "*Sharding*"),
    Mutant("shared bucket", "a bucket is added to its slice before the sum has come", "parallel/data_sharding.cc",
           "      if (i > 0) add_up(i - 1, lives[i].end);\n", "", "parallel_tests", "*Sharding*"),
    Mutant("slot", "all micro-batches in flight use one slot", "core/runtime/executor.cc",
           "  slot_offset_ = entry.slot_offset;", "  slot_offset_ = 0;", "parallel_tests", "*Pipeline*"),
    Mutant("weight backward", "the gradient of a micro-batch's parameters comes before its own backward",
           "parallel/schedule.cc", "step.micro_batch >= stage) weight();", "step.micro_batch >= 0) weight();",
           "parallel_tests", "*chedule*"),
    Mutant("again", "what a block computes again is what it had before", "core/graph/recompute.cc",
           "input = found->second;", "input = found->first;", "core_tests", "Recompute.*"),
    Mutant("votes of tensor ranks", "every tensor rank counts the loss", "parallel/plan_training.cc",
           "    build.counts_sums = tensor_.place.rank == 0;\n    if (splits_norm(sharding))",
           "    if (splits_norm(sharding))",
           "parallel_tests", "TensorSession.*"),
    Mutant("first values", "a slice draws the first elements of the whole", "core/runtime/session.cc",
           "fill(parameter.init, key, logical + done,", "fill(parameter.init, key, 0 * logical + done,",
           "parallel_tests", "TensorSession.*:ShardTensor.*"),
    Mutant("tree", "the owner adds the ranks' sums in turn and not neighbours first", "parallel/leaf_reduction.cc",
           "for (int stride = 1; stride < place_.ranks; stride *= 2)\n    for (int r = 0; r < place_.ranks; r += 2 * stride) {\n      const Location a = behind(region.received, r * elements);\n      const bool last = 2 * stride == place_.ranks;",
           "for (int stride = 1; stride < place_.ranks; stride += 1)\n    for (int r = 0; r < 1; r += 1) {\n      const Location a = behind(region.received, r * elements);\n      const bool last = stride + 1 == place_.ranks;",
           "parallel_tests", "*LayoutDeterminism*Gpt_d4p1*"),
    Mutant("rounded operand", "the gradient of a linear layer's input is of operands that were not rounded",
           "core/ops/linear.cc", "std::make_shared<LinearGradInput>(operands())",
           "std::make_shared<LinearGradInput>(DType::kF32)", "models_tests", "*"),
]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def passes(mutant):
    """Whether the mutant's tests build and pass; a mutant that does not compile is an error."""
    built = run("cmake", "--build", BUILD, "--target", mutant.target, "-j", "2")
    if built.returncode:
        sys.exit(f"{mutant.name}: does not compile\n{built.stdout[-3000:]}")
    binary = next(BUILD.rglob(mutant.target))
    try:
        tests = subprocess.run([binary, f"--gtest_filter={mutant.tests}"], capture_output=True,
                               text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return False, "ran past 300 s"
    failed = [line.split()[3].rstrip(",") for line in tests.stdout.splitlines()
              if line.startswith("[  FAILED  ]") and "ms)" in line]
    if tests.returncode == 0 and " 0 tests " in tests.stdout:
        sys.exit(f"{mutant.name}: no test matches {mutant.tests}")
    return tests.returncode == 0, failed[0] if failed else f"status {tests.returncode}"


def main():
    chosen = [m for m in MUTANTS if not sys.argv[1:] or m.name in sys.argv[1:]]
    COPY.mkdir(parents=True, exist_ok=True)
    files = run("git", "-C", ROOT, "ls-files").stdout.split()
    for file in files:
        copy = COPY / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists() or copy.read_bytes() != (ROOT / file).read_bytes():
            shutil.copy2(ROOT / file, copy)
    configured = run("cmake", "-S", COPY, "-B", BUILD, "-G", "Ninja", "-DTRIREME_CUDA=OFF",
                     "-DTRIREME_BENCH=OFF", "-DCMAKE_BUILD_TYPE=Release",
                     "-DCMAKE_CXX_FLAGS_RELEASE=-O2 -DNDEBUG")
    if configured.returncode:
        sys.exit(configured.stderr)
    survivors = []
    print("| mutant | what is broken | noticed by |\n|---|---|---|")
    for mutant in chosen:
        path = COPY / mutant.file
        whole = path.read_text()
        if whole.count(mutant.old) != 1:
            sys.exit(f"{mutant.name}: {mutant.file} holds the text {whole.count(mutant.old)} times")
        ok, detail = passes(mutant)
        if not ok:
            sys.exit(f"{mutant.name}: its tests fail without it: {detail}")
        path.write_text(whole.replace(mutant.old, mutant.new))
        try:
            ok, detail = passes(mutant)
        finally:
            path.write_text(whole)
        print(f"| {mutant.name} | {mutant.what} | {'NOBODY' if ok else detail} |", flush=True)
        if ok:
            survivors.append(mutant.name)
    sys.exit(f"survived: {', '.join(survivors)}" if survivors else 0)


if __name__ == "__main__":
    main()
