#include "core/sim/call_script.h"

#include <xxhash.h>

#include <cstring>
#include <map>
#include <span>
#include <utility>

#include "core/base/error.h"

namespace trireme::core {
namespace {

bool is_call(const Instruction& instruction) {
  return instruction.kind == InstructionKind::kExchange ||
         instruction.kind == InstructionKind::kTransfer ||
         instruction.kind == InstructionKind::kCollective;
}

ScriptCall call_of(const PlannedCollective& planned) {
  return {.kind = planned.kind,
          .op = planned.op,
          .dtype = planned.dtype,
          .group = planned.group,
          .count = planned.count,
          .what = planned.what};
}

ScriptCall call_of(const Graph& graph, const Transfer& transfer) {
  const ValueType& type = graph.type(transfer.value);
  return {.kind = transfer.receive ? CollectiveKind::kRecv : CollectiveKind::kSend,
          .dtype = type.dtype,
          .group = transfer.group,
          .peer = transfer.peer,
          .count = type.elements(),
          .what = transfer.what};
}

ScriptCall call_of(const Graph& graph, const Node& node) {
  const CollectiveCall call = exchange_call(graph, node);
  return {.kind = call.kind,
          .op = call.op,
          .dtype = call.dtype,
          .group = call.group,
          .count = call.count,
          .what = node.name};
}

class ScriptWriter {
 public:
  ScriptWriter(const Program& program, const ProgramSeconds* seconds)
      : program_(program), seconds_(seconds) {}

  CallScript run() {
    bool updates = false;
    for (const Segment& segment : program_.segments) {
      script_.segments.push_back(write(segment));
      for (const Instruction& instruction : segment.instructions)
        updates |= instruction.kind == InstructionKind::kUpdate;
    }
    for (const ScheduleEntry& entry : program_.schedule)
      script_.schedule.push_back({entry.segment, entry.micro_batch, entry.slot, entry.last,
                                  entry.last_of_leaf, entry.opens_slot});
    if (updates && seconds_) script_.prepare = write(program_.prepare);
    script_.slots = std::max(1, program_.slots);
    return std::move(script_);
  }

 private:
  ScriptSegment write(const Segment& segment) {
    ScriptSegment written{segment.name, {}};
    for (size_t pc = 0; pc < segment.instructions.size(); ++pc) {
      ScriptStep step = step_of(segment.instructions[pc]);
      step.pc = static_cast<int32_t>(pc);
      append(step, written.steps);
      if (segment.instructions[pc].kind != InstructionKind::kExchange) continue;
      step.kind = ScriptStep::Kind::kJoin;
      step.call = -1;
      append(step, written.steps);
    }
    return written;
  }

  void append(const ScriptStep& step, std::vector<ScriptStep>& steps) const {
    const bool computes = step.kind == ScriptStep::Kind::kCompute;
    if (computes && !seconds_) return;
    if (computes && !steps.empty() && steps.back().kind == step.kind &&
        steps.back().last_micro_batch == step.last_micro_batch &&
        steps.back().last_of_leaf == step.last_of_leaf)
      steps.back().seconds += step.seconds;
    else
      steps.push_back(step);
  }

  ScriptStep step_of(const Instruction& instruction) {
    ScriptStep step{.stream = instruction.stream,
                    .last_of_leaf = instruction.last_of_leaf,
                    .last_micro_batch = instruction.last_micro_batch};
    if (is_call(instruction)) {
      step.kind = ScriptStep::Kind::kCall;
      step.call = number_of(instruction);
    } else if (instruction.kind == InstructionKind::kJoin) {
      step.kind = ScriptStep::Kind::kJoin;
    } else if (instruction.kind == InstructionKind::kWait) {
      step.kind = ScriptStep::Kind::kWait;
      step.call = number_of({.kind = InstructionKind::kCollective,
                             .index = instruction.index,
                             .stream = instruction.stream});
    } else if (seconds_) {
      step.seconds = seconds_of(instruction);
    }
    return step;
  }

  int32_t number_of(const Instruction& instruction) {
    const auto [found, fresh] = numbers_.try_emplace({instruction.kind, instruction.index},
                                                     static_cast<int32_t>(script_.calls.size()));
    if (!fresh) return found->second;
    ScriptCall call = instruction.kind == InstructionKind::kCollective
                          ? call_of(program_.collectives[instruction.index])
                      : instruction.kind == InstructionKind::kTransfer
                          ? call_of(program_.graph, program_.transfers[instruction.index])
                          : call_of(program_.graph, program_.graph.node(instruction.index));
    call.stream = instruction.stream;
    script_.calls.push_back(std::move(call));
    return found->second;
  }

  double seconds_of(const Instruction& instruction) const {
    switch (instruction.kind) {
      case InstructionKind::kKernel:
        return seconds_->nodes[instruction.index];
      case InstructionKind::kPrepare:
        return seconds_->prepares[instruction.index];
      case InstructionKind::kAccumulate:
        return seconds_->accumulations[instruction.index];
      case InstructionKind::kAdd:
        return seconds_->additions[instruction.index];
      case InstructionKind::kCarry:
        return seconds_->carries[instruction.index];
      case InstructionKind::kNorm:
        return seconds_->norm;
      case InstructionKind::kControl:
        return seconds_->control;
      case InstructionKind::kUpdate:
        return seconds_->update;
      default:
        return 0;
    }
  }

  const Program& program_;
  const ProgramSeconds* seconds_;
  CallScript script_;
  std::map<std::pair<InstructionKind, int32_t>, int32_t> numbers_;  // of calls
};

class ByteWriter {
 public:
  explicit ByteWriter(std::string& bytes) : bytes_(bytes) {}
  template <typename T>
  void number(const T& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(const std::string& value) {
    number(static_cast<int32_t>(value.size()));
    bytes_ += value;
  }
  template <typename T>
  void each(const std::vector<T>& values) {
    number(static_cast<int32_t>(values.size()));
    for (const T& value : values) visit(*this, value);
  }

 private:
  std::string& bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view& bytes) : bytes_(bytes) {}
  template <typename T>
  void number(T& value) {
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
  }
  void text(std::string& value) { value = take(size()); }
  template <typename T>
  void each(std::vector<T>& values) {
    const size_t count = size();
    if (count > bytes_.size()) fail("[programs] a script is cut short");
    values.resize(count);
    for (T& value : values) visit(*this, value);
  }

 private:
  size_t size() {
    int32_t size = 0;
    number(size);
    if (size < 0) fail("[programs] a script with a size below 0");
    return static_cast<size_t>(size);
  }
  std::string_view take(size_t size) {
    if (size > bytes_.size()) fail("[programs] a script is cut short");
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

  std::string_view& bytes_;
};

// One list of fields for both directions.
template <typename Archive, typename Call>
requires std::is_same_v<std::remove_const_t<Call>, ScriptCall>
void visit(Archive& archive, Call& call) {
  archive.number(call.kind);
  archive.number(call.op);
  archive.number(call.dtype);
  archive.number(call.stream);
  archive.number(call.group);
  archive.number(call.peer);
  archive.number(call.count);
  archive.text(call.what);
}

template <typename Archive, typename Step>
requires std::is_same_v<std::remove_const_t<Step>, ScriptStep>
void visit(Archive& archive, Step& step) {
  archive.number(step.kind);
  archive.number(step.stream);
  archive.number(step.last_of_leaf);
  archive.number(step.last_micro_batch);
  archive.number(step.call);
  archive.number(step.pc);
}

template <typename Archive, typename Segment>
requires std::is_same_v<std::remove_const_t<Segment>, ScriptSegment>
void visit(Archive& archive, Segment& segment) {
  archive.text(segment.name);
  archive.each(segment.steps);
}

template <typename Archive, typename Entry>
requires std::is_same_v<std::remove_const_t<Entry>, ScriptEntry>
void visit(Archive& archive, Entry& entry) {
  archive.number(entry.segment);
  archive.number(entry.micro_batch);
  archive.number(entry.slot);
  archive.number(entry.last);
  archive.number(entry.last_of_leaf);
  archive.number(entry.opens_slot);
}

template <typename Archive, typename Script>
requires std::is_same_v<std::remove_const_t<Script>, CallScript>
void visit(Archive& archive, Script& script) {
  archive.each(script.segments);
  archive.each(script.schedule);
  archive.each(script.calls);
  archive.number(script.slots);
}

}  // namespace

std::string describe(const ScriptCall& call) {
  return fmt::format("{} of {}, {} x {}", name_of(call.kind), call.what, call.count,
                     name_of(call.dtype));
}

CallScript script_of(const Program& program, const ProgramSeconds* seconds) {
  return ScriptWriter(program, seconds).run();
}

std::string describe(const Program& program, ProgramPlace place) {
  const auto entries = static_cast<int>(program.schedule.size());
  if (place.entry >= entries) return "prepare";
  const ScheduleEntry& entry = program.schedule[place.entry];
  const Segment& segment = program.segments[entry.segment];
  return fmt::format("{} of micro-batch {}, {}", segment.name, entry.micro_batch,
                     describe(program, segment, place.pc));
}

std::string describe(const CallScript& script, int entry) {
  const ScriptEntry& at = script.schedule[entry];
  return fmt::format("{} of micro-batch {}", script.segments[at.segment].name, at.micro_batch);
}

void for_each_call(const CallScript& script,
                   const std::function<void(const ScriptCall&, ProgramPlace)>& use) {
  for (size_t i = 0; i < script.schedule.size(); ++i) {
    const ScriptEntry& entry = script.schedule[i];
    for (const ScriptStep& step : script.segments.at(entry.segment).steps)
      if (step.kind == ScriptStep::Kind::kCall && runs(step, entry))
        use(script.calls.at(step.call), {static_cast<int32_t>(i), step.pc});
  }
}

void append(const CallScript& script, std::string& bytes) {
  ByteWriter writer(bytes);
  visit(writer, script);
}

CallScript read_script(std::string_view& bytes) {
  CallScript script;
  ByteReader reader(bytes);
  visit(reader, script);
  return script;
}

uint64_t order_hash(const CallScript& script) {
  CallScript order = script;
  for (ScriptSegment& segment : order.segments) {
    segment.name.clear();
    for (ScriptStep& step : segment.steps) step.pc = 0;
  }
  for (ScriptCall& call : order.calls) {
    call.op = {};
    call.dtype = {};
    call.count = 0;
    call.what.clear();
  }
  std::string bytes;
  append(order, bytes);
  return hash_of(bytes);
}

uint64_t hash_of(std::string_view bytes) { return XXH64(bytes.data(), bytes.size(), 0); }

}  // namespace trireme::core
