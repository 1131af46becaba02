#include "parallel/value_mover.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/ops/exchange.h"
#include "core/ops/parts.h"

namespace trireme::parallel {

using core::GatherGradient;
using core::Sharding;
using core::ValueId;
using Kind = Sharding::Kind;

ValueMover::ValueMover(const core::Graph& forward, core::Graph& local,
                       const core::TensorPlace& place)
    : forward_(forward), local_(local), place_(place), held_(forward.values().size()) {}

void ValueMover::hold(ValueId id, const Sharding& sharding, ValueId local) {
  held_[id] = {sharding, local};
}

// Nothing flows back to an input, so it may be read in any way.
bool ValueMover::is_input(ValueId id) const {
  return forward_.value(id).role == core::Role::kInput;
}

const ValueMover::Copy* ValueMover::find_copy(ValueId id, const Sharding& sharding) const {
  const auto found = std::ranges::find_if(
      copies_, [&](const Copy& copy) { return copy.of == id && copy.sharding == sharding; });
  return found == copies_.end() ? nullptr : &*found;
}

// An all_reduce moves its operand about twice, the others once; backward moves what forward does,
// or its conjugate.
std::optional<int64_t> ValueMover::cost(ValueId id, const Sharding& to) const {
  const Sharding& from = sharding(id);
  if (from == to || find_copy(id, to) != nullptr) return 0;
  if (to.kind == Kind::kPartial) return std::nullopt;
  const int64_t elements = forward_.type(id).elements();
  if (is_input(id)) return to.kind == Kind::kShared ? 0 : elements;
  if (from.kind == Kind::kRows && to.kind == Kind::kShared) return 2 * elements;
  if (from.kind == Kind::kPartial && to.kind == Kind::kRows) return 2 * elements;
  int64_t passes = from.kind == Kind::kWhole ? 0 : from.kind == Kind::kPartial ? 2 : 1;
  if (to.kind == Kind::kShared) passes += 2;
  if (to.kind == Kind::kRows || to.is_split()) passes += 1;
  return passes * elements;
}

ValueId ValueMover::move(ValueId id, const Sharding& to) {
  if (sharding(id) == to || (is_input(id) && to.kind == Kind::kShared)) return local(id);
  if (const Copy* copy = find_copy(id, to)) return copy->local;
  const ValueId moved = make(id, to);
  copies_.push_back({id, to, moved});
  return moved;
}

ValueId ValueMover::make(ValueId id, const Sharding& to) {
  const Kind from = sharding(id).kind;
  const core::Shape& shape = forward_.type(id).shape;
  if (from == Kind::kPartial && to.kind == Kind::kRows)
    return add(id, "reduce_scatter", std::make_shared<core::ReduceScatter>(place_, rows_shape(id)),
               {local(id)});
  if (from == Kind::kRows && to.kind == Kind::kShared)
    return add(id, "all_gather",
               std::make_shared<core::AllGather>(place_, shape, GatherGradient::kSum), {local(id)});
  const ValueId whole = from == Kind::kWhole      ? local(id)
                        : to.kind != Kind::kWhole ? move(id, Sharding::whole())
                                                  : from_parts(id);
  switch (to.kind) {
    case Kind::kWhole:
      return whole;
    case Kind::kShared:
      return add(id, "share", std::make_shared<core::Share>(place_), {whole});
    case Kind::kRows:
    case Kind::kSplit:
      return to_part(id, whole, to);
    case Kind::kPartial:
      break;
  }
  fail("[shard_tensor] cannot make a partial sum of '{}'", forward_.value(id).name);
}

// The whole value of partial sums, rows or parts.
ValueId ValueMover::from_parts(ValueId id) {
  const Sharding& from = sharding(id);
  const ValueId own = local(id);
  const core::Shape& shape = forward_.type(id).shape;
  if (from.kind == Kind::kPartial)
    return add(id, "all_reduce", std::make_shared<core::AllReduce>(place_), {own});
  if (from.kind == Kind::kRows)
    return add(id, "whole", std::make_shared<core::AllGather>(place_, shape, GatherGradient::kPart),
               {own});
  core::PartsCut cut = core::parts_cut(shape, from, place_);
  const ValueId parts =
      add(id, "parts",
          std::make_shared<core::AllGather>(place_, core::Shape{place_.size, cut.local_elements()},
                                            GatherGradient::kNothing),
          {own});
  return add(id, "whole", std::make_shared<core::JoinParts>(std::move(cut), shape), {parts, own});
}

ValueId ValueMover::to_part(ValueId id, ValueId whole, const Sharding& to) {
  const core::ValueType& type = forward_.type(id);
  const core::Shape local = to.kind == Kind::kRows
                                ? rows_shape(id)
                                : core::local_type(type, to, place_.size, place_.rank).shape;
  return add(id, to.kind == Kind::kRows ? "rows" : "part",
             std::make_shared<core::TakePart>(core::parts_cut(type.shape, to, place_), local),
             {whole});
}

ValueId ValueMover::add(ValueId id, const char* suffix, core::OpPtr op,
                        std::vector<ValueId> inputs) {
  return local_.add1(fmt::format("{}/{}", forward_.value(id).name, suffix), std::move(op),
                     std::move(inputs));
}

core::Shape ValueMover::rows_shape(ValueId id) const {
  const core::ValueType& type = forward_.type(id);
  const int64_t rows = type.elements() / type.shape[-1];
  if (rows % place_.size != 0)
    fail(
        "the tensor axis ({} ranks) does not divide the {} rows (samples x positions) of '{}', "
        "which sequence parallelism cuts; nearest: {}",
        place_.size, rows, forward_.value(id).name,
        core::nearest_that_divide(rows, place_.size, "rows"));
  return core::local_type(type, Sharding::rows(), place_.size, place_.rank).shape;
}

}  // namespace trireme::parallel
