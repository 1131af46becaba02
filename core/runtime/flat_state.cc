#include "core/runtime/flat_state.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/runtime/state_size.h"

namespace trireme::core {

std::vector<StateBuffer> kept_buffers(const OptimizerOptions& optimizer, bool averaged) {
  std::vector<StateBuffer> kept;
  if (moment_count(optimizer) > 0) kept.push_back(StateBuffer::kMoment1);
  if (moment_count(optimizer) > 1) kept.push_back(StateBuffer::kMoment2);
  if (averaged) kept.push_back(StateBuffer::kAverage);
  return kept;
}

bool StateSharding::splits(StateBuffer buffer) const {
  switch (buffer) {
    case StateBuffer::kParameters:
      return zero >= 3;
    case StateBuffer::kGradients:
      return zero >= 2;
    default:
      return zero >= 1;
  }
}

int64_t state_elements(const FlatLayout& layout, const StateSharding& sharding, StateBuffer which) {
  const int64_t frozen = layout.total_elements - layout.trained_elements;
  const int64_t owned = sharding.map.elements();
  switch (which) {
    case StateBuffer::kParameters:
      return sharding.zero >= 3 ? owned + frozen : layout.total_elements;
    case StateBuffer::kGradients:
      return layout.gradient_elements;
    default:
      return sharding.zero >= 1 ? owned : layout.trained_elements;
  }
}

FlatState::FlatState(Device& device, const FlatLayout& layout, const StateSharding& sharding,
                     std::span<const StateBuffer> kept)
    : device_(device), layout_(layout), sharding_(sharding) {
  const auto add = [&](StateBuffer which) {
    buffers_.emplace(
        which, Buffer(device, state_elements(layout, sharding, which) * size_of(DType::kF32)));
  };
  add(StateBuffer::kParameters);
  add(StateBuffer::kGradients);
  for (StateBuffer which : kept) add(which);
}

float* FlatState::data(StateBuffer which) const {
  const auto found = buffers_.find(which);
  return found == buffers_.end() ? nullptr : static_cast<float*>(found->second.data());
}

int64_t FlatState::bytes() const {
  int64_t total = 0;
  for (const auto& [which, buffer] : buffers_) total += buffer.bytes();
  return total;
}

std::vector<ShardMap::Piece> FlatState::held(const StateRange& range) const {
  const ElementRange elements{range.first, range.first + range.elements};
  if (range.buffer == StateBuffer::kGradients && sharding_.zero == 1) {
    // The whole buffer is here, but of the slices of others it holds this rank's part alone.
    std::vector<ShardMap::Piece> pieces = sharding_.map.pieces(elements);
    for (ShardMap::Piece& piece : pieces) piece.shift = 0;
    return pieces;
  }
  if (!sharding_.splits(range.buffer)) return {{elements, 0}};
  if (elements.begin >= layout_.trained_elements)  // frozen, behind the slices
    return {{elements, sharding_.map.elements() - layout_.trained_elements}};
  return sharding_.map.pieces(elements);
}

void FlatState::read(const StateRange& range, float* out) const {
  const Stream compute = device_.stream(StreamRole::kCompute);
  const float* from = data(range.buffer);
  ensure(from != nullptr, "the run keeps what is read");
  int64_t copied = 0;
  for (const ShardMap::Piece& piece : held(range)) {
    device_.copy_out(out + copied, from + piece.range.begin + piece.shift,
                     piece.range.elements() * size_of(DType::kF32), compute);
    copied += piece.range.elements();
  }
  ensure(copied == range.elements, "a rank reads what it holds");
  device_.synchronize(compute);
}

void FlatState::write(const StateRange& range, std::span<const float> values) {
  ensure(range.elements == static_cast<int64_t>(values.size()), "a value for each element");
  float* to = data(range.buffer);
  ensure(to != nullptr, "the run keeps what is written");
  const Stream compute = device_.stream(StreamRole::kCompute);
  for (const ShardMap::Piece& piece : held(range))
    device_.copy_in(to + piece.range.begin + piece.shift,
                    values.data() + (piece.range.begin - range.first),
                    piece.range.elements() * size_of(DType::kF32), compute);
  device_.synchronize(compute);
}

}  // namespace trireme::core
