#include "core/cuda/no_cuda.h"
#include "core/ops/accuracy.h"
#include "core/ops/activation.h"
#include "core/ops/add.h"
#include "core/ops/cached_attention.h"
#include "core/ops/causal_attention.h"
#include "core/ops/dropout.h"
#include "core/ops/embedding.h"
#include "core/ops/mean_squared_error.h"
#include "core/ops/norm.h"
#include "core/ops/parts.h"
#include "core/ops/pool2d.h"
#include "core/ops/rotary.h"
#include "core/ops/scale.h"
#include "core/ops/softmax_cross_entropy.h"
#include "core/ops/split_cross_entropy.h"
#include "core/ops/swiglu.h"
#include "core/optim/optimizer_kernels.h"

namespace trireme::core {

std::unique_ptr<Kernel> Activation::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> ActivationGrad::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> Add::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> Scale::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> Dropout::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> SoftmaxCrossEntropy::cuda_kernel(const NodeTypes&,
                                                         const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> SoftmaxCrossEntropyGrad::cuda_kernel(const NodeTypes&,
                                                             const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> CausalAttention::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> CausalAttentionGrad::cuda_kernel(const NodeTypes&,
                                                         const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> CachedAttention::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> MeanSquaredError::cuda_kernel(const NodeTypes&,
                                                      const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> MeanSquaredErrorGrad::cuda_kernel(const NodeTypes&,
                                                          const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> Accuracy::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> TakePart::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> JoinParts::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> SoftmaxParts::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> SplitCrossEntropy::cuda_kernel(const NodeTypes&,
                                                       const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> SplitCrossEntropyGrad::cuda_kernel(const NodeTypes&,
                                                           const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> ArgmaxParts::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> SplitAccuracy::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> Pool2d::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> Pool2dGrad::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> Embedding::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> EmbeddingGrad::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> PositionEmbeddingGrad::cuda_kernel(const NodeTypes&,
                                                           const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> Norm::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> NormGrad::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> NormGradWeight::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> SwiGlu::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> SwiGluGrad::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> Rotary::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<UpdateKernel> make_cuda_update_kernel(const OptimizerOptions&,
                                                      std::span<const UpdateRange>,
                                                      const KernelContext&) {
  throw_no_cuda("optimizer");
}

std::unique_ptr<UpdateKernel> make_cuda_average_kernel(const AverageOptions&,
                                                       std::span<const UpdateRange>,
                                                       const KernelContext&) {
  throw_no_cuda("optimizer");
}

std::unique_ptr<NormKernel> make_cuda_norm_kernel(int64_t, const KernelContext&) {
  throw_no_cuda("optimizer");
}

std::unique_ptr<ControlKernel> make_cuda_control_kernel(const ControlOptions&,
                                                        const KernelContext&) {
  throw_no_cuda("optimizer");
}

}  // namespace trireme::core
