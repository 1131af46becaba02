#include "launcher/train/judge.h"

#include <algorithm>

#include "core/base/error.h"

namespace trireme::launcher {

double judged_value(const EvalRecord& record, const std::string& metric) {
  if (metric == "loss") return record.loss;
  const auto found =
      std::ranges::find(record.metrics, metric, [](const auto& m) { return m.first; });
  ensure(found != record.metrics.end(), "the network has the metric that is judged by");
  return -found->second;
}

bool EarlyStop::patience_ends(const EvalRecord& record) {
  const double value = judged_value(record, options_.metric);
  if (best_.step < 0 || value < best_.value - options_.min_delta) {
    best_ = {.value = value, .step = record.step};
    return false;
  }
  return ++best_.evaluations_since >= options_.patience;
}

}  // namespace trireme::launcher
