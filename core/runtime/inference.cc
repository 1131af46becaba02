#include "core/runtime/inference.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/program/build.h"

namespace trireme::core {
namespace {

class OneBatch : public InputSource {
 public:
  explicit OneBatch(std::span<const void* const> inputs) : inputs_(inputs) {}
  std::span<const void* const> next() override { return inputs_; }

 private:
  std::span<const void* const> inputs_;
};

}  // namespace

class Inference::NoTransport : public Transport {
 public:
  void enqueue(const CollectiveCall& call, Stream) override {
    fail("[inference] runs on one device, got the collective '{}'", call.what);
  }
};

Inference::Inference(Device& device, std::vector<Graph> graphs)
    : device_(device),
      layout_(make_flat_layout(graphs.back(), 0, 1)),
      transport_(std::make_unique<NoTransport>()),
      prepared_(graphs.size()) {
  for (Graph& graph : graphs)
    programs_.push_back(
        build_program(std::move(graph), layout_, {.name = "inference", .device = device.kind()}));
  check_states();
  parameters_ = Buffer(device, layout_.total_elements * size_of(DType::kF32));
  state_ = Buffer(device, largest(&Program::state_bytes));
  slots_ = Buffer(device, largest(&Program::slot_bytes));
  scratch_ = Buffer(device, largest(&Program::scratch_bytes));
  control_ = Buffer(device, largest(&Program::control_bytes));
  ArenaBases bases{};
  bases[static_cast<size_t>(Arena::kParameters)] = parameters_.data();
  bases[static_cast<size_t>(Arena::kState)] = state_.data();
  bases[static_cast<size_t>(Arena::kSlot)] = slots_.data();
  bases[static_cast<size_t>(Arena::kScratch)] = scratch_.data();
  bases[static_cast<size_t>(Arena::kControl)] = control_.data();
  for (const Program& program : programs_)
    executors_.push_back(std::make_unique<Executor>(program, device, *transport_, 0, bases, nullptr,
                                                    0, UpdateTools{}));
}

Inference::~Inference() = default;

void Inference::check_states() const {
  const Program& last = programs_.back();
  for (const Program& program : programs_)
    for (size_t i = 0; i < program.states.size(); ++i) {
      const Value& mine = program.graph.value(program.states[i].value);
      const bool same = i < last.states.size() &&
                        last.states[i].offset == program.states[i].offset &&
                        last.graph.value(last.states[i].value).name == mine.name &&
                        last.graph.value(last.states[i].value).type == mine.type;
      if (!same)
        fail("[inference] expects graphs with the same states, got '{}' in one of them", mine.name);
    }
}

int64_t Inference::largest(int64_t Program::*bytes) const {
  int64_t most = 0;
  for (const Program& program : programs_) most = std::max(most, program.*bytes);
  return most;
}

void Inference::set_parameter(const std::string& name, std::span<const float> values) {
  const FlatParameter& parameter = layout_.find(name);
  if (static_cast<int64_t>(values.size()) != parameter.elements)
    fail("[parameters] '{}' has {} elements, got {}", name, parameter.elements, values.size());
  const Stream compute = device_.stream(StreamRole::kCompute);
  device_.copy_in(static_cast<float*>(parameters_.data()) + parameter.offset, values.data(),
                  parameter.elements * size_of(DType::kF32), compute);
  device_.synchronize(compute);
  std::fill(prepared_.begin(), prepared_.end(), false);
}

void Inference::run(size_t i, std::span<const void* const> inputs) {
  if (!prepared_[i]) executors_[i]->prepare();
  prepared_[i] = true;
  OneBatch batch(inputs);
  executors_[i]->run(batch);
  device_.synchronize(device_.stream(StreamRole::kCompute));
}

void Inference::read(const std::string& name, std::span<float> out) const {
  const Program& last = programs_.back();
  const ValueId id = last.graph.find(name);
  const auto found = std::ranges::find(last.states, id, &StatePlace::value);
  if (found == last.states.end()) fail("[inference] has no state '{}'", name);
  const int64_t bytes = last.graph.type(id).bytes();
  ensure(static_cast<int64_t>(out.size_bytes()) == bytes, "room for the whole value");
  const Stream compute = device_.stream(StreamRole::kCompute);
  device_.copy_out(out.data(), static_cast<const std::byte*>(state_.data()) + found->offset, bytes,
                   compute);
  device_.synchronize(compute);
}

int64_t Inference::arena_bytes() const {
  int64_t total = 0;
  for (const Buffer* buffer : {&parameters_, &state_, &slots_, &scratch_, &control_})
    total += buffer->bytes();
  for (const auto& executor : executors_) total += executor->bytes();
  return total;
}

}  // namespace trireme::core
