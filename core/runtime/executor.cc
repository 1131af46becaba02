#include "core/runtime/executor.h"

#include <algorithm>

#include "core/base/error.h"

namespace trireme::core {

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
      inputs_(program.inputs.size()) {
  bases_[static_cast<size_t>(Arena::kPrepared)] = prepared_.data();
  if (device.kind() == DeviceKind::kCuda)
    for (int set = 0; set < 2; ++set)
      for (ValueId id : program.inputs)
        device_inputs_.emplace_back(device, program.graph.type(id).bytes());
  make_kernels(seed);
}

Executor::~Executor() = default;

void Executor::make_kernels(uint64_t seed) {
  kernels_.resize(program_.graph.nodes().size());
  size_t most_operands = 0;
  for (size_t id = 0; id < kernels_.size(); ++id) {
    const Node& node = program_.graph.node(static_cast<NodeId>(id));
    most_operands = std::max(most_operands, node.inputs.size() + node.outputs.size());
    if (node.op->view_of() >= 0) continue;
    const std::vector<ValueType> inputs = program_.graph.input_types(node);
    const std::vector<ValueType> outputs = program_.graph.output_types(node);
    KernelContext context = device_.kernel_context();
    context.seed = seed;
    context.node_name = node.name;
    const NodeTypes types{inputs, outputs};
    kernels_[id] = device_.kind() == DeviceKind::kCpu ? node.op->cpu_kernel(types, context)
                                                      : node.op->cuda_kernel(types, context);
  }
  operands_.resize(most_operands);
}

void* Executor::address(Location location) const {
  if (location.arena == Arena::kNone) return nullptr;
  // Kernels never write to inputs.
  if (location.arena == Arena::kInputs) return const_cast<void*>(inputs_[location.offset]);
  return static_cast<std::byte*>(bases_[static_cast<size_t>(location.arena)]) + location.offset;
}

void Executor::fetch(InputSource& source, int micro_batch) {
  const std::span<const void* const> batch = source.next();
  ensure(batch.size() == inputs_.size(), "a batch has one array for each input of the program");
  if (device_inputs_.empty()) {
    std::ranges::copy(batch, inputs_.begin());
    return;
  }
  const Stream compute = device_.stream(StreamRole::kCompute);
  const Stream copy = device_.stream(StreamRole::kCopy);
  device_.order(compute, copy);  // the buffers may still be read
  const size_t first = (micro_batch % 2) * inputs_.size();
  for (size_t i = 0; i < inputs_.size(); ++i) {
    Buffer& buffer = device_inputs_[first + i];
    device_.copy_in(buffer.data(), batch[i], buffer.bytes(), copy);
    inputs_[i] = buffer.data();
  }
  device_.order(copy, compute);
  device_.synchronize(copy);  // the source may reuse its memory
}

void Executor::prepare() {
  if (program_.prepare.instructions.empty()) return;
  place_.store(static_cast<int64_t>(program_.schedule.size()) << 32, std::memory_order_relaxed);
  run_segment(program_.prepare, {.first = true});
}

void Executor::run(InputSource& source) {
  int fetched = -1;
  for (size_t i = 0; i < program_.schedule.size(); ++i) {
    const ScheduleEntry& entry = program_.schedule[i];
    const Segment& segment = program_.segments[entry.segment];
    place_.store(static_cast<int64_t>(i) << 32, std::memory_order_relaxed);
    if (entry.segment == 0 && entry.micro_batch != fetched) {
      fetch(source, entry.micro_batch);
      fetched = entry.micro_batch;
    }
    run_segment(segment, entry);
  }
}

void Executor::run_segment(const Segment& segment, const ScheduleEntry& entry) {
  const Stream compute = device_.stream(StreamRole::kCompute);
  const int64_t place = place_.load(std::memory_order_relaxed) >> 32 << 32;
  for (size_t pc = 0; pc < segment.instructions.size(); ++pc) {
    const Instruction& instruction = segment.instructions[pc];
    if (instruction.last_micro_batch && !entry.last) continue;
    place_.store(place | static_cast<int64_t>(pc + 1), std::memory_order_relaxed);
    switch (instruction.kind) {
      case InstructionKind::kKernel:
      case InstructionKind::kPrepare:
        run_kernel(segment, instruction, entry);
        break;
      case InstructionKind::kCollective: {
        const PlannedCollective& planned = program_.collectives[instruction.index];
        const Stream stream = device_.stream(instruction.stream);
        void* buffer = address(planned.location);
        device_.order(compute, stream);
        transport_.enqueue({planned.kind, planned.op, planned.dtype, planned.group, 0, buffer,
                            buffer, planned.count, planned.what.c_str()},
                           stream);
        break;
      }
      case InstructionKind::kJoin:
        join(device_.stream(instruction.stream));
        break;
      case InstructionKind::kNorm:
        tools_.norm->run(flat(Arena::kGradients), tools_.sum_of_squares, false, compute);
        break;
      case InstructionKind::kControl:
        tools_.control->run(
            static_cast<const double*>(bases_[static_cast<size_t>(Arena::kControl)]),
            tools_.sum_of_squares, step_, compute);
        break;
      case InstructionKind::kUpdate:
        tools_.update->run({flat(Arena::kParameters), flat(Arena::kGradients), tools_.moment1,
                            tools_.moment2, step_, compute});
        break;
    }
  }
}

void Executor::join(Stream stream) {
  if (const CpuStream* comm = stream.cpu())
    join_ticket_.store(comm->submitted, std::memory_order_relaxed);
  device_.order(stream, device_.stream(StreamRole::kCompute));
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
                        .sample_offset = sample_offset_ + entry.micro_batch * program_.micro_batch,
                        .accumulate = instruction.accumulate || !entry.first,
                        .stream = device_.stream(StreamRole::kCompute)};
  Kernel& kernel = *kernels_[instruction.index];
  if (instruction.kind == InstructionKind::kPrepare)
    kernel.prepare(args);
  else
    kernel.run(args);
}

// The collectives of a run are enqueued in their order on streams that complete in order, so the
// one that holds things up is told by how many are left.
std::string Executor::pending_reductions() const {
  const CpuStream* stream = device_.stream(StreamRole::kData).cpu();
  if (!stream) return "the reductions";
  const int64_t left = join_ticket_.load(std::memory_order_relaxed) - stream->completed.load();
  const auto all = static_cast<int64_t>(program_.collectives.size());
  if (left <= 0 || left > all) return "the reductions";
  return fmt::format("all_reduce of {}", program_.collectives[all - left].what);
}

std::string Executor::where() const {
  const int64_t place = place_.load(std::memory_order_relaxed);
  const auto at = static_cast<size_t>(place >> 32);
  if (at == program_.schedule.size()) return fmt::format("{}: prepare", program_.name);
  const ScheduleEntry& entry = program_.schedule[at];
  const Segment& segment = program_.segments[entry.segment];
  const int pc = static_cast<int>(place & 0xffffffff) - 1;
  if (pc < 0)
    return fmt::format("{}: data.next of micro-batch {}", program_.name, entry.micro_batch);
  if (segment.instructions[pc].kind == InstructionKind::kJoin)
    return fmt::format("{}: {}", program_.name, pending_reductions());
  return fmt::format("{}: {} of micro-batch {}, {}", program_.name, segment.name, entry.micro_batch,
                     describe(program_, segment, pc));
}

}  // namespace trireme::core
