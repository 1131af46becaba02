#include <algorithm>

#include "core/cpu/parallel.h"
#include "core/ops/cpu_kernel.h"
#include "core/ops/parts.h"

namespace trireme::core {
namespace {

// Calls copy(place in the whole, place in rank r's part, elements) for each contiguous piece of
// outer row `row`.
template <typename Copy>
void for_each_piece(const PartsCut& cut, int64_t row, int rank, Copy&& copy) {
  const int64_t local = cut.local_extent() * cut.inner;
  int64_t whole = row * local * cut.place.size, part = row * local;
  for (int64_t share : cut.shares) {
    const int64_t piece = share * cut.inner;
    copy(whole + rank * piece, part, piece);
    whole += piece * cut.place.size;
    part += piece;
  }
}

int64_t row_grain(const PartsCut& cut) {
  return kElementwiseGrain / std::max<int64_t>(cut.local_extent() * cut.inner, 1) + 1;
}

}  // namespace

std::unique_ptr<Kernel> TakePart::cpu_kernel(const NodeTypes&, const KernelContext& context) const {
  return make_kernel([cut = cut_, threads = context.threads](const KernelArgs& args) {
    const float* x = args.in<float>(0);
    float* y = args.out<float>(0);
    parallel_for(threads, cut.outer, row_grain(cut), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for_each_piece(cut, row, cut.place.rank, [&](int64_t whole, int64_t part, int64_t count) {
          std::copy_n(x + whole, count, y + part);
        });
    });
  });
}

std::unique_ptr<Kernel> JoinParts::cpu_kernel(const NodeTypes&,
                                              const KernelContext& context) const {
  return make_kernel([cut = cut_, threads = context.threads](const KernelArgs& args) {
    const float* parts = args.in<float>(0);
    float* y = args.out<float>(0);
    parallel_for(threads, cut.outer, row_grain(cut), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int rank = 0; rank < cut.place.size; ++rank)
          for_each_piece(cut, row, rank, [&](int64_t whole, int64_t part, int64_t count) {
            std::copy_n(parts + rank * cut.local_elements() + part, count, y + whole);
          });
    });
  });
}

}  // namespace trireme::core
