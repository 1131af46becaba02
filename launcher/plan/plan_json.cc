#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "launcher/plan/plan_text.h"

namespace trireme::launcher {
namespace {

using nlohmann::ordered_json;
using parallel::Axis;

ordered_json json_of(const RunPlan& plan, const RankClass& c) {
  ordered_json memory, host, calls = ordered_json::array();
  for (const LedgerLine& line : c.memory.lines) memory[line.what] = line.bytes;
  for (const LedgerLine& line : c.host.lines) host[line.what] = line.bytes;
  for (const CallTotal& call : c.calls)
    calls.push_back({{"kind", core::name_of(call.kind)},
                     {"group", call.group},
                     {"members", call.members},
                     {"calls", call.calls},
                     {"bytes", call.bytes},
                     {"seconds_alone", call.seconds}});
  return {{"stage", c.stage},
          {"layers", c.layers},
          {"parameters", c.plan.layout.parameter_count()},
          {"arena_bytes", memory},
          {"arenas_bytes", c.memory.total()},
          {"host_bytes", host},
          {"rank_bytes", plan.bytes_of(c)},
          {"blocks", c.plan.blocks},
          {"recomputed_blocks", c.plan.recomputed_blocks},
          {"calls", calls},
          {"computing_seconds", c.times.busy},
          {"exposed_seconds", c.times.exposed},
          {"bubble_seconds", c.times.idle},
          {"communication_seconds", c.times.communication},
          {"overlap", c.times.overlap()}};
}

std::string stream_name(int stream) {
  constexpr std::array<std::string_view, core::kStreamRoles> names{
      "compute", "copy", "data", "tensor", "send down", "receive down", "send up", "receive up"};
  return std::string(names.at(stream));
}

ordered_json name_event(const char* what, int process, int thread, const std::string& name) {
  return {
      {"name", what}, {"ph", "M"}, {"pid", process}, {"tid", thread}, {"args", {{"name", name}}}};
}

}  // namespace

std::string plan_json(const RunPlan& plan, const JobOptions& job) {
  const parallel::Mesh& mesh = plan.shape.mesh;
  const parallel::BatchSplit& batch = plan.shape.batch;
  ordered_json classes = ordered_json::array();
  for (const RankClass& c : plan.classes) classes.push_back(json_of(plan, c));
  const ordered_json whole{{"job", job.name},
                           {"world", mesh.world()},
                           {"device", plan.device.name},
                           {"layout",
                            {{"data", mesh.size(Axis::kData)},
                             {"tensor", mesh.size(Axis::kTensor)},
                             {"pipeline", mesh.size(Axis::kPipeline)},
                             {"zero", job.parallel.zero}}},
                           {"batch",
                            {{"global", batch.global_batch},
                             {"micro_batch", batch.micro_batch},
                             {"micro_batches", batch.micro_batches}}},
                           {"parameters", plan.parameters},
                           {"rank_bytes", plan.rank_bytes()},
                           {"outside_bytes", plan.device.outside_bytes},
                           {"memory_bytes", plan.device.memory_bytes},
                           {"arena_limit_bytes", plan.arena_limit},
                           {"step_seconds", plan.step_seconds},
                           {"step_flops", plan.step_flops},
                           {"mfu", plan.mfu()},
                           {"classes", classes}};
  return whole.dump(2) + "\n";
}

std::string plan_timeline(const RunPlan& plan) {
  ordered_json events = ordered_json::array();
  for (size_t i = 0; i < plan.classes.size(); ++i) {
    const RankClass& c = plan.classes[i];
    const int process = c.stage;
    events.push_back(name_event("process_name", process, 0, fmt::format("stage {}", c.stage)));
    for (int stream = 0; stream < core::kStreamRoles; ++stream)
      events.push_back(name_event("thread_name", process, stream, stream_name(stream)));
    for (size_t t = 0; t < c.tasks.tasks.size(); ++t) {
      const core::SimTask& task = c.tasks.tasks[t];
      const core::SimSpan span = plan.spans[i][t];
      if (span.end <= span.begin) continue;
      events.push_back({{"name", describe(c.plan.train, c.tasks.places[task.label])},
                        {"ph", "X"},
                        {"pid", process},
                        {"tid", task.stream},
                        {"ts", span.begin * 1e6},
                        {"dur", (span.end - span.begin) * 1e6}});
    }
  }
  return ordered_json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump() + "\n";
}

}  // namespace trireme::launcher
