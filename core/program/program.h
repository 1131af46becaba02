// A step as a program: known, with every byte of its memory, before it runs.
//
// Two levels. A *segment* (forward or backward of one chunk of the network, update) is planned
// once: instructions whose operands are offsets into arenas. The *schedule* is a list of (segment,
// micro-batch, slot), so a program's size does not grow with the number of micro-batches. Values
// that cross segments lie in an activation slot; values inside one segment, and workspaces, in one
// shared scratch arena.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/graph/graph.h"
#include "core/program/flat_layout.h"
#include "core/runtime/device.h"
#include "core/runtime/transport.h"

namespace trireme::core {

enum class Arena : uint8_t {
  kNone,        // an absent operand
  kParameters,  // flat, f32
  kGradients,   // flat, f32
  kInputs,      // the offset is the number of the input, not bytes: batches come and go
  kControl,     // f64 sums of losses and metrics
  kSlot,        // activations that cross segments, one slot a micro-batch in flight
  kScratch,     // values inside one segment, workspaces
  kPrepared,    // prepared forms of parameters
  kNorm,        // the gradients' sum of squares, one f64
  kGathered,    // parameters that other ranks own, while they are needed
  kState,       // values that outlive a run: caches, and what the host reads
};
constexpr int kArenas = 11;

struct Location {
  Arena arena = Arena::kNone;
  int64_t offset = 0;  // bytes
};

// Where a value of Role::kState lies in its arena. Programs that make values of the same names and
// types in the same order share them.
struct StatePlace {
  ValueId value = kNoValue;
  int64_t offset = 0;  // bytes
};

// A collective on a flat range of an arena, before it has an address.
struct PlannedCollective {
  CollectiveKind kind = CollectiveKind::kAllReduce;
  ReduceOp op = ReduceOp::kSum;
  DType dtype = DType::kF32;
  int group = 0;
  Location location;  // what is received; and sent, unless:
  Location send;
  int64_t count = 0;  // elements, as CollectiveCall has them
  std::string what;   // "bucket 3 (conv1/weight ...)"
};

// A value of the slot that goes to, or comes from, the chunk before or behind on another rank.
struct Transfer {
  ValueId value = kNoValue;
  int group = 0;
  int peer = 0;      // in the group
  bool down = true;  // an activation; else a gradient
  bool receive = false;
  std::string what;  // "conv1 to chunk 1", the same at both ends
};

// to += from, or to = from with the step's first micro-batch; f32.
struct PlannedAccumulation {
  Location from, to;
  int64_t elements = 0;
};

struct ZeroedRange {
  Location location;
  int64_t bytes = 0;
};

enum class InstructionKind : uint8_t {
  kKernel,      // run the kernel of `index`, a node
  kPrepare,     // let the kernel of `index` write its prepared form
  kExchange,    // the collective that node `index` is, on `stream`; compute waits for it
  kTransfer,    // enqueue send or receive `index` on `stream`, after the compute stream's work
  kCollective,  // enqueue collective `index` on `stream`, after the compute stream's work so far
  kJoin,        // the compute stream waits for `stream`
  kWait,        // the compute stream waits for collective `index` on `stream`
  kAccumulate,  // accumulation `index`
  kZero,        // fill zeroed range `index`
  kNorm,        // sum of squares of the gradients
  kControl,     // learning rate, multiplier and the apply flag
  kUpdate,      // parameters and moments, if the apply flag is set
};

struct Instruction {
  InstructionKind kind = InstructionKind::kKernel;
  int32_t index = 0;
  int32_t first_operand = 0;  // in Segment::operands: inputs, then outputs
  int16_t inputs = 0, outputs = 0;
  bool accumulate = false;        // always; else from the second micro-batch on, unless:
  bool replace = false;           // never
  bool last_micro_batch = false;  // run with a step's last micro-batch only
  StreamRole stream = StreamRole::kCompute;
  Location workspace;
  Location prepared;
};

struct Segment {
  std::string name;  // "forward", "backward of chunk 1"
  std::vector<Instruction> instructions;
  std::vector<Location> operands;
  bool reads_inputs = false;
};

struct ScheduleEntry {
  int segment = 0;
  int micro_batch = 0;
  int slot = 0;                      // of all chunks' slots
  int64_t slot_offset = 0;           // bytes from the slot arena's start
  bool first = false, last = false;  // of the step's micro-batches in this segment
  bool opens_slot = false;  // overwrites what an earlier micro-batch left, and may still be sending
};

// f64 behind the sums of the control vector, for the ranks' votes (core/runtime/session.h).
constexpr int kVotes = 3;

struct Program {
  std::string name;  // "train"
  Graph graph;
  std::vector<ValueId> inputs;    // in the order of Arena::kInputs, which is the batch's
  std::vector<bool> input_used;   // by a node of this program
  std::vector<Segment> segments;  // the last is the update
  std::vector<ScheduleEntry> schedule;
  Segment prepare;  // run once after the parameters have changed
  std::vector<PlannedCollective> collectives;
  std::vector<Transfer> transfers;
  std::vector<Location> transfer_locations;  // in the slot, by transfer
  std::vector<ZeroedRange> zeroed;
  std::vector<PlannedAccumulation> accumulations;
  int64_t micro_batch = 0;  // samples
  int micro_batches = 1;    // in a step
  int input_sets = 1;       // batches that are in use at one time
  int slots = 1;            // of all chunks
  int64_t slot_bytes = 0;   // of all slots together
  int64_t scratch_bytes = 0, prepared_bytes = 0, control_bytes = 0, gathered_bytes = 0;
  std::vector<StatePlace> states;  // in the order of the graph's values
  int64_t state_bytes = 0;
};

StreamRole stream_of(const Transfer& transfer);

// The place of instruction `pc` in words of the graph: "conv1/grad_weight", "bucket 3 (...)".
std::string describe(const Program& program, const Segment& segment, int pc);

std::string_view name_of(CollectiveKind kind);  // "all_reduce"

// Floating-point operations of one micro-batch.
int64_t flops(const Graph& graph);

}  // namespace trireme::core
