#include "core/program/segment_plan.h"

namespace trireme::core {

std::vector<SegmentPlan> whole_graph(const Graph& graph) {
  std::vector<SegmentPlan> plans{{.name = "forward"}, {.name = "backward"}};
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes().size()); ++id)
    plans[graph.node(id).phase == Phase::kForward ? 0 : 1].nodes.push_back(id);
  if (plans.back().nodes.empty()) plans.pop_back();
  return plans;
}

std::vector<Turn> one_after_another(int segments, int micro_batches) {
  std::vector<Turn> turns;
  for (int m = 0; m < micro_batches; ++m)
    for (int segment = 0; segment < segments; ++segment) turns.push_back({segment, m, 0});
  return turns;
}

}  // namespace trireme::core
