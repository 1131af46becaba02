#include "parallel/shard_tensor.h"

#include <algorithm>
#include <map>
#include <optional>

#include "core/base/error.h"
#include "core/graph/local_builder.h"
#include "parallel/value_mover.h"

namespace trireme::parallel {
namespace {

using core::Graph;
using core::kNoValue;
using core::Node;
using core::Role;
using core::Sharding;
using core::ShardingRequest;
using core::ShardingRule;
using core::Slice;
using core::SplitHint;
using core::Value;
using core::ValueId;
using core::ValueType;
using Kind = Sharding::Kind;

// What an op is asked with, and the arrays that it looks at.
struct Question {
  std::vector<ValueType> inputs, outputs;
  std::vector<SplitHint> hints;
  std::vector<Sharding> shardings;

  ShardingRequest request() const { return {inputs, outputs, hints, shardings}; }
};

class TensorSharder {
 public:
  TensorSharder(const Graph& forward, const TensorOptions& options)
      : forward_(forward), options_(options), mover_(forward, local_, options.place) {}

  Graph run() {
    for (ValueId id : forward_.with_role(Role::kInput)) {
      const Value& value = forward_.value(id);
      mover_.hold(id, Sharding::whole(), local_.input(value.name, value.type));
    }
    for (const Node& node : forward_.nodes()) place_node(node);
    for (ValueId id : forward_.with_role(Role::kParameter))
      if (!parameters_.contains(id)) parameter(id, Sharding::whole());
    add_sums();
    return std::move(local_);
  }

 private:
  bool is_parameter(ValueId id) const { return forward_.value(id).role == Role::kParameter; }

  void place_node(const Node& node) {
    local_.set_block(node.block);
    try {
      emit(node);
    } catch (const InvalidArgument& error) {
      const std::string said = error.what();
      if (said.starts_with("layer '")) throw;
      throw InvalidArgument(fmt::format("layer '{}': {}", node.name, said), error.code());
    }
  }

  void emit(const Node& node) {
    const Question question = ask(node);
    const ShardingRequest request = question.request();
    const ShardingRule rule = choose(node, request);
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < node.inputs.size(); ++i)
      inputs.push_back(operand(node.inputs[i], rule.inputs[i]));
    core::LocalBuilder builder(local_, node, request, rule, options_.place, std::move(inputs));
    const std::vector<ValueId> outputs = node.op->emit_local(builder);
    for (size_t i = 0; i < outputs.size(); ++i)
      if (outputs[i] != kNoValue) mover_.hold(node.outputs[i], rule.outputs[i], outputs[i]);
  }

  Question ask(const Node& node) const {
    Question question{forward_.input_types(node), forward_.output_types(node), {}, {}};
    for (ValueId id : node.inputs) {
      const bool known = id != kNoValue && !is_parameter(id);
      question.hints.push_back(id == kNoValue ? SplitHint{} : forward_.value(id).split);
      question.shardings.push_back(known ? mover_.sharding(id) : Sharding::whole());
    }
    return question;
  }

  // The first of the cheapest ways that the parameters' hints allow.
  ShardingRule choose(const Node& node, const ShardingRequest& request) const {
    std::optional<ShardingRule> best;
    int64_t least = 0;
    for (ShardingRule& rule : node.op->shardings(request)) {
      const std::optional<int64_t> cost = cost_of(node, rule);
      if (!cost || (best && *cost >= least)) continue;
      least = *cost;
      best = std::move(rule);
    }
    if (!best)
      fail("[{}] cannot run with its operands cut as the tensor axis has them: {}", node.op->type(),
           describe(node, request));
    return *best;
  }

  std::optional<int64_t> cost_of(const Node& node, const ShardingRule& rule) const {
    int64_t total = 0;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      if (id == kNoValue) continue;
      if (is_parameter(id)) {
        if (!allowed(forward_.value(id), rule.inputs[i])) return std::nullopt;
        continue;
      }
      if (rule.inputs[i].kind == Kind::kRows && !by_rows(id)) return std::nullopt;
      const std::optional<int64_t> cost = mover_.cost(id, rule.inputs[i]);
      if (!cost) return std::nullopt;
      total += *cost;
    }
    return total;
  }

  // Sequences only: rows of a batch without positions are the data axis's to cut.
  bool by_rows(ValueId id) const {
    return options_.sequence && forward_.type(id).shape.rank() >= 3;
  }

  // A hint is an order. Without one, a vector goes with the matrix beside it.
  static bool allowed(const Value& parameter, const Sharding& sharding) {
    if (parameter.split.dim >= 0)
      return sharding == Sharding::split(parameter.type.shape, parameter.split);
    return !sharding.is_split() || parameter.type.shape.rank() == 1;
  }

  std::string describe(const Node& node, const ShardingRequest& request) const {
    std::string text;
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (const ValueId id = node.inputs[i]; id != kNoValue)
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", forward_.value(id).name,
                            is_parameter(id)
                                ? Sharding::split(request.inputs[i].shape, request.hints[i]).str()
                                : request.shardings[i].str());
    return text;
  }

  ValueId operand(ValueId id, const Sharding& sharding) {
    if (id == kNoValue) return kNoValue;
    return is_parameter(id) ? parameter(id, sharding) : mover_.move(id, sharding);
  }

  ValueId parameter(ValueId id, const Sharding& sharding) {
    const Value& value = forward_.value(id);
    const auto found = parameters_.find(id);
    if (found != parameters_.end()) {
      if (!(found->second.sharding == sharding))
        fail("the layers that share '{}' cut it differently: {} and {}", value.name,
             found->second.sharding.str(), sharding.str());
      return found->second.local;
    }
    const ValueId local = make_parameter(value, sharding);
    parameters_.emplace(id, Parameter{sharding, local});
    return local;
  }

  ValueId make_parameter(const Value& value, const Sharding& sharding) {
    const auto& [size, rank, group] = options_.place;
    if (sharding.kind == Kind::kPartial && rank != 0) return kNoValue;
    if (sharding.is_split()) expect_shares(value, sharding);
    const ValueType type = core::local_type(value.type, sharding, size, rank);
    const ValueId local = local_.parameter(value.name, type, value.init);
    Slice slice = value.slice;
    if (sharding.is_split())
      slice = {value.type.shape, sharding.dim, core::part_ranges(sharding.parts, size, rank)};
    local_.set_slice(local, std::move(slice), sharding.kind == Kind::kShared && size > 1);
    return local;
  }

  void expect_shares(const Value& value, const Sharding& sharding) const {
    const int size = options_.place.size;
    for (int64_t part : sharding.parts)
      if (value.split.unequal ? part < size : part % size != 0)
        fail("the tensor axis ({} ranks) does not divide the {} {} of '{}'; nearest: {}", size,
             part, what(sharding), value.name,
             core::nearest_that_divide(part, size, what(sharding)));
  }

  static std::string_view what(const Sharding& sharding) {
    return sharding.dim == 0 ? "outputs" : "inputs";
  }

  void add_sums() {
    for (const core::NamedSum& loss : forward_.losses())
      local_.add_loss(loss.name, mover_.local(loss.value), loss.weight, loss.nominal_per_sample);
    for (const core::NamedSum& metric : forward_.metrics())
      local_.add_metric(metric.name, mover_.local(metric.value));
  }

  struct Parameter {
    Sharding sharding;
    ValueId local;  // kNoValue where another rank has it
  };

  const Graph& forward_;
  const TensorOptions& options_;
  Graph local_;
  ValueMover mover_;
  std::map<ValueId, Parameter> parameters_;
};

}  // namespace

Graph shard_tensor(const Graph& forward, const TensorOptions& options) {
  if (options.place.size == 1) return forward;
  return TensorSharder(forward, options).run();
}

}  // namespace trireme::parallel
