#include "core/cpu/parallel.h"
#include "core/cpu/simd.h"
#include "core/kernels/softmax.h"
#include "core/ops/accuracy.h"
#include "core/ops/classes.h"
#include "core/ops/cpu_kernel.h"
#include "core/ops/loss_sums.h"

namespace trireme::core {
namespace {

// Logits that keep `label` from being the answer.
TRIREME_SIMD int64_t count_rivals(const float* x, int64_t classes, int64_t label) {
  const float own = x[label];
  int64_t rivals = own == own ? 0 : 1;
  for (int64_t c = 0; c < label; ++c) rivals += x[c] < own ? 0 : 1;
  for (int64_t c = label + 1; c < classes; ++c) rivals += x[c] <= own ? 0 : 1;
  return rivals;
}

}  // namespace

std::unique_ptr<Kernel> Accuracy::cpu_kernel(const NodeTypes& types,
                                             const KernelContext& context) const {
  return make_kernel([r = class_rows(types), weighted = types.inputs.size() > 2,
                      ignore = ignore_index_, threads = context.threads](const KernelArgs& args) {
    const float* x = args.in<float>(0);
    const int32_t* labels = args.in<int32_t>(1);
    const float* weight = weighted ? args.in<float>(2) : nullptr;
    const auto weight_of = [&](int64_t row) { return row_weight(weight, row, r.rows_per_sample); };
    const auto kind_of = [&](int64_t row) {
      return classify_row(labels[row], weight_of(row), r.classes, ignore);
    };
    auto* right = static_cast<double*>(args.workspace);
    const int64_t grain = kElementwiseGrain / r.classes + 1;
    parallel_for(threads, r.rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        right[row] = kind_of(row) == RowKind::kCounts &&
                     count_rivals(x + row * r.classes, r.classes, labels[row]) == 0;
    });
    LossSums sums;
    for (int64_t row = 0; row < r.rows; ++row)
      if (kind_of(row) != RowKind::kIgnored) sums.add(right[row], weight_of(row));
    sums.write(args.out<double>(0), args.accumulate);
  });
}

}  // namespace trireme::core
