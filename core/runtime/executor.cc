#include "core/runtime/executor.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/ops/add.h"
#include "core/ops/scale.h"
#include "core/optim/exact_sum.h"

namespace trireme::core {
namespace {

bool adds(Adds when, const ScheduleEntry& entry) {
  switch (when) {
    case Adds::kNever:
      return false;
    case Adds::kWithinLeaf:
      return !entry.first_of_leaf;
    case Adds::kWithinStep:
      return !entry.first;
    case Adds::kAlways:
      break;
  }
  return true;
}

}  // namespace

Executor::Executor(const Program& program, Device& device, Transport& transport, uint64_t seed,
                   const ArenaBases& bases, StepState* step, int64_t sample_offset,
                   UpdateTools tools)
    : program_(program),
      device_(device),
      transport_(transport),
      bases_(bases),
      step_(step),
      sample_offset_(sample_offset),
      tools_(tools),
      prepared_(device, program.prepared_bytes),
      input_sets_(program.input_sets) {
  bases_[static_cast<size_t>(Arena::kPrepared)] = prepared_.data();
  const bool on_gpu = device.kind() == DeviceKind::kCuda;
  if (on_gpu) input_sets_ = std::max(input_sets_, 2);  // one is copied while the other is read
  inputs_.resize(input_sets_ * program.inputs.size());
  if (on_gpu || input_sets_ > 1)
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const size_t input = i % program.inputs.size();
      const int64_t bytes = program.graph.type(program.inputs[input]).bytes();
      device_inputs_.emplace_back(device, program.input_used[input] ? bytes : 0);
    }
  for (int set = 0; set < input_sets_; ++set) read_.push_back(device.make_mark());
  if (!program.transfers.empty()) sent_.resize(program.slots);
  for (auto& marks : sent_)
    for (std::unique_ptr<Mark>& mark : marks) mark = device.make_mark();
  make_kernels(seed);
}

Executor::~Executor() = default;

int64_t Executor::bytes() const {
  int64_t total = prepared_.bytes();
  for (const Buffer& input : device_inputs_) total += input.bytes();
  return total;
}

void Executor::make_kernels(uint64_t seed) {
  kernels_.resize(program_.graph.nodes().size());
  size_t most_operands = 0;
  for (size_t id = 0; id < kernels_.size(); ++id) {
    const Node& node = program_.graph.node(static_cast<NodeId>(id));
    most_operands = std::max(most_operands, node.inputs.size() + node.outputs.size());
    if (node.op->view_of() >= 0 || node.op->exchange() != nullptr) continue;
    const std::vector<ValueType> inputs = program_.graph.input_types(node);
    const std::vector<ValueType> outputs = program_.graph.output_types(node);
    KernelContext context = device_.kernel_context();
    context.seed = seed;
    kernels_[id] = make_kernel(*node.op, {inputs, outputs}, context);
  }
  for (const PlannedAccumulation& planned : program_.accumulations)
    accumulations_.push_back(make_accumulation(planned.elements));
  for (const PlannedAddition& planned : program_.additions)
    additions_.push_back(make_flat_kernel(Add(), 2, planned.elements));
  for (const PlannedCarry& planned : program_.carries)
    carries_.push_back(make_accumulation(planned.elements));
  started_.resize(program_.collectives.size());
  for (const Segment& segment : program_.segments)
    for (const Instruction& instruction : segment.instructions)
      if (instruction.kind == InstructionKind::kWait)
        started_[instruction.index] = device_.make_mark();
  operands_.resize(most_operands);
}

Executor::AccumulationKernels Executor::make_accumulation(int64_t elements) const {
  return {make_flat_kernel(Scale(1), 1, elements), make_flat_kernel(Add(), 2, elements)};
}

std::unique_ptr<Kernel> Executor::make_flat_kernel(const Op& op, size_t inputs,
                                                   int64_t elements) const {
  const std::vector<ValueType> values(inputs, {{elements}, DType::kF32});
  return make_kernel(op, {values, std::span(values).first(1)}, device_.kernel_context());
}

std::unique_ptr<Kernel> Executor::make_kernel(const Op& op, const NodeTypes& types,
                                              const KernelContext& context) const {
  return device_.kind() == DeviceKind::kCpu ? op.cpu_kernel(types, context)
                                            : op.cuda_kernel(types, context);
}

void* Executor::address(Location location) const {
  if (location.arena == Arena::kNone) return nullptr;
  // Kernels never write to inputs.
  if (location.arena == Arena::kInputs)
    return const_cast<void*>(inputs_[first_input_ + location.offset]);
  const int64_t slot = location.arena == Arena::kSlot ? slot_offset_ : 0;
  return static_cast<std::byte*>(bases_[static_cast<size_t>(location.arena)]) + slot +
         location.offset;
}

void Executor::fetch(InputSource& source, int micro_batch) {
  const std::span<const void* const> batch = source.next();
  ensure(batch.size() == program_.inputs.size(),
         "a batch has one array for each input of the program");
  const int set = micro_batch % input_sets_;
  const size_t first = set * batch.size();
  if (device_inputs_.empty()) {
    std::ranges::copy(batch, inputs_.begin() + static_cast<int64_t>(first));
    return;
  }
  const Stream copy = device_.stream(StreamRole::kCopy);
  read_[set]->hold(copy);  // by what reads this set; the other may go on
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!program_.input_used[i]) continue;
    Buffer& buffer = device_inputs_[first + i];
    device_.copy_in(buffer.data(), batch[i], buffer.bytes(), copy);
    inputs_[first + i] = buffer.data();
  }
  device_.order(copy, device_.stream(StreamRole::kCompute));
  device_.synchronize(copy);  // the source may reuse its memory
}

void Executor::prepare() {
  if (program_.prepare.instructions.empty()) return;
  place_.store(static_cast<int64_t>(program_.schedule.size()) << 32, std::memory_order_relaxed);
  run_segment(program_.prepare, {.first = true});
}

void Executor::run(InputSource& source) {
  int fetched = 0;
  for (size_t i = 0; i < program_.schedule.size(); ++i) {
    const ScheduleEntry& entry = program_.schedule[i];
    const Segment& segment = program_.segments[entry.segment];
    place_.store(static_cast<int64_t>(i) << 32, std::memory_order_relaxed);
    if (segment.reads_inputs)
      while (fetched <= entry.micro_batch) fetch(source, fetched++);
    run_segment(segment, entry);
    if (segment.reads_inputs)
      read_[entry.micro_batch % input_sets_]->record(device_.stream(StreamRole::kCompute));
  }
}

void Executor::run_segment(const Segment& segment, const ScheduleEntry& entry) {
  const int64_t place = place_.load(std::memory_order_relaxed) >> 32 << 32;
  slot_offset_ = entry.slot_offset;
  first_input_ = (entry.micro_batch % input_sets_) * program_.inputs.size();
  if (entry.opens_slot && !sent_.empty()) {
    place_.store(place | kOpeningSlot, std::memory_order_relaxed);
    open_slot(entry.slot);
  }
  for (size_t pc = 0; pc < segment.instructions.size(); ++pc) {
    const Instruction& instruction = segment.instructions[pc];
    if (!runs(instruction, entry)) continue;
    place_.store(place | static_cast<int64_t>(pc + kRunning), std::memory_order_relaxed);
    run_instruction(segment, instruction, entry);
  }
}

void Executor::run_instruction(const Segment& segment, const Instruction& instruction,
                               const ScheduleEntry& entry) {
  const int index = instruction.index;
  switch (instruction.kind) {
    case InstructionKind::kKernel:
    case InstructionKind::kPrepare:
      return run_kernel(segment, instruction, entry);
    case InstructionKind::kExchange:
      return run_exchange(segment, instruction);
    case InstructionKind::kTransfer:
      return run_transfer(index, instruction.stream, entry.slot);
    case InstructionKind::kCollective:
      return run_collective(index, instruction.stream);
    case InstructionKind::kWait:
      return wait_for_collective(index, instruction.stream);
    case InstructionKind::kAccumulate:
      return accumulate(index, entry.first);
    case InstructionKind::kAdd:
      return add(index);
    case InstructionKind::kCarry:
      return carry(index, entry.leaf);
    case InstructionKind::kAddExactly:
      return add_exactly(index, entry.first);
    case InstructionKind::kRound:
      return round(index);
    case InstructionKind::kJoin:
      return join(instruction.stream);
    case InstructionKind::kZero:
      return zero(index);
    case InstructionKind::kNorm:
    case InstructionKind::kControl:
    case InstructionKind::kUpdate:
      return run_update(instruction.kind);
  }
}

// Work put on the stream from now on starts after the compute stream's so far.
void Executor::submit(CollectiveCall call, const char* what, StreamRole role) {
  const Stream stream = device_.stream(role);
  device_.order(device_.stream(StreamRole::kCompute), stream);
  call.what = what;
  transport_.enqueue(call, stream);
  if (const CpuStream* comm = stream.cpu()) {
    RecentCall& recent = recent_[static_cast<size_t>(role)][comm->submitted % kRecentCalls];
    recent.kind.store(call.kind, std::memory_order_relaxed);
    recent.what.store(what, std::memory_order_relaxed);
  }
}

void Executor::run_exchange(const Segment& segment, const Instruction& instruction) {
  const Node& node = program_.graph.node(instruction.index);
  const Location* const operands = &segment.operands[instruction.first_operand];
  CollectiveCall call = exchange_call(program_.graph, node);
  call.send = address(operands[0]);
  call.recv = address(operands[instruction.inputs]);
  submit(call, call.what, instruction.stream);
  join(instruction.stream);
}

void Executor::run_transfer(int index, StreamRole role, int slot) {
  const Transfer& transfer = program_.transfers[index];
  const Value& value = program_.graph.value(transfer.value);
  void* const data = address(program_.transfer_locations[index]);
  submit({.kind = transfer.receive ? CollectiveKind::kRecv : CollectiveKind::kSend,
          .dtype = value.type.dtype,
          .group = transfer.group,
          .peer = transfer.peer,
          .send = data,
          .recv = data,
          .count = value.type.elements()},
         transfer.what.c_str(), role);
  if (!transfer.receive) sent_[slot][transfer.down ? 0 : 1]->record(device_.stream(role));
}

void Executor::run_collective(int index, StreamRole role) {
  const PlannedCollective& planned = program_.collectives[index];
  void* const received = address(planned.location);
  const bool in_place = planned.send.arena == Arena::kNone;
  submit({planned.kind, planned.op, planned.dtype, planned.group, 0,
          in_place ? received : address(planned.send), received, planned.count},
         planned.what.c_str(), role);
  if (started_[index]) started_[index]->record(device_.stream(role));
}

void Executor::wait_for_collective(int index, StreamRole role) {
  joined_.store(role, std::memory_order_relaxed);
  started_[index]->hold(device_.stream(StreamRole::kCompute));
}

void Executor::accumulate(int index, bool first) {
  const PlannedAccumulation& planned = program_.accumulations[index];
  const AccumulationKernels& kernels = accumulations_[index];
  if (first)
    copy(*kernels.copy, planned.from, planned.to);
  else
    run_flat(*kernels.add, {planned.from, planned.to}, planned.to);
}

void Executor::add(int index) {
  const PlannedAddition& planned = program_.additions[index];
  run_flat(*additions_[index], {planned.a, planned.b}, planned.to);
}

void Executor::run_flat(Kernel& kernel, std::initializer_list<Location> from, Location to) const {
  std::array<const void*, 2> inputs{};
  std::ranges::transform(from, inputs.begin(), [this](Location at) { return address(at); });
  void* const output = address(to);
  kernel.run({.inputs = inputs.data(),
              .outputs = &output,
              .step = step_,
              .stream = device_.stream(StreamRole::kCompute)});
}

void Executor::copy(Kernel& kernel, Location from, Location to) const {
  if (address(from) != address(to)) run_flat(kernel, {from}, to);
}

void Executor::carry(int index, int leaf) {
  const PlannedCarry& planned = program_.carries[index];
  const AccumulationKernels& kernels = carries_[index];
  size_t level = 0;
  for (; level < planned.levels.size() && (leaf >> level & 1) != 0; ++level)
    run_flat(*kernels.add, {planned.levels[level], planned.value}, planned.value);
  const bool last = level == planned.levels.size();
  copy(*kernels.copy, planned.value, last ? planned.total : planned.levels[level]);
}

// On the CPU alone, whose compute stream is this thread: plans of other devices have no exact sums.
void Executor::add_exactly(int index, bool first) {
  const PlannedExactSum& planned = program_.exact_sums[index];
  const auto* values = static_cast<const double*>(address(planned.values));
  auto* sums = static_cast<int64_t*>(address(planned.sums));
  if (first) std::fill_n(sums, planned.count * kExactLimbs, 0);
  for (int64_t i = 0; i < planned.count; ++i) core::add_exactly(values[i], sums + i * kExactLimbs);
}

void Executor::round(int index) {
  const PlannedExactSum& planned = program_.exact_sums[index];
  auto* values = static_cast<double*>(address(planned.values));
  const auto* sums = static_cast<const int64_t*>(address(planned.sums));
  for (int64_t i = 0; i < planned.count; ++i) values[i] = exact_value(sums + i * kExactLimbs);
}

void Executor::zero(int index) {
  const ZeroedRange& range = program_.zeroed[index];
  device_.fill_zero(address(range.location), range.bytes, device_.stream(StreamRole::kCompute));
}

void Executor::run_update(InstructionKind kind) {
  const Stream compute = device_.stream(StreamRole::kCompute);
  if (kind == InstructionKind::kNorm) {
    if (tools_.exact_norm)
      tools_.exact_norm->run(flat(Arena::kGradients), tools_.exact_sum);
    else
      tools_.norm->run(flat(Arena::kGradients), tools_.sum_of_squares, false, compute);
  } else if (kind == InstructionKind::kControl) {
    tools_.control->run(static_cast<const double*>(bases_[static_cast<size_t>(Arena::kControl)]),
                        tools_.sum_of_squares, step_, compute);
  } else {
    tools_.update->run({flat(Arena::kParameters), flat(Arena::kGradients), tools_.moment1,
                        tools_.moment2, step_, compute});
    if (tools_.average)
      tools_.average->run(flat(Arena::kParameters), tools_.averages, step_, compute);
  }
}

void Executor::join(StreamRole role) {
  joined_.store(role, std::memory_order_relaxed);
  device_.order(device_.stream(role), device_.stream(StreamRole::kCompute));
}

// What the slot held before has left it. Later sends may wait for receives that other ranks come to
// only once this one goes on.
void Executor::open_slot(int slot) {
  for (const bool down : {true, false}) {
    joined_.store(down ? StreamRole::kSendDown : StreamRole::kSendUp, std::memory_order_relaxed);
    sent_[slot][down ? 0 : 1]->hold(device_.stream(StreamRole::kCompute));
  }
}

void Executor::run_kernel(const Segment& segment, const Instruction& instruction,
                          const ScheduleEntry& entry) {
  const int count = instruction.inputs + instruction.outputs;
  for (int i = 0; i < count; ++i)
    operands_[i] = address(segment.operands[instruction.first_operand + i]);
  const KernelArgs args{.inputs = operands_.data(),
                        .outputs = operands_.data() + instruction.inputs,
                        .workspace = address(instruction.workspace),
                        .prepared = address(instruction.prepared),
                        .step = step_,
                        .sample_offset = sample_offset_ + program_.first_row(entry.micro_batch),
                        .accumulate = adds(instruction.adds, entry),
                        .stream = device_.stream(StreamRole::kCompute)};
  Kernel& kernel = *kernels_[instruction.index];
  if (instruction.kind == InstructionKind::kPrepare)
    kernel.prepare(args);
  else
    kernel.run(args);
}

// Calls of a stream complete in order: the one behind the last that completed holds things up.
// Which one that was is forgotten when the stream fails.
std::string Executor::pending() const {
  const std::string unknown = "the other ranks";
  const StreamRole role = joined_.load(std::memory_order_relaxed);
  const CpuStream* stream = device_.stream(role).cpu();
  if (!stream) return unknown;
  const int64_t completed = stream->completed.load();
  if (completed == CpuStream::kFailed) return unknown;
  const RecentCall& recent = recent_[static_cast<size_t>(role)][(completed + 1) % kRecentCalls];
  const char* const what = recent.what.load();
  return what ? fmt::format("{} of {}", name_of(recent.kind), what) : unknown;
}

std::string Executor::where() const {
  const int64_t place = place_.load(std::memory_order_relaxed);
  const auto at = static_cast<size_t>(place >> 32);
  if (at == program_.schedule.size()) return fmt::format("{}: prepare", program_.name);
  const ScheduleEntry& entry = program_.schedule[at];
  const Segment& segment = program_.segments[entry.segment];
  const int at_entry = static_cast<int>(place & 0xffffffff), pc = at_entry - kRunning;
  if (at_entry == kFetching)
    return fmt::format("{}: data.next of micro-batch {}", program_.name, entry.micro_batch);
  if (at_entry == kOpeningSlot || segment.instructions[pc].kind == InstructionKind::kJoin)
    return fmt::format("{}: {}", program_.name, pending());
  return fmt::format("{}: {} of micro-batch {}, {}", program_.name, segment.name, entry.micro_batch,
                     describe(program_, segment, pc));
}

}  // namespace trireme::core
