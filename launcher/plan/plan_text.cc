#include "launcher/plan/plan_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "launcher/plan/run_plan.h"

namespace trireme::launcher {
namespace {

using parallel::Axis;

// "235,146"
std::string grouped(int64_t value) {
  if (value < 1000) return fmt::format("{}", value);
  return fmt::format("{},{:03}", grouped(value / 1000), value % 1000);
}

std::string mebibytes(int64_t bytes) {
  return fmt::format("{:.2f}", static_cast<double>(bytes) / (int64_t{1} << 20));
}

std::string milliseconds(double seconds) { return fmt::format("{:.3f} ms", seconds * 1e3); }

std::string percent(double share) { return fmt::format("{:.1f} %", share * 100); }

std::string tera(double rate) { return fmt::format("{:.3g} TFLOP/s", rate / 1e12); }

bool alike(const RankClass& a, const RankClass& b) {
  return std::ranges::equal(a.memory.lines, b.memory.lines, {}, &LedgerLine::bytes,
                            &LedgerLine::bytes) &&
         a.plan.layout.parameter_count() == b.plan.layout.parameter_count();
}

// Runs of neighbouring stages that hold as much: first and last index.
std::vector<std::pair<size_t, size_t>> runs_of(const std::vector<RankClass>& classes) {
  std::vector<std::pair<size_t, size_t>> runs;
  for (size_t i = 0; i < classes.size(); ++i)
    if (!runs.empty() && alike(classes[runs.back().first], classes[i]))
      runs.back().second = i;
    else
      runs.emplace_back(i, i);
  return runs;
}

std::string label_of(std::pair<size_t, size_t> run) {
  return run.first == run.second ? fmt::format("stage {}", run.first)
                                 : fmt::format("stages {}-{}", run.first, run.second);
}

std::string head(const RunPlan& plan, const JobOptions& job) {
  const parallel::BatchSplit& batch = plan.shape.batch;
  const int world = plan.shape.mesh.world();
  std::string text = fmt::format("{} on {} rank{} of {} ({})\n\n", job.name, world,
                                 world == 1 ? "" : "s", plan.device.name, plan.device.source);
  text += fmt::format("layout      {}, zero {}\n", plan.shape.mesh.str(), job.parallel.zero);
  text += fmt::format("batch       {} a step = {} data rank{} x {} micro-batch{} of {}\n",
                      batch.global_batch, plan.shape.mesh.size(Axis::kData),
                      plan.shape.mesh.size(Axis::kData) == 1 ? "" : "s", batch.micro_batches,
                      batch.micro_batches == 1 ? "" : "es", batch.micro_batch);
  text += fmt::format("parameters  {}\n", grouped(plan.parameters));
  return text;
}

std::string layers(const RunPlan& plan) {
  std::string text = fmt::format("\n{:<12} {:>16}  {}\n", "layers", "parameters", "from ... to");
  for (const RankClass& c : plan.classes)
    text += fmt::format("{:<12} {:>16}  {}\n", fmt::format("stage {}", c.stage),
                        grouped(c.plan.layout.parameter_count()), c.layers);
  return text;
}

std::string memory(const RunPlan& plan, const JobOptions& job) {
  const auto runs = runs_of(plan.classes);
  std::string text = fmt::format("\n{:<20}", "memory of a rank, MiB");
  for (const auto& run : runs) text += fmt::format(" {:>14}", label_of(run));
  const auto row = [&](const std::string& name, const auto& bytes_of) {
    text += fmt::format("\n{:<21}", fmt::format("  {}", name));
    for (const auto& run : runs)
      text += fmt::format(" {:>14}", mebibytes(bytes_of(plan.classes[run.first])));
  };
  const Ledger& first = plan.classes.front().memory;
  for (size_t i = 0; i < first.lines.size(); ++i)
    row(first.lines[i].what, [i](const RankClass& c) { return c.memory.lines[i].bytes; });
  row("all arenas", [](const RankClass& c) { return c.memory.total(); });
  const bool on_host = plan.device.kind == core::DeviceKind::kCpu;
  const size_t host_lines = on_host ? plan.classes.front().host.lines.size() : 0;
  for (size_t i = 0; i < host_lines; ++i)
    row(plan.classes.front().host.lines[i].what,
        [i](const RankClass& c) { return c.host.lines[i].bytes; });
  row("outside (estimate)", [&](const RankClass&) { return plan.device.outside_bytes; });
  const int64_t has = plan.device.memory_bytes;
  text += fmt::format("\n  fullest rank        {} MiB{}\n", mebibytes(plan.rank_bytes()),
                      has == 0 ? ""
                               : fmt::format(" of {} ({})", mebibytes(has),
                                             percent(static_cast<double>(plan.rank_bytes()) /
                                                     static_cast<double>(has))));
  for (const auto& run : runs) {
    const core::SessionPlan& stage = plan.classes[run.first].plan;
    const std::string use = in_words(memory_use(stage, plan.device.kind), job, plan.arena_limit);
    if (!use.empty()) text += fmt::format("  {:<19} {}\n", label_of(run), use);
  }
  return text;
}

std::string calls(const RunPlan& plan) {
  std::string rows;
  for (const auto& run : runs_of(plan.classes))
    for (const CallTotal& call : plan.classes[run.first].calls)
      rows +=
          fmt::format("{:<20} {:<15} {:<14} {:>6} {:>7} {:>14} {:>12}\n",
                      fmt::format("  {}", label_of(run)), core::name_of(call.kind), call.group,
                      call.members, call.calls, mebibytes(call.bytes), milliseconds(call.seconds));
  if (rows.empty()) return "\ncalls of a rank in a step: none\n";
  return fmt::format("\n{:<20} {:<15} {:<14} {:>6} {:>7} {:>14} {:>12}\n", "calls of a rank", "",
                     "group", "ranks", "a step", "MiB a step", "alone") +
         rows;
}

std::string step(const RunPlan& plan) {
  std::string text = fmt::format("\n{:<20} {:>13} {:>13} {:>13} {:>13} {:>13}\n", "a step",
                                 "computing", "exposed", "bubble", "communication", "of it hidden");
  for (const auto& run : runs_of(plan.classes)) {
    const core::SimRankTimes& times = plan.classes[run.first].times;
    text += fmt::format("{:<20} {:>13} {:>13} {:>13} {:>13} {:>13}\n",
                        fmt::format("  {}", label_of(run)), milliseconds(times.busy),
                        milliseconds(times.exposed), milliseconds(times.idle),
                        milliseconds(times.communication), percent(times.overlap()));
  }
  const double samples = static_cast<double>(plan.shape.batch.global_batch);
  text += fmt::format("  {}, {:.6g} samples/s", milliseconds(plan.step_seconds),
                      samples / plan.step_seconds);
  text += fmt::format(
      "\n  MFU {} = F / (t N R): F {:.4g} FLOP of forward and backward of the step's samples, as "
      "`summary`\n  counts them, nothing computed twice; t the step; N {} rank{}; R {} peak\n",
      percent(plan.mfu()), static_cast<double>(plan.step_flops), plan.shape.mesh.world(),
      plan.shape.mesh.world() == 1 ? "" : "s", tera(plan.peak_flops));
  return text;
}

}  // namespace

std::string plan_text(const RunPlan& plan, const JobOptions& job) {
  return head(plan, job) + layers(plan) + memory(plan, job) + calls(plan) + step(plan);
}

}  // namespace trireme::launcher
