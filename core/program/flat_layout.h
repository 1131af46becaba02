// Where each parameter lies in the flat buffers.
//
// Parameters lie in one flat f32 buffer in the order in which their gradients become ready;
// gradients and moments mirror it with the SAME element offsets. The buffer is a list of buckets of
// whole parameters, each padded to degree x 128 elements so that it cuts into `degree` aligned
// slices. Padding is zero and stays zero. Frozen parameters lie behind the last bucket: they have
// no gradient, moment or bucket. Parameters whose gradients are partial sums over the tensor axis
// lie in buckets of their own, behind the others, so that they lie alike on all ranks of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/graph/graph.h"

namespace trireme::core {

constexpr int64_t kElementAlignment = 128;

struct FlatParameter {
  std::string name;
  Shape shape;  // of what lies here
  Slice slice;  // the part of the whole parameter that this is
  Init init;
  int64_t offset = 0;  // elements from the start of the buffer, a multiple of 128
  int64_t elements = 0;
  int64_t gradient_offset = 0;  // elements from the start of the gradient arena
  bool trained = true;
  bool partial_gradient = false;  // Value::partial_gradient

  const Shape& whole_shape() const { return slice.is_whole() ? shape : slice.logical; }
};

// A parameter of the undivided network, whoever holds it.
struct WholeParameter {
  std::string name;
  Shape shape;
  bool trained = true;
};

struct Bucket {
  int64_t begin = 0, end = 0;                  // elements
  int first_parameter = 0, end_parameter = 0;  // in FlatLayout::parameters
};

// A second or later gradient of a parameter whose uses are kept apart: it mirrors the parameter's
// bucket, which holds nothing else.
struct ExtraGradient {
  std::string name;  // of the gradient: "tokens/weight/grad@1"
  size_t bucket = 0;
  int64_t gradient_offset = 0;  // elements from the start of the gradient arena
};

struct FlatLayout {
  std::vector<FlatParameter> parameters;
  std::vector<Bucket> buckets;
  std::vector<ExtraGradient> extra_gradients;  // of a bucket in the order in which they are added
  int64_t trained_elements = 0;                // of the parameters that have gradients and moments
  int64_t gradient_elements = 0;               // of the gradient arena
  int64_t total_elements = 0;                  // of the parameter buffer

  int64_t parameter_count() const;  // elements without padding
  const FlatParameter& find(const std::string& name) const;
  const FlatParameter* look_up(const std::string& name) const;  // null if there is none
};

// Every parameter of a layout, as a whole, in its order.
std::vector<WholeParameter> whole_parameters(const FlatLayout& layout);

// From a differentiated graph: its gradients' order of making gives the parameters' order. A
// bucket is closed once it holds bucket_bytes of gradients; `degree` is the data axis's size.
// Parameters of `last`, where they are trained, come behind all others, in that order and each in a
// bucket of its own; so do, before them, parameters with several gradients.
FlatLayout make_flat_layout(const Graph& graph, int64_t bucket_bytes, int degree,
                            const std::vector<std::string>& last = {});

}  // namespace trireme::core
