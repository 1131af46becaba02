#include "core/graph/layer_groups.h"

#include <algorithm>
#include <limits>

namespace trireme::core {
namespace {

constexpr int kCaps = 64;  // sizes of the largest group that are tried
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// Forward nodes of one chunk, in order.
class Grouping {
 public:
  Grouping(const Graph& graph, std::vector<NodeId> nodes)
      : graph_(graph), nodes_(std::move(nodes)) {
    measure();
  }

  // Positions where groups begin, the first node's left out; none if nothing would be gained.
  std::vector<int> best() const {
    std::vector<int> found;
    int64_t least = inside(0, size());
    for (int part = 1; part < kCaps; ++part) {
      const std::vector<int> begins = cheapest(inside(0, size()) / kCaps * part);
      if (begins.empty() || bytes(begins) >= least) continue;
      least = bytes(begins);
      found = begins;
    }
    return found;
  }

 private:
  int size() const { return static_cast<int>(nodes_.size()); }
  int64_t inside(int begin, int end) const { return made_[end] - made_[begin]; }

  void measure() {
    std::vector<int> position(graph_.nodes().size(), -1);
    for (int at = 0; at < size(); ++at) position[nodes_[at]] = at;
    made_.assign(size() + 1, 0);
    crossing_.assign(size() + 1, 0);
    std::vector<int> last(graph_.values().size(), -1);
    for (int at = 0; at < size(); ++at)
      for (ValueId input : graph_.node(nodes_[at]).inputs)
        if (input != kNoValue) last[input] = at;
    for (int at = 0; at < size(); ++at) {
      made_[at + 1] = made_[at];
      const Node& node = graph_.node(nodes_[at]);
      for (ValueId output : node.outputs) {
        if (output == kNoValue || graph_.value(output).role != Role::kActivation) continue;
        const int64_t bytes = graph_.type(output).bytes();
        if (node.op->view_of() < 0) made_[at + 1] += bytes;
        for (int cut = at + 1; cut <= last[output]; ++cut) crossing_[cut] += bytes;
      }
    }
  }

  // The grouping whose groups hold at most `cap` inside, with the least between them; empty if a
  // single node holds more, or all fit into one group.
  std::vector<int> cheapest(int64_t cap) const {
    std::vector<int64_t> least(size() + 1, kNever);
    std::vector<int> begin(size() + 1, 0);
    least[0] = 0;
    for (int end = 1; end <= size(); ++end)
      for (int from = end - 1; from >= 0 && inside(from, end) <= cap; --from) {
        if (least[from] == kNever) continue;
        const int64_t total = least[from] + (from > 0 ? crossing_[from] : 0);
        if (total >= least[end]) continue;
        least[end] = total;
        begin[end] = from;
      }
    std::vector<int> begins;
    if (least[size()] == kNever) return begins;
    for (int at = begin[size()]; at > 0; at = begin[at]) begins.push_back(at);
    std::ranges::reverse(begins);
    return begins;
  }

  // What remains of this grouping.
  int64_t bytes(const std::vector<int>& begins) const {
    int64_t between = 0, largest = 0;
    int begin = 0;
    for (int next : begins) {
      between += crossing_[next];
      largest = std::max(largest, inside(begin, next));
      begin = next;
    }
    return between + std::max(largest, inside(begin, size()));
  }

  const Graph& graph_;
  std::vector<NodeId> nodes_;
  std::vector<int64_t> made_;      // bytes of the nodes before a position
  std::vector<int64_t> crossing_;  // bytes that pass each position
};

}  // namespace

void group_layers(Graph& graph) {
  std::vector<std::vector<NodeId>> chunks;
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes().size()); ++id) {
    const Node& node = graph.node(id);
    if (node.phase != Phase::kForward) continue;
    if (node.chunk >= static_cast<int>(chunks.size())) chunks.resize(node.chunk + 1);
    chunks[node.chunk].push_back(id);
  }
  for (const std::vector<NodeId>& nodes : chunks) {
    std::vector<int> begins = Grouping(graph, nodes).best();
    if (begins.empty()) continue;
    begins.push_back(static_cast<int>(nodes.size()));
    int at = 0;
    for (int end : begins) {
      const std::string name = graph.node(nodes[at]).name;
      for (; at < end; ++at) graph.set_block_of(nodes[at], name);
    }
  }
}

}  // namespace trireme::core
