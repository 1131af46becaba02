#include "launcher/train/whole_tensors.h"

#include <algorithm>
#include <bit>
#include <exception>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "core/base/error.h"
#include "launcher/base/agreement.h"
#include "launcher/checkpoint/safetensors.h"

namespace trireme::launcher {
namespace {

// The bits of -0.0f are the least of all i32. So a maximum over the ranks' bits, with this where a
// rank holds nothing, gives the bits that the holders have, whoever and however many they are.
constexpr int32_t kNotHeld = std::numeric_limits<int32_t>::min();

constexpr int64_t kPieceElements = int64_t{1} << 17;

// Writes what this rank holds of elements [begin, begin + bits.size()) of a parameter into place.
void place_held(const core::Session& session, const core::FlatParameter& parameter,
                core::StateBuffer buffer, int64_t begin, std::span<int32_t> bits) {
  std::vector<float> values;
  core::for_each_run(
      parameter.slice, parameter.shape, [&](int64_t whole, int64_t local, int64_t count) {
        const int64_t from = std::max(whole, begin);
        const int64_t to = std::min(whole + count, begin + std::ssize(bits));
        if (from >= to) return;
        const int64_t first = parameter.offset + local + (from - whole);
        for (const core::ElementRange& held : session.held({buffer, first, to - from})) {
          values.resize(static_cast<size_t>(held.elements()));
          const core::StateRange range{buffer, held.begin, held.elements()};
          session.read_state(std::span(&range, 1), values.data());
          std::ranges::transform(values, bits.begin() + (from - begin) + (held.begin - first),
                                 [](float value) { return std::bit_cast<int32_t>(value); });
        }
      });
}

// On rank 0 of the group, which keeps the first failure until all ranks can hear of it.
class SharedFile {
 public:
  SharedFile(comm::Communicator& group, const std::filesystem::path& path,
             const std::vector<TensorName>& names,
             const std::map<std::string, std::string>& metadata)
      : group_(group) {
    agree(group_, [&] {
      if (group_.rank() == 0) writer_.emplace(path, names, metadata);
    });
  }

  void write(std::span<const int32_t> bits) {
    if (!writer_ || failure_) return;
    values_.resize(bits.size());
    std::ranges::transform(bits, values_.begin(),
                           [](int32_t value) { return std::bit_cast<float>(value); });
    try {
      writer_->write(values_);
    } catch (const Error&) {
      failure_ = std::current_exception();
    }
  }

  void commit() {
    agree(group_, [&] {
      if (failure_) std::rethrow_exception(failure_);
      if (writer_) writer_->commit();
    });
  }

 private:
  comm::Communicator& group_;
  std::optional<SafetensorsWriter> writer_;
  std::exception_ptr failure_;
  std::vector<float> values_;
};

// A parameter as a whole, and the buffer of what stands for it in the file.
struct Source {
  const core::WholeParameter& whole;
  core::StateBuffer buffer;
};

void write_all(comm::Communicator& group, const core::Session& session,
               const std::vector<Source>& sources, const std::filesystem::path& path,
               const std::map<std::string, std::string>& metadata) {
  std::vector<TensorName> names;
  for (const Source& source : sources) names.push_back({source.whole.name, source.whole.shape});
  SharedFile file(group, path, names, metadata);
  std::vector<int32_t> bits;
  for (const auto& [whole, buffer] : sources) {
    const core::FlatParameter* mine = session.plan().layout.look_up(whole.name);
    const int64_t elements = whole.shape.elements();
    for (int64_t begin = 0; begin < elements; begin += kPieceElements) {
      bits.assign(static_cast<size_t>(std::min(kPieceElements, elements - begin)), kNotHeld);
      if (mine) place_held(session, *mine, buffer, begin, bits);
      group.all_reduce(std::span(bits), comm::ReduceOp::kMax, {}, whole.name.c_str());
      file.write(bits);
    }
  }
  file.commit();
}

}  // namespace

void write_whole_tensors(comm::Communicator& group, const core::Session& session,
                         core::StateBuffer buffer, const std::filesystem::path& path,
                         const std::map<std::string, std::string>& metadata) {
  std::vector<Source> sources;
  for (const core::WholeParameter& whole : session.plan().whole)
    if (buffer == core::StateBuffer::kParameters || whole.trained)
      sources.push_back({whole, buffer});
  write_all(group, session, sources, path, metadata);
}

void write_whole_average(comm::Communicator& group, const core::Session& session,
                         const std::filesystem::path& path,
                         const std::map<std::string, std::string>& metadata) {
  const bool updated = session.counters().applied > 0;
  std::vector<Source> sources;
  for (const core::WholeParameter& whole : session.plan().whole)
    sources.push_back({whole, updated && whole.trained ? core::StateBuffer::kAverage
                                                       : core::StateBuffer::kParameters});
  write_all(group, session, sources, path, metadata);
}

int64_t parameter_count(const core::SessionPlan& plan) {
  int64_t count = 0;
  for (const core::WholeParameter& parameter : plan.whole) count += parameter.shape.elements();
  return count;
}

}  // namespace trireme::launcher
