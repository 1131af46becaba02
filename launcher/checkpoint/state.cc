#include "launcher/checkpoint/state.h"

#include <algorithm>
#include <variant>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kChunkElements = int64_t{4} << 20;

constexpr TensorRole kRoles[] = {TensorRole::kParameter, TensorRole::kMoment1,
                                 TensorRole::kMoment2};

core::StateBuffer buffer_of(TensorRole role) {
  ensure(role != TensorRole::kState, "a tensor of the flat buffers");
  return static_cast<core::StateBuffer>(role);
}

const TensorSpec* find(const std::vector<TensorSpec>& tensors, const TensorSpec& like) {
  const auto found = std::ranges::find_if(tensors, [&](const TensorSpec& tensor) {
    return tensor.role == like.role && tensor.name == like.name;
  });
  return found == tensors.end() ? nullptr : &*found;
}

// What `mine` has and `theirs` has not, or has otherwise.
void compare(const std::vector<TensorSpec>& mine, const std::vector<TensorSpec>& theirs,
             const char* missing, bool shapes, std::vector<std::string>& differences) {
  for (const TensorSpec& tensor : mine) {
    const TensorSpec* other = find(theirs, tensor);
    if (other == nullptr)
      differences.push_back(fmt::format("{} {}", missing, tensor.key()));
    else if (shapes && other->shape != tensor.shape)
      differences.push_back(fmt::format("{} is {} there and {} in the job", tensor.key(),
                                        other->shape.str(), tensor.shape.str()));
  }
}

void load_tensor(CheckpointReader& checkpoint, int tensor, core::Session& session,
                 std::vector<float>& values) {
  const TensorSpec& spec = checkpoint.manifest().plan.tensors[tensor];
  const int64_t all = spec.shape.elements();
  for (int64_t begin = 0; begin < all; begin += kChunkElements)
    for (const Box& box :
         boxes_of_range(spec.shape, begin, std::min(all, begin + kChunkElements))) {
      values.resize(static_cast<size_t>(box.elements()));
      checkpoint.read(tensor, box, values.data());
      session.write_state(state_range(session.plan().layout, spec, box), values);
    }
}

}  // namespace

std::vector<TensorSpec> state_tensors(const core::SessionPlan& plan) {
  std::vector<TensorSpec> tensors;
  for (int i = 0; i <= core::moment_count(plan.optimizer); ++i)
    for (const core::FlatParameter& parameter : plan.layout.parameters)
      if (i == 0 || parameter.trained)
        tensors.push_back({.name = parameter.name, .role = kRoles[i], .shape = parameter.shape});
  return tensors;
}

core::StateRange state_range(const core::FlatLayout& layout, const TensorSpec& tensor,
                             const Box& box) {
  return {.buffer = buffer_of(tensor.role),
          .first = layout.find(tensor.name).offset + first_element(box, tensor.shape),
          .elements = box.elements()};
}

void check_same_tensors(const CheckpointReader& checkpoint,
                        const std::vector<TensorSpec>& tensors) {
  const std::vector<TensorSpec>& saved = checkpoint.manifest().plan.tensors;
  std::vector<std::string> differences;
  compare(tensors, saved, "lacks", true, differences);
  compare(saved, tensors, "has beyond the job", false, differences);
  if (differences.empty()) return;
  const size_t all = differences.size();
  if (all > 3) differences.resize(3);
  fail(
      "{}: is of another job: it {}{}; train this one in another folder (--run-dir), or undo the "
      "change of its model or optimizer",
      checkpoint.folder().string(), fmt::join(differences, "; "),
      all > 3 ? fmt::format("; and {} more", all - 3) : "");
}

void load_parameters(CheckpointReader& checkpoint, core::Session& session) {
  std::vector<float> values;
  for (const core::FlatParameter& parameter : session.plan().layout.parameters) {
    const int tensor = checkpoint.find(parameter.name, TensorRole::kParameter);
    const std::vector<TensorSpec>& tensors = checkpoint.manifest().plan.tensors;
    if (tensor < 0 || tensors[tensor].shape != parameter.shape)
      throw InvalidArgument(
          fmt::format("{}: the job's model has parameter '{}' {}, the checkpoint has {}",
                      checkpoint.folder().string(), parameter.name, parameter.shape.str(),
                      tensor < 0 ? "none of that name" : tensors[tensor].shape.str()),
          ExitCode::kBadCheckpoint);
    load_tensor(checkpoint, tensor, session, values);
  }
}

void load_state(CheckpointReader& checkpoint, core::Session& session) {
  std::vector<float> values;
  for (size_t i = 0; i < checkpoint.manifest().plan.tensors.size(); ++i)
    load_tensor(checkpoint, static_cast<int>(i), session, values);
}

}  // namespace trireme::launcher
