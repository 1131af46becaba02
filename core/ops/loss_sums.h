// The two sums that losses and metrics make, added up in one order whatever the threads.
#pragma once

namespace trireme::core {

struct LossSums {
  double terms = 0;
  double weights = 0;

  // A term of weight 0 is not added, whatever it is: padding may hold anything.
  void add(double term, double weight) {
    if (weight == 0) return;
    terms += weight * term;
    weights += weight;
  }

  void write(double* sums, bool accumulate) const {
    sums[0] = terms + (accumulate ? sums[0] : 0.0);
    sums[1] = weights + (accumulate ? sums[1] : 0.0);
  }
};

}  // namespace trireme::core
