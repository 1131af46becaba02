// Runs a program on a device: walks the schedule, resolves operands to addresses, calls kernels.
//
// All kernels are made when the executor is; run() allocates nothing and creates no primitive.
#pragma once

#include <array>
#include <atomic>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "core/optim/optimizer.h"
#include "core/program/program.h"
#include "core/runtime/device.h"
#include "core/runtime/transport.h"

namespace trireme::core {

// Where a program's micro-batches come from: host memory, one pointer an input of the program.
class InputSource {
 public:
  virtual ~InputSource() = default;
  // The next micro-batch; blocks until it is there. Valid until the next call.
  virtual std::span<const void* const> next() = 0;
};

// The optimizer's kernels and buffers, for programs that end with an update.
struct UpdateTools {
  NormKernel* norm = nullptr;
  ExactNormKernel* exact_norm = nullptr;  // in its place, where the program sums exactly
  int64_t* exact_sum = nullptr;           // on the device; of exact_norm
  ControlKernel* control = nullptr;
  UpdateKernel* update = nullptr;
  const AverageKernel* average = nullptr;  // after the update, where the run keeps an average
  double* sum_of_squares = nullptr;        // on the device
  float* moment1 = nullptr;
  float* moment2 = nullptr;
  float* averages = nullptr;
};

using ArenaBases = std::array<void*, kArenas>;

class Executor {
 public:
  // `program`, `device` and `transport` outlive the executor. `bases` are the arenas' first bytes;
  // those of kInputs and kPrepared are the executor's own. `sample_offset` is this rank's first row
  // in the step's global batch.
  Executor(const Program& program, Device& device, Transport& transport, uint64_t seed,
           const ArenaBases& bases, StepState* step, int64_t sample_offset, UpdateTools tools);
  ~Executor();

  // Writes the prepared forms. To be called once after the parameters have changed.
  void prepare();
  // Runs the whole schedule; on CUDA returns once it is enqueued.
  void run(InputSource& source);

  // What is being run, in words of the graph: "train: backward of micro-batch 0,
  // conv1/grad_weight", "train: data.next of micro-batch 1", "train: all_reduce of bucket
  // 3 (...)". Any thread.
  std::string where() const;
  // Grows with every instruction of a run: of two ranks in one step, the one with less is behind.
  int64_t place() const { return place_.load(std::memory_order_relaxed); }

  // Of the memory that is the executor's own: prepared forms, and copies of batches.
  int64_t bytes() const;

 private:
  void make_kernels(uint64_t seed);
  std::unique_ptr<Kernel> make_kernel(const Op& op, const NodeTypes& types,
                                      const KernelContext& context) const;
  void join(StreamRole role);
  void accumulate(int index, bool first);
  void add(int index);
  void carry(int index, int leaf);
  void add_exactly(int index, bool first);
  void round(int index);
  void zero(int index);
  void run_update(InstructionKind kind);
  void open_slot(int slot);
  void submit(CollectiveCall call, const char* what, StreamRole role);
  void run_exchange(const Segment& segment, const Instruction& instruction);
  void run_transfer(int index, StreamRole role, int slot);
  void run_collective(int index, StreamRole role);
  void wait_for_collective(int index, StreamRole role);
  std::string pending() const;
  void fetch(InputSource& source, int micro_batch);
  void run_segment(const Segment& segment, const ScheduleEntry& entry);
  void run_instruction(const Segment& segment, const Instruction& instruction,
                       const ScheduleEntry& entry);
  void run_kernel(const Segment& segment, const Instruction& instruction,
                  const ScheduleEntry& entry);
  void* address(Location location) const;
  float* flat(Arena arena) const { return static_cast<float*>(bases_[static_cast<size_t>(arena)]); }

  const Program& program_;
  Device& device_;
  Transport& transport_;
  ArenaBases bases_;
  StepState* step_;
  int64_t sample_offset_;
  UpdateTools tools_;
  Buffer prepared_;
  int input_sets_ = 1;
  std::vector<Buffer> device_inputs_;             // sets of copies, in turn; else the source's own
  std::vector<const void*> inputs_;               // by set, then by input
  std::vector<std::unique_ptr<Mark>> read_;       // by set: what read it last
  int64_t slot_offset_ = 0;                       // of the entry being run
  size_t first_input_ = 0;                        // of its set, in inputs_
  std::vector<std::unique_ptr<Kernel>> kernels_;  // by node
  struct AccumulationKernels {
    std::unique_ptr<Kernel> copy, add;
  };
  AccumulationKernels make_accumulation(int64_t elements) const;
  // Of an op on so many flat f32 inputs of `elements` each.
  std::unique_ptr<Kernel> make_flat_kernel(const Op& op, size_t inputs, int64_t elements) const;
  void run_flat(Kernel& kernel, std::initializer_list<Location> from, Location to) const;
  void copy(Kernel& kernel, Location from, Location to) const;
  std::vector<AccumulationKernels> accumulations_, carries_;
  std::vector<std::unique_ptr<Kernel>> additions_;
  std::vector<void*> operands_;  // of the kernel being run
  // By slot: the last of the sends from it, down and up.
  std::vector<std::array<std::unique_ptr<Mark>, 2>> sent_;
  std::vector<std::unique_ptr<Mark>> started_;  // by collective, if a kWait names it
  // What the host waits for: the calls that were put on a comm stream last, by ticket.
  struct RecentCall {
    std::atomic<CollectiveKind> kind{};
    std::atomic<const char*> what{nullptr};
  };
  static constexpr int64_t kRecentCalls = 256;
  std::array<std::array<RecentCall, kRecentCalls>, kStreamRoles> recent_{};
  std::atomic<StreamRole> joined_{StreamRole::kCompute};
  // Schedule entry x 2^32 + kFetching, kOpeningSlot or kRunning + instruction; the entry behind the
  // last is `prepare`.
  static constexpr int kFetching = 0, kOpeningSlot = 1, kRunning = 2;
  std::atomic<int64_t> place_{0};
};

}  // namespace trireme::core
