// A program without its operands: what it asks of other ranks, in which order, and how long it
// computes in between. Small, whatever the number of micro-batches, and as bytes fit to travel:
// ranks compare scripts before they run (check_programs.h), and the simulator runs them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/program/program.h"

namespace trireme::core {

// What a communication of a program asks for; equal on all members, but for `peer`.
struct ScriptCall {
  CollectiveKind kind = CollectiveKind::kAllReduce;
  ReduceOp op = ReduceOp::kSum;
  DType dtype = DType::kF32;
  StreamRole stream = StreamRole::kData;
  int32_t group = 0;
  int32_t peer = 0;  // of a send or receive: its number in the group
  int64_t count = 0;
  std::string what;  // "bucket 3 (conv1/weight ...)", the same on all members

  int64_t bytes() const { return count * size_of(dtype); }
  bool is_message() const { return kind == CollectiveKind::kSend || kind == CollectiveKind::kRecv; }
};
// "all_reduce of bucket 3 (...), 16 x f32"
std::string describe(const ScriptCall& call);

struct ScriptStep {
  enum class Kind : uint8_t {
    kCompute,  // kernels between two of the others
    kCall,     // enqueue `call`
    kWait,     // until `call`, enqueued before, is done
    kJoin,     // until all that was put on `stream` is
  };
  Kind kind = Kind::kCompute;
  StreamRole stream = StreamRole::kCompute;
  bool last_of_leaf = false, last_micro_batch = false;  // as Instruction has them
  int32_t call = -1;                                    // in CallScript::calls
  int32_t pc = 0;                                       // the instruction that it begins with
  double seconds = 0;                                   // of kCompute; does not travel
};

struct ScriptSegment {
  std::string name;
  std::vector<ScriptStep> steps;
};

struct ScriptEntry {
  int32_t segment = 0, micro_batch = 0, slot = 0;
  bool last = false, last_of_leaf = false, opens_slot = false;
};

// As program.h's of an instruction.
inline bool runs(const ScriptStep& step, const ScriptEntry& entry) {
  return (!step.last_micro_batch || entry.last) && (!step.last_of_leaf || entry.last_of_leaf);
}

struct CallScript {
  std::vector<ScriptSegment> segments;
  std::vector<ScriptEntry> schedule;
  ScriptSegment prepare;  // empty where the program does not update
  std::vector<ScriptCall> calls;
  int32_t slots = 1;
};

// Seconds of everything that is not a call.
struct ProgramSeconds {
  std::vector<double> nodes;     // by node, of one micro-batch
  std::vector<double> prepares;  // by node
  std::vector<double> accumulations, additions, carries;
  double norm = 0, control = 0, update = 0;
};

// Where `seconds` is null nothing takes time, and steps of kCompute are left out.
CallScript script_of(const Program& program, const ProgramSeconds* seconds = nullptr);

// Where a task begins: an instruction of an entry of the schedule. The entry behind the last is
// `prepare`.
struct ProgramPlace {
  int32_t entry = 0, pc = 0;
};
// "forward of micro-batch 3, block2/attention/out"
std::string describe(const Program& program, ProgramPlace place);
// "forward of micro-batch 3"
std::string describe(const CallScript& script, int entry);

// Calls `use` for every call of one run, in order.
void for_each_call(const CallScript& script,
                   const std::function<void(const ScriptCall&, ProgramPlace)>& use);

// As bytes, the same for equal scripts. `read_script` takes its part off the front and throws
// InvalidArgument if that is none.
void append(const CallScript& script, std::string& bytes);
CallScript read_script(std::string_view& bytes);
uint64_t hash_of(std::string_view bytes);

// Equal if two runs make calls of the same kinds in the same groups, with the same peers, on the
// same streams, in the same order, and wait alike; counts, dtypes and names do not matter.
uint64_t order_hash(const CallScript& script);

}  // namespace trireme::core
