#include "launcher/checkpoint/diff.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kSlabElements = int64_t{1} << 20;  // 4 MiB of each checkpoint at a time

struct Operand {
  CheckpointReader& reader;
  int tensor;
  std::vector<float> values;

  // The row-major elements [begin, end).
  void load(const core::Shape& shape, int64_t begin, int64_t end) {
    values.resize(static_cast<size_t>(end - begin));
    float* out = values.data();
    for (const Box& box : boxes_of_range(shape, begin, end)) {
      reader.read(tensor, box, out);
      out += box.elements();
    }
  }
};

void add_differences(const std::vector<float>& a, const std::vector<float>& b,
                     TensorDifference& sum) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::bit_cast<uint32_t>(a[i]) == std::bit_cast<uint32_t>(b[i])) continue;
    ++sum.different;
    // Equal infinities have equal bits, so the difference of two numbers is never NaN.
    if (std::isnan(a[i]) || std::isnan(b[i]))
      ++sum.nan_against_another;
    else
      sum.max_abs = std::max(sum.max_abs, std::abs(double{a[i]} - double{b[i]}));
  }
  sum.elements += std::ssize(a);
}

TensorDifference compare_tensor(CheckpointReader& a, int in_a, CheckpointReader& b, int in_b) {
  const TensorSpec& spec = a.manifest().plan.tensors[in_a];
  TensorDifference result{.key = spec.key(), .a = spec.shape};
  if (in_b < 0) {
    result.kind = TensorDifference::Kind::kOnlyInA;
    return result;
  }
  result.b = b.manifest().plan.tensors[in_b].shape;
  if (!(result.a == result.b)) {
    result.kind = TensorDifference::Kind::kShape;
    return result;
  }
  Operand left{a, in_a, {}}, right{b, in_b, {}};
  for (int64_t begin = 0; begin < spec.shape.elements(); begin += kSlabElements) {
    const int64_t end = std::min(begin + kSlabElements, spec.shape.elements());
    left.load(spec.shape, begin, end);
    right.load(spec.shape, begin, end);
    add_differences(left.values, right.values, result);
  }
  if (result.different > 0) result.kind = TensorDifference::Kind::kValues;
  return result;
}

std::vector<std::string> compare_facts(const Manifest& a, const Manifest& b) {
  std::vector<std::string> facts;
  const auto fact = [&](const char* what, const auto& left, const auto& right) {
    if (left != right) facts.push_back(fmt::format("{}: {} | {}", what, left, right));
  };
  const Counters &m = a.counters, &n = b.counters;
  fact("attempted_steps", m.attempted_steps, n.attempted_steps);
  fact("applied_steps", m.applied_steps, n.applied_steps);
  fact("non_finite_steps", m.non_finite_steps, n.non_finite_steps);
  fact("refused_in_a_row", m.refused_in_a_row, n.refused_in_a_row);
  const auto bits = [&](const char* what, double left, double right) {
    if (std::bit_cast<uint64_t>(left) != std::bit_cast<uint64_t>(right))
      facts.push_back(fmt::format("{}: {} | {}", what, left, right));
  };
  bits("best_value", m.best_value, n.best_value);
  bits("judged", m.judged, n.judged);
  fact("best_step", m.best_step, n.best_step);
  fact("evaluations_since_best", m.evaluations_since_best, n.evaluations_since_best);
  fact("loss_scale_power", m.loss_scale_power, n.loss_scale_power);
  fact("steps_since_scaled", m.steps_since_scaled, n.steps_since_scaled);
  fact("seed", a.info.seed, b.info.seed);
  fact("data_identity", a.info.data_identity, b.info.data_identity);
  fact("global_batch", a.info.global_batch, b.info.global_batch);
  return facts;
}

}  // namespace

bool CheckpointDifference::equal() const {
  return facts.empty() && std::ranges::all_of(tensors, [](const TensorDifference& tensor) {
           return tensor.kind == TensorDifference::Kind::kEqual;
         });
}

CheckpointDifference compare(CheckpointReader& a, CheckpointReader& b) {
  CheckpointDifference result{.facts = compare_facts(a.manifest(), b.manifest())};
  const std::vector<TensorSpec>& tensors = a.manifest().plan.tensors;
  for (int i = 0; i < std::ssize(tensors); ++i)
    result.tensors.push_back(compare_tensor(a, i, b, b.find(tensors[i].name, tensors[i].role)));
  for (const TensorSpec& tensor : b.manifest().plan.tensors)
    if (a.find(tensor.name, tensor.role) < 0)
      result.tensors.push_back(
          {.key = tensor.key(), .kind = TensorDifference::Kind::kOnlyInB, .b = tensor.shape});
  return result;
}

}  // namespace trireme::launcher
