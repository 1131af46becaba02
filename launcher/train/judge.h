// What evaluations are judged by: the loss, the smaller the better, or a metric, the larger the
// better.
#pragma once

#include <optional>
#include <string>

#include "launcher/job/options.h"
#include "launcher/train/metrics_log.h"

namespace trireme::launcher {

// The smaller the better. `metric` is "loss" or one of the record's.
double judged_value(const EvalRecord& record, const std::string& metric);

// The best evaluation so far, and how long ago it was.
struct BestEvaluation {
  double value = 0;
  int64_t step = -1;  // -1: none yet
  int64_t evaluations_since = 0;
};

class EarlyStop {
 public:
  EarlyStop(const EarlyStopOptions& options, const BestEvaluation& best)
      : options_(options), best_(best) {}

  // True once `patience` evaluations in a row were no improvement by more than min_delta. A value
  // that is not a number is none.
  bool patience_ends(const EvalRecord& record);

  // Whether they already were, when the run was cut off.
  bool exhausted() const { return best_.evaluations_since >= options_.patience; }

  const BestEvaluation& best() const { return best_; }

 private:
  EarlyStopOptions options_;
  BestEvaluation best_;
};

}  // namespace trireme::launcher
