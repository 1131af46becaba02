#include "core/ops/embedding.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/graph/local_builder.h"
#include "core/ops/expect.h"

namespace trireme::core {
namespace {

void expect_table(std::string_view op, std::string_view what, const ValueType& table) {
  if (table.dtype != DType::kF32 || table.shape.rank() != 2 || table.elements() == 0)
    fail("[{}] expects {} f32(rows, H), not empty, got {}", op, what, table.str());
}

void expect_tokens(std::string_view op, const ValueType& tokens) {
  if (tokens.dtype != DType::kI32 || tokens.shape.rank() != 2)
    fail("[{}] expects tokens i32(B, S), got {}", op, tokens.str());
}

void expect_positions(std::string_view op, const ValueType& positions, int64_t samples) {
  if (positions.present())
    expect_type(op, "positions", positions, {{samples}, DType::kI32}, "one a sample");
}

void expect_dy(std::string_view op, const ValueType& dy) {
  if (dy.dtype != DType::kF32 || dy.shape.rank() != 3 || dy.shape[2] == 0)
    fail("[{}] expects dy f32(B, S, H), H at least 1, got {}", op, dy.str());
}

}  // namespace

std::vector<ValueType> Embedding::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 2, 4);
  const ValueType &tokens = inputs[0], &table = inputs[1];
  expect_tokens(type(), tokens);
  expect_table(type(), "table", table);
  const int64_t rows = table.shape[0], width = table.shape[1];
  if (options_.vocabulary != 0 &&
      (options_.first_token < 0 || options_.first_token + rows > options_.vocabulary))
    fail("[{}] expects a slice of the vocabulary of {}, got tokens {} to {}", type(),
         options_.vocabulary, options_.first_token, options_.first_token + rows - 1);
  const ValueType position_table = operand(inputs, 2), positions = operand(inputs, 3);
  expect_positions(type(), positions, tokens.shape[0]);
  if (position_table.present()) {
    expect_table(type(), "position_table", position_table);
    if (position_table.shape[1] != width || position_table.shape[0] < tokens.shape[1])
      fail("[{}] expects position_table (P, {}) with P at least {}, got {}", type(), width,
           tokens.shape[1], position_table.str());
  } else if (positions.present()) {
    fail("[{}] expects positions only beside a position_table", type());
  }
  return {{{tokens.shape[0], tokens.shape[1], width}, DType::kF32}};
}

void Embedding::gradient(GradientBuilder& builder) const {
  const ValueId dy = builder.output_gradient(0);
  if (builder.has_input(2) && builder.wants(2)) {
    const ValueId positions = builder.has_input(3) ? builder.input(3) : kNoValue;
    builder.emit("positions",
                 std::make_shared<PositionEmbeddingGrad>(builder.type(builder.input(2)).shape[0]),
                 {dy, positions}, {2});
  }
  if (builder.wants(1))
    builder.emit("table",
                 std::make_shared<EmbeddingGrad>(options_, builder.type(builder.input(1)).shape[0]),
                 {dy, builder.input(0)}, {1});
}

// The vocabulary is cut: every rank looks up its own tokens, and one of them the positions.
std::vector<ShardingRule> Embedding::shardings(const ShardingRequest& request) const {
  ShardingRule rule = whole_rule(request);
  if (request.hints[1].dim != 0) return {rule};
  rule.inputs[1] = Sharding::split(request.inputs[1].shape, request.hints[1]);
  if (rule.inputs.size() > 2) rule.inputs[2] = Sharding::partial();
  rule.outputs[0] = Sharding::partial();
  return {rule};
}

std::vector<ValueId> Embedding::emit_local(LocalBuilder& builder) const {
  const Sharding& table = builder.rule().inputs[1];
  if (!table.is_split()) return Op::emit_local(builder);
  const auto [size, rank, group] = builder.place();
  std::vector<ValueId> inputs = builder.inputs();
  if (builder.input(2) == kNoValue) inputs.resize(2);  // another rank adds the positions
  return builder.add("",
                     std::make_shared<Embedding>(EmbeddingOptions{
                         .first_token = part_ranges(table.parts, size, rank).front().first,
                         .vocabulary = builder.input_type(1).shape[0]}),
                     std::move(inputs));
}

Cost Embedding::cost(const NodeTypes& types) const {
  const ValueType& y = types.outputs[0];
  const bool with_positions = operand(types.inputs, 2).present();
  return {.flops = with_positions ? y.elements() : 0,
          .bytes = (with_positions ? 3 : 2) * y.bytes() + types.inputs[0].bytes()};
}

std::vector<ValueType> EmbeddingGrad::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 2, 2);
  expect_dy(type(), inputs[0]);
  const Shape& dy = inputs[0].shape;
  expect_type(type(), "tokens", inputs[1], {{dy[0], dy[1]}, DType::kI32}, "one a row of dy");
  return {{{rows_, dy[2]}, DType::kF32}};
}

// Only the rows that occur move where the table holds another gradient already; all are cleared
// where it does not.
Cost EmbeddingGrad::cost(const NodeTypes& types) const {
  const ValueType& dy = types.inputs[0];
  return {.flops = dy.elements(), .bytes = 3 * dy.bytes() + types.inputs[1].bytes()};
}

// CUDA: the numbers of dy's rows sorted by token, and where each token's begin and how many they
// are.
int64_t EmbeddingGrad::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  return device == DeviceKind::kCuda ? 3 * types.inputs[1].bytes() : 0;
}

std::vector<ValueType> PositionEmbeddingGrad::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 1, 2);
  expect_dy(type(), inputs[0]);
  const Shape& dy = inputs[0].shape;
  expect_positions(type(), operand(inputs, 1), dy[0]);
  if (dy[1] > rows_)
    fail("[{}] expects at most {} positions, got dy {}", type(), rows_, inputs[0].str());
  return {{{rows_, dy[2]}, DType::kF32}};
}

Cost PositionEmbeddingGrad::cost(const NodeTypes& types) const {
  const ValueType& dy = types.inputs[0];
  return {.flops = dy.elements(), .bytes = dy.bytes() + types.outputs[0].bytes()};
}

}  // namespace trireme::core
