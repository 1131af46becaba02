#include "launcher/plan/run_plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "launcher/train/precision.h"
#include "parallel/calls.h"
#include "parallel/check_calls.h"
#include "parallel/group_members.h"

namespace trireme::launcher {
namespace {

using parallel::Axis;
using parallel::Group;

bool runs_forward(const core::Program& program, const core::Instruction& instruction) {
  return instruction.kind == core::InstructionKind::kKernel &&
         program.graph.node(instruction.index).phase == core::Phase::kForward;
}

// "block0 ... block5": the first and the last block, or node outside of blocks, that runs here.
std::string layers_of(const core::Program& program) {
  std::vector<std::string> names;
  for (const core::Segment& segment : program.segments)
    for (const core::Instruction& instruction : segment.instructions) {
      if (!runs_forward(program, instruction)) continue;
      const core::Node& node = program.graph.node(instruction.index);
      const std::string& name = node.block.empty() ? node.name : node.block;
      if (names.empty() || names.back() != name) names.push_back(name);
    }
  if (names.size() < 2) return names.empty() ? "none" : names.front();
  return fmt::format("{} ... {}", names.front(), names.back());
}

int nodes_of(const std::vector<int>& ranks, int ranks_per_node) {
  std::set<int> nodes;
  for (int rank : ranks) nodes.insert(rank / ranks_per_node);
  return static_cast<int>(nodes.size());
}

std::vector<int> tied_stages(const std::vector<RankClass>& classes) {
  std::vector<int> stages;
  for (const RankClass& c : classes)
    if (parallel::uses(c.plan, parallel::kTieGroup)) stages.push_back(c.stage);
  return stages;
}

class Planner {
 public:
  explicit Planner(const PlanRequest& request)
      : request_(request),
        plan_{.shape = shape_run(request.job, request.data, request.world),
              .device = request.device} {
    plan_.arena_limit = arena_limit(request.job, request.device.arena_bytes());
    limit_ = memory_limit(plan_.arena_limit, request.job, request.data, plan_.shape,
                          request.device.kind, request.factories);
  }

  RunPlan run() {
    for (int stage = 0; stage < mesh().size(Axis::kPipeline); ++stage) add_class(stage);
    whole_network();
    check();
    simulate();
    return std::move(plan_);
  }

 private:
  const parallel::Mesh& mesh() const { return plan_.shape.mesh; }
  // The rank that stands for a stage: the first in the tensor and the data axis.
  int rank_of(int stage) const {
    return stage * mesh().size(Axis::kTensor) * mesh().size(Axis::kData);
  }

  void add_class(int stage) {
    RankClass c{.stage = stage,
                .plan = plan_session(request_.job, request_.data, plan_.shape, rank_of(stage),
                                     request_.device.kind, request_.factories, limit_)};
    c.layers = layers_of(c.plan.train);
    c.memory = ledger_of(c.plan, request_.device.kind);
    c.host = host_ledger_of(c.plan, mesh(), request_.device.kind);
    plan_.classes.push_back(std::move(c));
  }

  void whole_network() {
    core::Graph graph = build_graph(request_.job, request_.data, plan_.shape.batch.micro_batch,
                                    true, request_.factories);
    for (core::ValueId id : graph.with_role(core::Role::kParameter))
      plan_.parameters += graph.type(id).elements();
    core::differentiate(graph, {.global_batch = plan_.shape.batch.global_batch, .frozen = {}});
    plan_.step_flops =
        core::flops(graph) * plan_.shape.batch.micro_batches * mesh().size(Axis::kData);
    plan_.peak_flops = request_.device.arithmetic(operands_of(request_.job.train.precision)).peak;
  }

  // Data and tensor ranks are alike, so each stage is checked as one rank.
  void check() const {
    const int stages = mesh().size(Axis::kPipeline);
    const parallel::Mesh alone({.data = 1, .tensor = 1, .pipeline = stages}, stages);
    std::vector<parallel::RankScripts> scripts;
    for (const RankClass& c : plan_.classes) scripts.push_back(parallel::scripts_of(c.plan));
    std::vector<const parallel::RankScripts*> ranks;
    for (const parallel::RankScripts& rank : scripts) ranks.push_back(&rank);
    parallel::check_calls(alone, ranks);
  }

  void simulate() {
    const std::vector<int> tied = tied_stages(plan_.classes);
    core::SimWorld world;
    std::map<std::pair<int, std::vector<int>>, int> groups;
    for (RankClass& c : plan_.classes) {
      std::vector<core::GroupView> views;
      for (int number = 0; number < parallel::kGroups; ++number) {
        const std::vector<int> members =
            parallel::group_members(mesh(), static_cast<Group>(number), rank_of(c.stage), tied);
        core::GroupView view = view_of(members, c.stage);
        std::vector<int> stages = view.ranks;
        stages.erase(std::unique(stages.begin(), stages.end()), stages.end());
        const auto [found, fresh] =
            groups.try_emplace({number, stages}, static_cast<int>(world.groups.size()));
        if (fresh) world.groups.push_back(stages);
        view.group = found->second;
        views.push_back(std::move(view));
      }
      const core::ProgramSeconds seconds =
          core::seconds_of(c.plan.train, update_size(c.plan), request_.device);
      const core::CallScript script = core::script_of(c.plan.train, &seconds);
      add_up_calls(c, script, views);
      c.tasks = core::tasks_of(script, views, &request_.device, request_.detail);
      world.ranks.push_back(c.tasks.tasks);
    }
    core::SimResult result = core::simulate(world);
    ensure(!result.deadlock, "programs that have been checked come to their end");
    plan_.step_seconds = result.seconds;
    plan_.spans = std::move(result.spans);
    for (size_t i = 0; i < plan_.classes.size(); ++i) plan_.classes[i].times = result.ranks[i];
  }

  core::GroupView view_of(const std::vector<int>& members, int stage) const {
    const int per_node = request_.device.ranks_per_node;
    core::GroupView view{.shape = {static_cast<int>(members.size()), nodes_of(members, per_node)},
                         .ranks = {},
                         .nodes = {}};
    for (int member : members) {
      view.ranks.push_back(mesh().coordinate(member, Axis::kPipeline));
      view.nodes.push_back(nodes_of({member, rank_of(stage)}, per_node));
    }
    return view;
  }

  static core::UpdateSize update_size(const core::SessionPlan& plan) {
    core::UpdateSize size{.normed = plan.layout.trained_elements,
                          .moments = core::moment_count(plan.optimizer),
                          .averaged = plan.average.has_value()};
    for (const core::UpdateRange& range : plan.ranges) size.updated += range.end - range.begin;
    if (plan.norm_ranges) {
      size.normed = 0;
      for (const core::ElementRange& range : *plan.norm_ranges)
        size.normed += range.end - range.begin;
    }
    return size;
  }

  void add_up_calls(RankClass& c, const core::CallScript& script,
                    const std::vector<core::GroupView>& views) const {
    std::map<std::pair<int, core::CollectiveKind>, CallTotal> totals;
    core::for_each_call(script, [&](const core::ScriptCall& call, core::ProgramPlace) {
      const core::GroupView& view = views.at(call.group);
      const core::GroupShape shape =
          call.is_message() ? core::GroupShape{2, view.nodes.at(call.peer)} : view.shape;
      CallTotal& total = totals[{call.group, call.kind}];
      total.kind = call.kind;
      total.group = name_of(static_cast<Group>(call.group));
      total.members = view.shape.members;
      ++total.calls;
      total.bytes += call.bytes();
      total.seconds += core::transfer_seconds(request_.device, call.kind, call.bytes(), shape);
    });
    for (auto& [key, total] : totals) c.calls.push_back(std::move(total));
  }

  const PlanRequest& request_;
  RunPlan plan_;
  MemoryLimit limit_;
};

}  // namespace

int64_t RunPlan::arena_bytes() const {
  int64_t most = 0;
  for (const RankClass& c : classes) most = std::max(most, c.memory.total());
  return most;
}

int64_t RunPlan::bytes_of(const RankClass& c) const {
  const int64_t host = device.kind == core::DeviceKind::kCpu ? c.host.total() : 0;
  return c.memory.total() + host + device.outside_bytes;
}

int64_t RunPlan::rank_bytes() const {
  int64_t most = 0;
  for (const RankClass& c : classes) most = std::max(most, bytes_of(c));
  return most;
}

double RunPlan::mfu() const {
  if (peak_flops <= 0 || step_seconds <= 0) return 0;
  return static_cast<double>(step_flops) / (shape.mesh.world() * peak_flops * step_seconds);
}

RunPlan make_run_plan(const PlanRequest& request) { return Planner(request).run(); }

}  // namespace trireme::launcher
