#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/plan.h"
#include "launcher/checkpoint/refuse.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 62;

// Independent of the locale; no bracket, so that a piece's key is never another tensor's.
bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._-/+:@").find(c) != std::string_view::npos;
}

void check_name(const std::string& name, size_t index, const std::string& where) {
  if (name.empty() || name.size() > kMaxNameBytes)
    refuse(where, "the name of tensor {} has {} bytes, expected 1 to {}", index, name.size(),
           kMaxNameBytes);
  if (!std::ranges::all_of(name, is_name_character))
    refuse(where, "the name of tensor {} holds more than letters, digits and ._-/+:@", index);
}

void check_tensor(const TensorSpec& tensor, size_t index, const std::string& where) {
  check_name(tensor.name, index, where);
  if (tensor.role < TensorRole::kParameter || tensor.role > TensorRole::kAverage)
    refuse(where, "tensor '{}' has the unknown role {}", tensor.name,
           static_cast<int>(tensor.role));
  if (tensor.dtype != core::DType::kF32)
    refuse(where, "tensor '{}' is of {}, expected f32", tensor.key(), name_of(tensor.dtype));
  if (tensor.shape.elements() == 0)
    refuse(where, "tensor '{}' has no element: its shape is {}", tensor.key(), tensor.shape.str());
}

// Counts how often each element lies in a box, without visiting elements. A box's indicator is the
// running sum, along every axis, of +1 and -1 at its corners; so the boxes cover `whole` once and
// nothing else if and only if their corners' sum is that of the whole.
class CornerSum {
 public:
  // `cut[axis]`: whether any box is not the whole along it; the other axes say nothing.
  explicit CornerSum(const std::array<bool, kMaxTensorRank>& cut) {
    for (int axis = 0; axis < kMaxTensorRank; ++axis)
      if (cut[axis]) axes_.push_back(axis);
  }
  void add(const Box& box, int sign) {
    for (unsigned corner = 0; corner < 1u << axes_.size(); ++corner) {
      Corner at{.sign = sign};
      for (size_t i = 0; i < axes_.size(); ++i) {
        const int axis = axes_[i];
        const bool end = corner >> i & 1;
        at.point[i] = box.origin[axis] + (end ? box.extent[axis] : 0);
        if (end) at.sign = -at.sign;
      }
      corners_.push_back(at);
    }
  }
  bool is_zero() {
    std::ranges::sort(corners_, {}, &Corner::point);
    for (size_t i = 0; i < corners_.size();) {
      int64_t sum = 0;
      const auto point = corners_[i].point;
      for (; i < corners_.size() && corners_[i].point == point; ++i) sum += corners_[i].sign;
      if (sum != 0) return false;
    }
    return true;
  }

 private:
  struct Corner {
    std::array<int64_t, kMaxTensorRank> point{};
    int sign = 1;
  };
  std::vector<int> axes_;
  std::vector<Corner> corners_;
};

bool cover_once(const std::vector<const Box*>& boxes, const core::Shape& shape) {
  const Box whole = whole_box(shape);
  std::array<bool, kMaxTensorRank> cut{};
  for (const Box* box : boxes)
    for (int axis = 0; axis < shape.rank(); ++axis)
      cut[axis] |= box->extent[axis] != whole.extent[axis];
  CornerSum sum(cut);
  for (const Box* box : boxes) sum.add(*box, 1);
  sum.add(whole, -1);
  return sum.is_zero();
}

std::vector<std::vector<const Box*>> boxes_by_tensor(const CheckpointPlan& plan,
                                                     const std::string& where) {
  std::vector<std::vector<const Box*>> boxes(plan.tensors.size());
  int64_t pieces = 0;
  for (size_t shard = 0; shard < plan.shards.size(); ++shard)
    for (const Piece& piece : plan.shards[shard]) {
      if (++pieces > kMaxPieces) refuse(where, "has more than {} pieces", kMaxPieces);
      if (piece.tensor < 0 || piece.tensor >= std::ssize(plan.tensors))
        refuse(where, "shard {} has a piece of tensor {}, but there are {}", shard, piece.tensor,
               plan.tensors.size());
      const TensorSpec& tensor = plan.tensors[piece.tensor];
      if (!lies_within(piece.box, tensor.shape))
        refuse(where, "shard {} has a piece that is not within tensor '{}' of shape {}", shard,
               tensor.key(), tensor.shape.str());
      boxes[piece.tensor].push_back(&piece.box);
    }
  return boxes;
}

}  // namespace

void check_tensors(const std::vector<TensorSpec>& tensors, const std::string& where) {
  if (tensors.empty() || std::ssize(tensors) > kMaxTensors)
    refuse(where, "has {} tensors, expected 1 to {}", tensors.size(), kMaxTensors);
  std::set<std::pair<std::string_view, TensorRole>> seen;
  int64_t bytes = 0;
  for (size_t index = 0; index < tensors.size(); ++index) {
    const TensorSpec& tensor = tensors[index];
    check_tensor(tensor, index, where);
    if (tensor.shape.elements() > (kMostBytes - bytes) / core::size_of(tensor.dtype))
      refuse(where, "tensor '{}' of shape {} brings the whole past 2^62 bytes", tensor.key(),
             tensor.shape.str());
    bytes += tensor.bytes();
    if (!seen.emplace(tensor.name, tensor.role).second)
      refuse(where, "tensor '{}' is there twice", tensor.key());
  }
}

void check_plan(const CheckpointPlan& plan, const std::string& where) {
  check_tensors(plan.tensors, where);
  if (plan.step < 0) refuse(where, "has the negative step {}", plan.step);
  if (plan.shards.empty() || std::ssize(plan.shards) > kMaxShards)
    refuse(where, "has {} shards, expected 1 to {}", plan.shards.size(), kMaxShards);
  const auto boxes = boxes_by_tensor(plan, where);
  for (size_t index = 0; index < boxes.size(); ++index) {
    const TensorSpec& tensor = plan.tensors[index];
    if (std::ssize(boxes[index]) > kMaxPiecesPerTensor)
      refuse(where, "tensor '{}' has {} pieces, expected at most {}", tensor.key(),
             boxes[index].size(), kMaxPiecesPerTensor);
    if (!cover_once(boxes[index], tensor.shape))
      refuse(where, "the pieces of tensor '{}' overlap or leave a gap", tensor.key());
  }
}

}  // namespace trireme::launcher
