#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/kernels/dropout.h"
#include "core/ops/dropout.h"
#include "core/ops/parts.h"
#include "core/ops/split_cross_entropy.h"
#include "tests/support/op_cases.h"

namespace trireme::test {
namespace {

using core::ClassSlice;
using core::DType;
using core::PartsCut;
using core::Shape;

constexpr int32_t kIgnore = -100;

// Where index `local` of rank `rank` lies in the whole extent: part by part, by its definition.
int64_t place_in_whole(const PartsCut& cut, int rank, int64_t local) {
  int64_t whole = 0;
  for (int64_t share : cut.shares) {
    if (local < share) return whole + rank * share + local;
    local -= share;
    whole += share * cut.place.size;
  }
  return -1;
}

// Copies between the whole tensor and rank `rank`'s part of it.
template <typename Copy>
void for_each_element(const PartsCut& cut, int rank, const Copy& copy) {
  const int64_t local = cut.local_extent(), whole = local * cut.place.size;
  for (int64_t o = 0; o < cut.outer; ++o)
    for (int64_t k = 0; k < local; ++k)
      for (int64_t e = 0; e < cut.inner; ++e)
        copy((o * whole + place_in_whole(cut, rank, k)) * cut.inner + e,
             (o * local + k) * cut.inner + e);
}

void add_parts_cases(const PartsCut& cut, Random& random, std::vector<OpCase>& cases) {
  const std::string name = fmt::format("({}, {}, {}) on {} of {}", cut.outer, cut.local_extent(),
                                       cut.inner, cut.place.rank, cut.place.size);
  const int64_t part = cut.local_elements();
  cases.push_back({.name = "take_part " + name,
                   .op = std::make_shared<core::TakePart>(cut, Shape{part}),
                   .inputs = {random.normal({cut.elements()})},
                   .reference =
                       [=](const std::vector<HostTensor>& inputs) {
                         std::vector<double> y(part);
                         for_each_element(cut, cut.place.rank, [&](int64_t whole, int64_t local) {
                           y[local] = inputs[0].values[whole];
                         });
                         return OutputValues{y};
                       },
                   .tolerance = 0});
  cases.push_back({.name = "join_parts " + name,
                   .op = std::make_shared<core::JoinParts>(cut, Shape{cut.elements()}),
                   .inputs = {random.normal({cut.place.size, part}), random.normal({part})},
                   .reference =
                       [=](const std::vector<HostTensor>& inputs) {
                         std::vector<double> y(cut.elements());
                         for (int rank = 0; rank < cut.place.size; ++rank)
                           for_each_element(cut, rank, [&](int64_t whole, int64_t local) {
                             y[whole] = inputs[0].values[rank * part + local];
                           });
                         return OutputValues{y};
                       },
                   .tolerance = 0});
}

// Logits of all classes, of which one rank has a slice.
struct SplitLogits {
  HostTensor all;             // (rows, total)
  HostTensor labels;          // (rows)
  HostTensor weight;          // (rows) or absent
  std::vector<int64_t> ends;  // of each rank's classes

  int64_t rows() const { return labels.size(); }
  int64_t total() const { return ends.back(); }
  int64_t begin(size_t rank) const { return rank == 0 ? 0 : ends[rank - 1]; }
  double weight_of(int64_t row) const { return weight.present() ? weight.values[row] : 1; }

  HostTensor slice(size_t rank) const {
    HostTensor x = zeros(DType::kF32, {rows(), ends[rank] - begin(rank)});
    int64_t i = 0;
    for (int64_t r = 0; r < rows(); ++r)
      for (int64_t c = begin(rank); c < ends[rank]; ++c)
        x.values[i++] = all.values[r * total() + c];
    return x;
  }
  // All logits with one rank's slice replaced.
  std::vector<double> with_slice(size_t rank, const HostTensor& x) const {
    std::vector<double> values = all.values;
    int64_t i = 0;
    for (int64_t r = 0; r < rows(); ++r)
      for (int64_t c = begin(rank); c < ends[rank]; ++c) values[r * total() + c] = x.values[i++];
    return values;
  }
};

SplitLogits split_logits(Random& random, int64_t rows, std::vector<int64_t> ends, bool weighted) {
  SplitLogits in{.all = random.normal({rows, ends.back()}, 3),
                 .labels = random.labels({rows}, ends.back()),
                 .weight = weighted ? random.uniform({rows}, 0.25, 2) : absent(),
                 .ends = std::move(ends)};
  if (rows > 2) in.labels.values[2] = kIgnore;
  if (rows > 4 && weighted) in.weight.values[4] = 0;
  return in;
}

double log_sum_exp(const double* x, int64_t count) {
  const double max = *std::max_element(x, x + count);
  double sum = 0;
  for (int64_t c = 0; c < count; ++c) sum += std::exp(x[c] - max);
  return max + std::log(sum);
}

std::vector<double> softmax_parts(const SplitLogits& in, size_t rank, const HostTensor& x,
                                  bool with_sum) {
  std::vector<double> parts;
  const int64_t classes = in.ends[rank] - in.begin(rank);
  for (int64_t r = 0; r < in.rows(); ++r) {
    const double* row = x.values.data() + r * classes;
    const auto label = static_cast<int64_t>(in.labels.values[r]) - in.begin(rank);
    parts.push_back(log_sum_exp(row, classes));
    parts.push_back(label >= 0 && label < classes ? row[label] : 0);
    parts.push_back(with_sum ? std::accumulate(row, row + classes, 0.0) : 0);
  }
  return parts;
}

std::vector<double> argmax_parts(const SplitLogits& in, size_t rank, const HostTensor& x) {
  std::vector<double> parts;
  const int64_t classes = in.ends[rank] - in.begin(rank);
  for (int64_t r = 0; r < in.rows(); ++r) {
    const double* row = x.values.data() + r * classes;
    const double* best = std::max_element(row, row + classes);
    parts.push_back(*best);
    parts.push_back(static_cast<double>(in.begin(rank) + (best - row)));
  }
  return parts;
}

// f32(ranks, rows, n) of what `part_of` makes for each rank.
template <typename PartOf>
HostTensor all_parts(const SplitLogits& in, int64_t numbers, const PartOf& part_of) {
  std::vector<double> values;
  for (size_t rank = 0; rank < in.ends.size(); ++rank)
    std::ranges::copy(part_of(rank, in.slice(rank)), std::back_inserter(values));
  const auto ranks = static_cast<int64_t>(in.ends.size());
  return tensor_of(DType::kF32, {ranks, in.rows(), numbers}, std::move(values));
}

OutputValues loss_of(const SplitLogits& in, const std::vector<double>& x, double smoothing) {
  std::vector<double> sums(2), lse(in.rows());
  for (int64_t r = 0; r < in.rows(); ++r) {
    const double* row = x.data() + r * in.total();
    lse[r] = log_sum_exp(row, in.total());
    const auto label = static_cast<int64_t>(in.labels.values[r]);
    const double w = in.weight_of(r);
    if (label == kIgnore || w == 0) continue;
    const double mean = std::accumulate(row, row + in.total(), 0.0) / in.total();
    sums[0] += w * (lse[r] - (1 - smoothing) * row[label] - smoothing * mean);
    sums[1] += w;
  }
  return {sums, lse};
}

OutputValues accuracy_of(const SplitLogits& in) {
  std::vector<double> sums(2);
  for (int64_t r = 0; r < in.rows(); ++r) {
    const double* row = in.all.values.data() + r * in.total();
    const auto label = static_cast<int64_t>(in.labels.values[r]);
    if (label == kIgnore || in.weight_of(r) == 0) continue;
    sums[0] += std::max_element(row, row + in.total()) - row == label ? in.weight_of(r) : 0;
    sums[1] += in.weight_of(r);
  }
  return {sums};
}

void add_class_cases(const SplitLogits& in, size_t rank, float smoothing,
                     std::vector<OpCase>& cases) {
  const ClassSlice slice{in.begin(rank), in.total()};
  const core::SoftmaxCrossEntropyOptions options{.label_smoothing = smoothing,
                                                 .ignore_index = kIgnore};
  const std::string name = fmt::format("rows {} classes {} to {} of {} smoothing {}", in.rows(),
                                       slice.first, in.ends[rank], slice.total, smoothing);
  cases.push_back({.name = "softmax_parts " + name,
                   .op = std::make_shared<core::SoftmaxParts>(options, slice),
                   .inputs = {in.slice(rank), in.labels},
                   .reference = [=](const std::vector<HostTensor>& inputs) {
                     return OutputValues{softmax_parts(in, rank, inputs[0], smoothing != 0)};
                   }});
  const HostTensor parts = all_parts(in, 3, [&](size_t r, const HostTensor& x) {
    return softmax_parts(in, r, x, smoothing != 0);
  });
  cases.push_back({.name = "split_cross_entropy " + name,
                   .op = std::make_shared<core::SplitCrossEntropy>(options, slice),
                   .inputs = {in.slice(rank), in.labels, in.weight, parts},
                   .reference =
                       [=](const std::vector<HostTensor>& inputs) {
                         return loss_of(in, in.with_slice(rank, inputs[0]), smoothing);
                       },
                   .activations = {0},
                   .gradient_floor = 1e-3});
  cases.push_back({.name = "argmax_parts " + name,
                   .op = std::make_shared<core::ArgmaxParts>(slice),
                   .inputs = {in.slice(rank)},
                   .reference =
                       [=](const std::vector<HostTensor>& inputs) {
                         return OutputValues{argmax_parts(in, rank, inputs[0])};
                       },
                   .tolerance = 0});
  cases.push_back(
      {.name = "split_accuracy " + name,
       .op = std::make_shared<core::SplitAccuracy>(kIgnore, in.total()),
       .inputs = {in.labels, in.weight,
                  all_parts(in, 2,
                            [&](size_t r, const HostTensor& x) { return argmax_parts(in, r, x); })},
       .reference = [=](const std::vector<HostTensor>&) { return accuracy_of(in); },
       .tolerance = 0});
}

// The mask of the whole tensor (samples, rows_per_sample, width), seen through a box.
OpCase boxed_dropout(const core::DropoutBox& box, const Shape& x, Random& random) {
  OpCase c{.name = fmt::format("dropout {} at row {} column {} of width {}", x.str(), box.first_row,
                               box.first_column, box.width),
           .op = std::make_shared<core::Dropout>(0.4f, "boxed", box),
           .inputs = {random.uniform(x, 0.5, 2)},
           .reference = {},
           .activations = {0}};
  c.setting.step.first_sample = 1000;
  c.setting.sample_offset = 3;
  c.reference = [box, seed = c.setting.seed](const std::vector<HostTensor>& inputs) {
    const uint64_t key = core::random_key(seed, "dropout", "boxed");
    const int64_t columns = inputs[0].type.shape[-1];
    std::vector<double> y = inputs[0].values;
    for (int64_t i = 0; i < inputs[0].size(); ++i) {
      const int64_t row = box.first_row + i / columns;
      const auto sample = static_cast<uint64_t>(1003 + row / box.rows_per_sample);
      const auto element = static_cast<uint64_t>(row % box.rows_per_sample * box.width +
                                                 box.first_column + i % columns);
      const uint32_t draw = core::philox(key, sample, element / 4).lane[element % 4];
      const double p = 0.4f;
      y[i] = static_cast<double>(draw) / 4294967296.0 >= p ? y[i] / (1.0 - p) : 0.0;
    }
    return OutputValues{y};
  };
  return c;
}

}  // namespace

std::vector<OpCase> split_cases() {
  std::vector<OpCase> cases;
  Random random(11);
  add_parts_cases({1, {6}, 1, {3, 1, 0}}, random, cases);
  add_parts_cases({5, {4, 2, 2}, 3, {2, 1, 0}}, random, cases);
  add_parts_cases({7, {21, 35}, 1, {7, 6, 0}}, random, cases);
  add_parts_cases({300, {12, 4, 4, 8}, 5, {4, 0, 0}}, random, cases);

  for (bool weighted : {false, true})
    for (float smoothing : {0.0f, 0.1f}) {
      add_class_cases(split_logits(random, 1, {1, 2}, weighted), 0, smoothing, cases);
      add_class_cases(split_logits(random, 7, {17, 33, 50}, weighted), 1, smoothing, cases);
      add_class_cases(split_logits(random, 5, {1, 1100, 1101}, weighted), 1, smoothing, cases);
      add_class_cases(split_logits(random, 600, {4, 7}, weighted), 1, smoothing, cases);
    }

  for (const core::DropoutBox& box :
       {core::DropoutBox{.first_row = 0, .rows_per_sample = 3, .width = 20, .first_column = 8},
        core::DropoutBox{.first_row = 7, .rows_per_sample = 3, .width = 21, .first_column = 5},
        core::DropoutBox{.first_row = 600, .rows_per_sample = 200, .width = 1031}})
    for (const Shape& x : {Shape{5, 8}, Shape{2, 3, 7}, Shape{4, 1031}})
      if (box.first_column + x[-1] <= box.width) cases.push_back(boxed_dropout(box, x, random));
  return cases;
}

}  // namespace trireme::test
