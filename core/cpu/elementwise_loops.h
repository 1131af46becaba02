// Elementwise arithmetic over arrays, vectorised. Outputs may be one of the inputs.
#pragma once

#include <cstdint>

namespace trireme::core {

// y[i] = a[i] + b[i]
void add_arrays(const float* a, const float* b, float* y, int64_t count);
// y[i] = factor x[i]
void scale_array(float factor, const float* x, float* y, int64_t count);
// y[i] = factor (a[i] - b[i])
void scaled_difference(float factor, const float* a, const float* b, float* y, int64_t count);
// sum_i (a[i] - b[i])^2 in double, in an order that depends on `count` alone.
double squared_distance(const float* a, const float* b, int64_t count);
// sum_i a[i]^2, likewise.
double sum_of_squares(const float* a, int64_t count);

}  // namespace trireme::core
