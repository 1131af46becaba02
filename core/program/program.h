// A step as a program: known, with every byte of its memory, before it runs.
//
// Two levels. A *segment* (forward or backward of one chunk of the network, update) is planned
// once: instructions whose operands are offsets into arenas. The *schedule* is a list of (segment,
// micro-batch, slot), so a program's size does not grow with the number of micro-batches. Values
// that cross segments lie in an activation slot; values inside one segment, and workspaces, in one
// shared scratch arena.
//
// Micro-batches may form leaves: so many in a row. Their gradients are then sums of a leaf, not of
// the step, and leaves are added up elsewhere.
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
  kLeaves,  // gradients of leaves on their way through the tree, and what other ranks sent of it
  kExact,   // exact sums of the control vector and the norm (core/optim/exact_sum.h)
};
constexpr int kArenas = 13;

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

// to = a + b, f32; `to` may be one of them.
struct PlannedAddition {
  Location a, b, to;
  int64_t elements = 0;
};

// A step's leaves 0, 1, ..., n - 1, a power of two of them, enter a binary tree by counting: leaf i
// is added to the sums of the levels whose bits in i are 1, from the lowest on, and becomes the sum
// of the first whose bit is 0; the last leaf's sum is that of all. `value` is overwritten.
struct PlannedCarry {
  Location value;
  std::vector<Location> levels;  // log2(n)
  Location total;                // may be `value`
  int64_t elements = 0;
};

// `count` f64 numbers, and an exact sum of each.
struct PlannedExactSum {
  Location values, sums;
  int64_t count = 0;
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
  kAdd,         // addition `index`
  kCarry,       // carry `index`
  kAddExactly,  // the values of exact sum `index` are added to it, or replace it at a step's first
  kRound,       // the values of exact sum `index` become what the sums are
  kZero,        // fill zeroed range `index`
  kNorm,        // sum of squares of the gradients
  kControl,     // learning rate, multiplier and the apply flag
  kUpdate,      // parameters and what updates keep, if the apply flag is set
};

// When a kernel that accumulates adds to what its outputs hold.
enum class Adds : uint8_t {
  kNever,
  kWithinLeaf,  // but for the first micro-batch of a leaf
  kWithinStep,  // but for the step's first micro-batch
  kAlways,
};

struct Instruction {
  InstructionKind kind = InstructionKind::kKernel;
  int32_t index = 0;
  int32_t first_operand = 0;  // in Segment::operands: inputs, then outputs
  int16_t inputs = 0, outputs = 0;
  Adds adds = Adds::kWithinStep;
  bool last_of_leaf = false;      // run with a leaf's last micro-batch only
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
  int leaf = 0;             // of the step's on this rank
  bool first_of_leaf = false, last_of_leaf = false;  // of the leaf's micro-batches
};

// Whether the instruction is run with this turn of its segment.
inline bool runs(const Instruction& instruction, const ScheduleEntry& entry) {
  return (!instruction.last_micro_batch || entry.last) &&
         (!instruction.last_of_leaf || entry.last_of_leaf);
}

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
  std::vector<PlannedAddition> additions;
  std::vector<PlannedCarry> carries;
  std::vector<PlannedExactSum> exact_sums;
  int64_t micro_batch = 0;     // samples
  int micro_batches = 1;       // in a step
  int leaf_micro_batches = 1;  // in a leaf
  int64_t leaf_skip = 0;       // samples of other ranks between two leaves of this one
  int input_sets = 1;          // batches that are in use at one time
  int slots = 1;               // of all chunks
  int64_t slot_bytes = 0;      // of all slots together
  int64_t scratch_bytes = 0, prepared_bytes = 0, control_bytes = 0, gathered_bytes = 0;
  int64_t leaf_bytes = 0, exact_bytes = 0;  // of Arena::kLeaves and kExact
  std::vector<StatePlace> states;           // in the order of the graph's values
  int64_t state_bytes = 0;

  // The place of a micro-batch's first sample behind this rank's first of the step.
  int64_t first_row(int number) const {
    return number * micro_batch + number / leaf_micro_batches * leaf_skip;
  }
};

StreamRole stream_of(const Transfer& transfer);

// The call that an exchange of the graph is, but for its addresses. Throws InvalidArgument for
// kinds that no exchange has.
CollectiveCall exchange_call(const Graph& graph, const Node& node);

// The place of instruction `pc` in words of the graph: "conv1/grad_weight", "bucket 3 (...)".
std::string describe(const Program& program, const Segment& segment, int pc);

std::string_view name_of(CollectiveKind kind);  // "all_reduce"

// Floating-point operations of one micro-batch.
int64_t flops(const Graph& graph);

}  // namespace trireme::core
