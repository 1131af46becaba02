#include "core/cuda/function_kernel.h"
#include "core/cuda/launch.h"
#include "core/ops/parts.h"

namespace trireme::core {
namespace {

constexpr int kThreads = 256;

struct Cut {
  int64_t outer, local, inner;  // local: the extent on one rank
  int size, rank, parts;
  int64_t shares[PartsCut::kMaxParts];
};

Cut cut_of(const PartsCut& from) {
  Cut cut{.outer = from.outer,
          .local = from.local_extent(),
          .inner = from.inner,
          .size = from.place.size,
          .rank = from.place.rank,
          .parts = static_cast<int>(from.shares.size()),
          .shares = {}};
  for (int p = 0; p < cut.parts; ++p) cut.shares[p] = from.shares[p];
  return cut;
}

// y[o, k, e] = x[o, place of k in the whole, e], one thread an element of y.
__global__ void __launch_bounds__(kThreads) take_part(Cut cut, const float* x, float* y) {
  const int64_t count = cut.outer * cut.local * cut.inner;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    const int64_t e = i % cut.inner, row = i / cut.inner;
    const int64_t o = row / cut.local;
    int64_t k = row % cut.local, whole = 0;
    for (int p = 0; p < cut.parts; ++p) {
      const int64_t share = cut.shares[p];
      if (k < share) {
        whole += cut.rank * share + k;
        break;
      }
      k -= share;
      whole += share * cut.size;
    }
    y[i] = x[(o * cut.local * cut.size + whole) * cut.inner + e];
  }
}

// y[o, j, e] = parts[rank of j, o, place of j there, e], one thread an element of y.
__global__ void __launch_bounds__(kThreads) join_parts(Cut cut, const float* parts, float* y) {
  const int64_t extent = cut.local * cut.size;
  const int64_t count = cut.outer * extent * cut.inner;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    const int64_t e = i % cut.inner, row = i / cut.inner;
    const int64_t o = row / extent;
    int64_t j = row % extent, local = 0, rank = 0;
    for (int p = 0; p < cut.parts; ++p) {
      const int64_t share = cut.shares[p];
      if (j < share * cut.size) {
        rank = j / share;
        local += j % share;
        break;
      }
      j -= share * cut.size;
      local += share;
    }
    y[i] = parts[((rank * cut.outer + o) * cut.local + local) * cut.inner + e];
  }
}

}  // namespace

std::unique_ptr<Kernel> TakePart::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  return make_function_kernel(
      [cut = cut_of(cut_), count = cut_.local_elements()](const KernelArgs& args) {
        launch(take_part, blocks_for(count, kThreads), dim3(kThreads), args.stream, cut,
               args.in<float>(0), args.out<float>(0));
      });
}

std::unique_ptr<Kernel> JoinParts::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  return make_function_kernel(
      [cut = cut_of(cut_), count = cut_.elements()](const KernelArgs& args) {
        launch(join_parts, blocks_for(count, kThreads), dim3(kThreads), args.stream, cut,
               args.in<float>(0), args.out<float>(0));
      });
}

}  // namespace trireme::core
