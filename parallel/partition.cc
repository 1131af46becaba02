#include "parallel/partition.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "parallel/chain_cuts.h"

namespace trireme::parallel {
namespace {

using core::Graph;
using core::kNoNode;
using core::kNoValue;
using core::Node;
using core::NodeId;
using core::Role;
using core::ValueId;

// Costs are in bytes of memory traffic: rough ratios of CPUs and GPUs of the last ten years, the
// same on every machine, so that a job is cut alike wherever it runs.
constexpr double kFlopsPerByte = 10;     // of arithmetic that take as long as a byte of memory
constexpr double kLinkBytesPerByte = 8;  // of memory traffic while a byte goes to another rank

double cost_of(const Graph& graph, const Node& node) {
  const std::vector<core::ValueType> inputs = graph.input_types(node);
  const std::vector<core::ValueType> outputs = graph.output_types(node);
  const core::Cost cost = node.op->cost({inputs, outputs});
  return std::max(static_cast<double>(cost.flops) / kFlopsPerByte, static_cast<double>(cost.bytes));
}

class ChainBuilder {
 public:
  ChainBuilder(const Graph& forward, double copies, bool recomputed)
      : graph_(forward), copies_(copies), recomputed_(recomputed) {}

  Chain build() {
    count_nodes();
    add_costs();
    add_cuts();
    return std::move(chain_);
  }

 private:
  int nodes() const { return static_cast<int>(graph_.nodes().size()); }
  bool is_batch(ValueId id) const {
    return graph_.value(id).role == Role::kInput || views_of_inputs_[id];
  }

  void count_nodes() {
    views_of_inputs_.assign(graph_.values().size(), false);
    const std::vector<bool> leaves = leaves_its_block();
    for (const Node& node : graph_.nodes()) {
      const int view = node.op->view_of();
      if (view >= 0 && is_batch(node.inputs[view])) views_of_inputs_[node.outputs[0]] = true;
      int64_t parameters = 0, stash = 0;
      for (ValueId input : node.inputs)
        if (input != kNoValue && graph_.value(input).role == Role::kParameter)
          parameters += graph_.type(input).bytes();
      for (ValueId output : node.outputs)
        if (graph_.value(output).role == Role::kActivation && view < 0 &&
            (!recomputed_ || leaves[output]))
          stash += graph_.type(output).bytes();
      chain_.fixed_bytes.push_back(std::llround(static_cast<double>(parameters) * copies_));
      chain_.stash_bytes.push_back(stash);
    }
  }

  // By value: whether it is read outside of the block that makes it, or made outside of all.
  std::vector<bool> leaves_its_block() const {
    std::vector<bool> leaves(graph_.values().size(), false);
    for (const Node& node : graph_.nodes()) {
      if (node.block.empty())
        for (ValueId output : node.outputs) leaves[output] = true;
      for (ValueId input : node.inputs)
        if (input != kNoValue && graph_.value(input).producer != kNoNode &&
            graph_.node(graph_.value(input).producer).block != node.block)
          leaves[input] = true;
    }
    return leaves;
  }

  // Backward nodes have their forward node's chunk: number those apart for once.
  void add_costs() {
    Graph apart = graph_;
    for (NodeId id = 0; id < nodes(); ++id) apart.set_chunk(id, id);
    core::differentiate(apart, {});
    chain_.cost.resize(graph_.nodes().size());
    for (const Node& node : apart.nodes()) chain_.cost[node.chunk] += cost_of(apart, node);
  }

  // The last use of each node's outputs, as a node.
  std::vector<NodeId> last_uses() const {
    std::vector<NodeId> last(graph_.values().size(), kNoNode);
    for (NodeId id = 0; id < nodes(); ++id)
      for (ValueId input : graph_.node(id).inputs)
        if (input != kNoValue) last[input] = id;
    return last;
  }

  // A chunk of losses and metrics alone is none, nor is one of views.
  bool makes_sum(const Node& node) const {
    return std::ranges::any_of(node.outputs, [&](ValueId id) {
      return graph_.value(id).role == Role::kLoss || graph_.value(id).role == Role::kMetric;
    });
  }

  void add_cuts() {
    const std::vector<NodeId> last = last_uses();
    int tail = nodes(), head = 0;
    while (tail > 0 && makes_sum(graph_.node(tail - 1))) --tail;
    while (head < nodes() && views_of_inputs_[graph_.node(head).outputs[0]]) ++head;
    for (int at = head + 1; at < tail; ++at) {
      if (graph_.node(at).op->view_of() >= 0) continue;
      int64_t bytes = 0;
      for (ValueId id = 0; id < static_cast<ValueId>(last.size()); ++id)
        if (graph_.value(id).producer != kNoNode && graph_.value(id).producer < at &&
            last[id] >= at && !views_of_inputs_[id])
          bytes += 2 * graph_.type(id).bytes();
      const std::string &before = graph_.node(at - 1).block, &after = graph_.node(at).block;
      chain_.cuts.push_back({.position = at,
                             .bytes = bytes,
                             .cost = static_cast<double>(bytes) * kLinkBytesPerByte,
                             .border = before.empty() || before != after});
    }
  }

  const Graph& graph_;
  double copies_;
  bool recomputed_;
  std::vector<bool> views_of_inputs_;  // by value
  Chain chain_;
};

void check_layers(const Chain& chain, const PartitionOptions& options) {
  const int most = static_cast<int>(chain.cuts.size()) + 1;
  if (options.chunks() <= most) return;
  if (options.virtual_stages == 1)
    fail("parallel.pipeline ({}) must not exceed the layers that can be apart ({}); nearest: {}",
         options.stages, most, most);
  fail(
      "parallel.pipeline ({}) x parallel.virtual_stages ({}) must not exceed the layers that can "
      "be apart ({}); nearest: parallel.pipeline {}, or parallel.virtual_stages {}",
      options.stages, options.virtual_stages, most, std::max(1, most / options.virtual_stages),
      std::max(1, most / options.stages));
}

// With cuts between blocks alone, if those are enough: few, so that many limits can be tried.
Chain between_blocks(Chain chain, int chunks) {
  std::vector<CutPoint> borders;
  std::ranges::copy_if(chain.cuts, std::back_inserter(borders), &CutPoint::border);
  if (std::ssize(borders) >= chunks - 1) chain.cuts = std::move(borders);
  return chain;
}

// The smallest limit, to within 1 %, that some cut keeps.
int64_t tightest_limit(const Chain& chain, CutRules rules) {
  int64_t low = rules.memory_limit, high = 2 * low;
  const auto feasible = [&](int64_t limit) {
    rules.memory_limit = limit;
    return best_cuts(chain, rules).feasible;
  };
  while (!feasible(high)) low = std::exchange(high, 2 * high);
  while (high - low > high / 100) {
    const int64_t middle = low + (high - low) / 2;
    (feasible(middle) ? high : low) = middle;
  }
  return high;
}

std::vector<int> cut_by_cost(const Chain& chain, const PartitionOptions& options) {
  check_layers(chain, options);
  CutRules rules{.chunks = options.chunks(), .stashes = options.stashes};
  rules.memory_limit = options.memory_limit / options.virtual_stages;
  const auto positions_of = [](const Chain& of, const CutChoice& choice) {
    std::vector<int> positions;
    for (int cut : choice.cuts) positions.push_back(of.cuts[cut].position);
    return positions;
  };
  if (const CutChoice choice = best_cuts(chain, rules); choice.feasible)
    return positions_of(chain, choice);
  const Chain coarse = between_blocks(chain, rules.chunks);
  rules.memory_limit = tightest_limit(coarse, rules);
  return positions_of(coarse, best_cuts(coarse, rules));
}

// Whether blocks are computed again at the limit.
bool recomputes(const Graph& forward, const PartitionOptions& options) {
  using Recompute = PartitionOptions::Recompute;
  if (options.recompute != Recompute::kIfNeeded) return options.recompute == Recompute::kAll;
  if (options.memory_limit == 0 || !options.ends.empty()) return false;
  Chain kept = ChainBuilder(forward, options.copies, false).build();
  check_layers(kept, options);
  kept = between_blocks(std::move(kept), options.chunks());
  CutRules rules{.chunks = options.chunks(), .stashes = options.stashes};
  rules.memory_limit = options.memory_limit / options.virtual_stages;
  return !best_cuts(kept, rules).feasible;
}

bool belongs_to(const Node& node, const std::string& name) {
  return node.name == name || node.block == name || node.name.starts_with(name + "/");
}

bool is_view(const Graph& graph, NodeId id) { return graph.node(id).op->view_of() >= 0; }

// What can be named in parallel.stages, in order.
std::vector<std::string> end_names(const Graph& graph, const Chain& chain) {
  std::vector<std::string> names;
  for (const CutPoint& cut : chain.cuts) {
    NodeId last = cut.position - 1;
    while (is_view(graph, last)) --last;
    const Node& node = graph.node(last);
    const std::string& name = node.block.empty() ? node.name : node.block;
    if (names.empty() || names.back() != name) names.push_back(name);
  }
  return names;
}

// The position behind the last node of that name, and views of what it makes; 0 if there is none.
int behind(const Graph& graph, const std::string& name) {
  const auto nodes = static_cast<NodeId>(graph.nodes().size());
  for (NodeId id = nodes; id-- > 0;) {
    if (!belongs_to(graph.node(id), name)) continue;
    while (id + 1 < nodes && is_view(graph, id + 1)) ++id;
    return id + 1;
  }
  return 0;
}

std::vector<int> cut_by_names(const Graph& graph, const Chain& chain,
                              const PartitionOptions& options) {
  if (static_cast<int>(options.ends.size()) != options.chunks() - 1)
    fail(
        "parallel.stages expects {} of the network's layers or blocks, the last of each of {} "
        "stages{} but the last, got {}",
        options.chunks() - 1, options.stages,
        options.virtual_stages > 1 ? fmt::format(" x {} chunks", options.virtual_stages)
                                   : std::string(),
        options.ends.size());
  std::vector<int> positions;
  for (const std::string& name : options.ends) {
    const int position = behind(graph, name);
    if (std::ranges::find(chain.cuts, position, &CutPoint::position) == chain.cuts.end())
      fail("parallel.stages: no stage can end with '{}'; it may be one of: {}", name,
           fmt::join(end_names(graph, chain), ", "));
    if (!positions.empty() && position <= positions.back())
      fail("parallel.stages: '{}' must come behind the layers named before it; order: {}", name,
           fmt::join(end_names(graph, chain), ", "));
    positions.push_back(position);
  }
  return positions;
}

class Reporter {
 public:
  Reporter(const Graph& graph, const Chain& chain, const PartitionOptions& options)
      : graph_(graph), chain_(chain), options_(options) {}

  ChunkReport report(int chunk, int begin, int end) const {
    ChunkReport report{.first = graph_.node(begin).name, .last = graph_.node(end - 1).name};
    report.layers = end - begin;
    double total = 0;
    for (double cost : chain_.cost) total += cost;
    const int stashes = options_.stashes.empty() ? 1 : options_.stashes[chunk];
    for (int node = begin; node < end; ++node) {
      report.cost += chain_.cost[node] / total;
      report.parameters += parameters_of(graph_.node(node));
      report.memory_bytes += chain_.fixed_bytes[node] + stashes * chain_.stash_bytes[node];
    }
    const auto cut = std::ranges::find(chain_.cuts, end, &CutPoint::position);
    if (cut != chain_.cuts.end()) report.sent_bytes = cut->bytes / 2;
    return report;
  }

 private:
  int64_t parameters_of(const Node& node) const {
    int64_t elements = 0;
    for (ValueId input : node.inputs)
      if (input != kNoValue && graph_.value(input).role == Role::kParameter)
        elements += graph_.type(input).elements();
    return elements;
  }

  const Graph& graph_;
  const Chain& chain_;
  const PartitionOptions& options_;
};

std::string in_bytes(int64_t bytes) {
  if (bytes >= 10 << 20) return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
  return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
}

}  // namespace

Partition partition(const Graph& forward, const PartitionOptions& options) {
  const Chain chain = ChainBuilder(forward, options.copies, recomputes(forward, options)).build();
  std::vector<int> ends =
      options.ends.empty() ? cut_by_cost(chain, options) : cut_by_names(forward, chain, options);
  ends.push_back(static_cast<int>(forward.nodes().size()));
  Partition partition;
  for (int end : ends) {
    const auto chunk = static_cast<int>(partition.chunks.size());
    const auto begin = static_cast<int>(partition.chunk_of.size());
    partition.chunks.push_back(Reporter(forward, chain, options).report(chunk, begin, end));
    partition.chunk_of.resize(end, chunk);
  }
  return partition;
}

std::string Partition::explain(const PartitionOptions& options) const {
  std::string text =
      fmt::format("{} stages{}, cut {}\n", options.stages,
                  options.virtual_stages > 1 ? fmt::format(" x {} chunks", options.virtual_stages)
                                             : std::string(),
                  options.ends.empty() ? "by cost" : "as parallel.stages says");
  for (size_t c = 0; c < chunks.size(); ++c) {
    const ChunkReport& chunk = chunks[c];
    const std::string layers =
        chunk.layers == 1 ? chunk.first : fmt::format("{} ... {}", chunk.first, chunk.last);
    text += fmt::format("stage {:<3} {:<40} {:>12} parameters {:>5.1f} % of the work {:>10}",
                        c % options.stages, layers, chunk.parameters, 100 * chunk.cost,
                        in_bytes(chunk.memory_bytes));
    if (c + 1 < chunks.size()) text += fmt::format("  sends {}", in_bytes(chunk.sent_bytes));
    text += '\n';
  }
  return text;
}

void set_chunks(Graph& forward, const Partition& partition) {
  for (size_t id = 0; id < partition.chunk_of.size(); ++id)
    forward.set_chunk(static_cast<NodeId>(id), partition.chunk_of[id]);
}

void copy_chunks(const Graph& from, Graph& to) {
  int chunk = 0;
  for (NodeId id = 0; id < static_cast<NodeId>(to.nodes().size()); ++id) {
    const auto same = std::ranges::find(from.nodes(), to.node(id).name, &Node::name);
    if (same != from.nodes().end()) chunk = same->chunk;
    to.set_chunk(id, chunk);
  }
}

}  // namespace trireme::parallel
