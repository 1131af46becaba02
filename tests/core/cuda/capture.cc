// What runs in a step can be captured into a CUDA graph: no host synchronization, no allocation.
// Built with CUDA only (tests/core/targets.cmake).
#include <cuda_runtime_api.h>

#include "core/cuda/check.h"
#include "core/ops/conv2d.h"
#include "core/ops/linear.h"
#include "core/ops/pool2d.h"
#include "core/ops/softmax_cross_entropy.h"
#include "tests/core/cuda/cuda_test.h"
#include "tests/support/op_check.h"

namespace trireme::test {
namespace {

using core::check;

void destroy_graph(cudaGraph_t graph) noexcept { core::check_noexcept(cudaGraphDestroy(graph)); }
void destroy_exec(cudaGraphExec_t exec) noexcept {
  core::check_noexcept(cudaGraphExecDestroy(exec));
}
using CudaGraph = core::UniqueHandle<cudaGraph_t, destroy_graph>;
using CudaGraphExec = core::UniqueHandle<cudaGraphExec_t, destroy_exec>;

// Records the kernel's work and replays it. Before that it runs once as it is, so that code which
// is loaded at its first use is there; not if it accumulates, since adding twice would show.
class CapturingKernel : public core::Kernel {
 public:
  explicit CapturingKernel(std::unique_ptr<core::Kernel> kernel) : kernel_(std::move(kernel)) {}

  void prepare(const core::KernelArgs& args) override { kernel_->prepare(args); }

  void run(const core::KernelArgs& args) override {
    if (!args.accumulate) kernel_->run(args);
    replay(record(args), core::cuda(args.stream));
  }

 private:
  CudaGraph record(const core::KernelArgs& args) {
    const cudaStream_t stream = core::cuda(args.stream);
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    kernel_->run(args);
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream, &graph));
    return CudaGraph(graph);
  }

  static void replay(const CudaGraph& graph, cudaStream_t stream) {
    cudaGraphExec_t handle = nullptr;
    check(cudaGraphInstantiate(&handle, graph.get(), 0));
    const CudaGraphExec exec(handle);
    check(cudaGraphLaunch(exec.get(), stream));
    check(cudaStreamSynchronize(stream));
  }

  std::unique_ptr<core::Kernel> kernel_;
};

class CapturingDevice : public CudaOpDevice {
 public:
  using CudaOpDevice::CudaOpDevice;
  std::unique_ptr<core::Kernel> make_kernel(const core::Op& op, const core::NodeTypes& types,
                                            core::KernelContext context) override {
    return std::make_unique<CapturingKernel>(CudaOpDevice::make_kernel(op, types, context));
  }
};

class CudaCapture : public CudaTest {
 protected:
  void compare(const core::Op& op, const std::vector<HostTensor>& inputs,
               const RunOptions& options = {}) {
    CudaOpDevice direct(device());
    CapturingDevice captured(device());
    const auto want = run_op(direct, op, inputs, {}, options);
    const auto got = run_op(captured, op, inputs, {}, options);
    for (size_t i = 0; i < want.size(); ++i)
      EXPECT_EQ(to_bytes(got[i]), to_bytes(want[i])) << op.type() << ", output " << i;
  }
  Random random_{21};
};

TEST_F(CudaCapture, Linear) {
  const HostTensor x = random_.normal({61, 84}), w = random_.normal({33, 84});
  const HostTensor dz = random_.normal({61, 33});
  compare(core::Linear({core::ActivationKind::kGelu}), {x, w, random_.normal({33})});
  compare(core::LinearGradInput(), {dz, w});
  compare(core::LinearGradWeight(true), {dz, x});
  compare(core::LinearGradWeight(true), {dz, x},
          {.accumulate_onto = {random_.normal({33, 84}), random_.normal({33})}});
}

TEST_F(CudaCapture, Conv2d) {
  const core::Conv2dOptions options{.pad_h = 2, .pad_w = 2};
  const HostTensor x = random_.normal({8, 14, 14, 6}), w = random_.normal({16, 5, 5, 6});
  const HostTensor dz = random_.normal({8, 14, 14, 16});
  compare(core::Conv2d(options), {x, w, random_.normal({16})});
  compare(core::Conv2dGradInput(options, x.type.shape), {dz, w});
  compare(core::Conv2dGradWeight(options, w.type.shape, true), {dz, x});
}

TEST_F(CudaCapture, KernelsOfOurs) {
  compare(core::Pool2d({}), {random_.normal({3, 8, 6, 5})});
  const HostTensor logits = random_.normal({61, 10}), labels = random_.labels({61}, 10);
  compare(core::SoftmaxCrossEntropy({}), {logits, labels, absent()});
}

}  // namespace
}  // namespace trireme::test
