// First values of parameters, drawn by element: any slice can be drawn alone, by any rank, and is a
// slice of what one rank would have drawn.
#pragma once

#include <cstdint>
#include <span>

#include "core/graph/graph.h"

namespace trireme::core {

// values[i] = element first_element + i of the tensor that (init, key, sample) names.
//
// Element e is lane e % 4 of philox(key, e / 4, sample), as `uniform` or `normals` of
// core/random/distributions.h makes it, then mean + stddev * x. Parameters are sample 0, with
// key = random_key(seed, "init", name).
//
// Throws InvalidArgument if first_element is negative, low >= high, a bound is not finite or the
// standard deviation is negative.
void fill(const Init& init, uint64_t key, int64_t first_element, std::span<float> values,
          uint64_t sample = 0);

}  // namespace trireme::core
