// What an operation is, apart from any graph, device or rank.
//
// An op states its shape rule, gradient, cost and a workspace CAP without making a kernel; kernels
// are made only by the runtime. One op is four files in core/ops: softmax.h (what it computes),
// softmax.cc (shape rule, gradient, cost), softmax_cpu.cc, softmax_cuda.cu. See core/README.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/shape.h"
#include "core/graph/sharding.h"
#include "core/runtime/stream.h"
#include "core/runtime/transport.h"

namespace trireme::core {

class GradientBuilder;
class LocalBuilder;  // core/graph/local_builder.h
class CudaContext;   // core/cuda/context.h: handles of cuBLASLt and cuDNN, one a device
struct StepState;    // core/runtime/step_state.h: what changes from step to step

// The types of a node's operands. An absent optional operand has dtype kNone.
struct NodeTypes {
  std::span<const ValueType> inputs;
  std::span<const ValueType> outputs;
};

// What a node costs: floating-point operations (a multiply-add counts two), and the bytes that it
// must at least read and write in memory.
struct Cost {
  int64_t flops = 0;
  int64_t bytes = 0;
};

// What a kernel is given when it runs. Pointers live on the device; absent operands are null.
struct KernelArgs {
  const void* const* inputs = nullptr;
  void* const* outputs = nullptr;
  void* workspace = nullptr;        // workspace_cap bytes, 256-byte aligned; shared scratch
  void* prepared = nullptr;         // prepared_cap bytes, 256-byte aligned; written by prepare()
  const StepState* step = nullptr;  // on the device
  int64_t sample_offset = 0;        // of row 0 within the step's global batch
  bool accumulate = false;          // add to what the outputs hold instead of replacing it
  Stream stream;

  template <typename T>
  const T* in(int i) const {
    return static_cast<const T*>(inputs[i]);
  }
  template <typename T>
  T* out(int i) const {
    return static_cast<T*>(outputs[i]);
  }
};

// A kernel chosen for one node's shapes on one device. run() allocates nothing and creates no
// library primitive: all of that happens in the constructor.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(const KernelArgs& args) = 0;
  // Writes args.prepared from the parameters among args.inputs. Called once after each update of
  // the parameters, before the next run().
  virtual void prepare(const KernelArgs&) {}
};

// How a CPU multiplies bf16 and f16 operands.
enum class HalfProducts : uint8_t {
  kNative,   // by its own instructions; without them no kernel is made
  kRounded,  // for tests: operands are rounded, held in f32 and multiplied in f32
};

// What the runtime knows when it makes a kernel.
struct KernelContext {
  uint64_t seed = 0;            // of the job; random kernels key Philox with it and their op's name
  int threads = 1;              // of the CPU that the kernel may use
  CudaContext* cuda = nullptr;  // null on the CPU
  HalfProducts half = HalfProducts::kNative;
};

class Op;
using OpPtr = std::shared_ptr<const Op>;
using ValueId = int32_t;

// What an op is that no kernel computes: a collective over the ranks of a group, from input 0 to
// output 0 (counts as CollectiveCall has them).
struct Exchange {
  CollectiveKind kind = CollectiveKind::kAllReduce;
  ReduceOp op = ReduceOp::kSum;
  int group = 0;
};

class Op {
 public:
  virtual ~Op() = default;
  virtual std::string_view type() const = 0;  // "linear"

  // The types of the outputs. Throws InvalidArgument "[type] expects ..., got ..." if the inputs
  // do not fit.
  virtual std::vector<ValueType> infer(std::span<const ValueType> inputs) const = 0;

  // Emits the backward nodes. The default throws: the op has no gradient.
  virtual void gradient(GradientBuilder& builder) const;

  // False if what it makes is a constant to the loss: nothing flows back through it.
  virtual bool passes_gradient() const { return true; }

  virtual Cost cost(const NodeTypes& types) const = 0;

  // What the op's products multiply: f32 values as they come, or rounded to kBF16 or kF16. Sums and
  // results are f32 in any case.
  virtual DType operands() const { return DType::kF32; }
  // The op with such operands, or null if it has no products.
  virtual OpPtr with_operands(DType) const { return nullptr; }

  // The ways to run over the tensor axis, those worth preferring first. The default: not cut.
  virtual std::vector<ShardingRule> shardings(const ShardingRequest& request) const;
  // The op on one rank's part under a rule of the above, or null if it is this one.
  virtual OpPtr local(const LocalBuilder&) const { return nullptr; }
  // Appends what one rank runs and returns the outputs, kNoValue for those that no longer exist.
  // The default: one node of local().
  virtual std::vector<ValueId> emit_local(LocalBuilder& builder) const;

  // Upper bounds in bytes. A kernel that would need more is not chosen.
  virtual int64_t workspace_cap(const NodeTypes&, DeviceKind) const { return 0; }
  virtual int64_t prepared_cap(const NodeTypes&, DeviceKind) const { return 0; }

  // The input whose memory the one output is a view of (reshape), or -1.
  virtual int view_of() const { return -1; }
  // The input whose memory output 0 may take over, if nobody needs that input afterwards, or -1.
  virtual int may_overwrite() const { return -1; }
  // What the transport does in place of a kernel, or null.
  virtual const Exchange* exchange() const { return nullptr; }
  // True if the outputs are sums over the samples of the step (losses, metrics, parameter
  // gradients): KernelArgs::accumulate is then honoured.
  virtual bool accumulates() const { return false; }

  virtual std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const = 0;
  virtual std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const = 0;
};

}  // namespace trireme::core
