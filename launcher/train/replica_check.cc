#include "launcher/train/replica_check.h"

#include <xxhash.h>

#include <algorithm>
#include <memory>

#include "core/base/error.h"
#include "launcher/base/agreement.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kChunkElements = int64_t{1} << 20;

struct FreeState {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

void add(XXH3_state_t& state, const core::Session& session, core::StateBuffer buffer,
         int64_t elements, std::vector<float>& chunk) {
  for (int64_t first = 0; first < elements; first += kChunkElements) {
    const core::StateRange range{buffer, first, std::min(kChunkElements, elements - first)};
    session.read_state(std::span(&range, 1), chunk.data());
    XXH3_128bits_update(&state, chunk.data(), static_cast<size_t>(range.elements) * sizeof(float));
  }
}

std::string list_of(const std::vector<int>& ranks) {
  return fmt::format("rank{} {}", ranks.size() == 1 ? "" : "s", fmt::join(ranks, ", "));
}

}  // namespace

StateHash hash_state(const core::Session& session) {
  const std::unique_ptr<XXH3_state_t, FreeState> state(XXH3_createState());
  XXH3_128bits_reset(state.get());
  const core::FlatLayout& layout = session.plan().layout;
  std::vector<float> chunk(kChunkElements);
  add(*state, session, core::StateBuffer::kParameters, layout.total_elements, chunk);
  for (int i = 1; i <= session.moments(); ++i)
    add(*state, session, static_cast<core::StateBuffer>(i), layout.trained_elements, chunk);
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return {static_cast<int64_t>(hash.low64), static_cast<int64_t>(hash.high64)};
}

std::string differing_ranks(std::span<const StateHash> hashes) {
  const auto as_many = [&](const StateHash& hash) { return std::ranges::count(hashes, hash); };
  const StateHash most = *std::ranges::max_element(
      hashes, [&](const StateHash& a, const StateHash& b) { return as_many(a) < as_many(b); });
  std::vector<int> others;
  for (size_t rank = 0; rank < hashes.size(); ++rank)
    if (hashes[rank] != most) others.push_back(static_cast<int>(rank));
  if (others.empty()) return "";
  if (2 * as_many(most) > std::ssize(hashes))
    return fmt::format("{} differ{} from the {} others", list_of(others),
                       others.size() == 1 ? "s" : "", as_many(most));
  return fmt::format("the {} data ranks differ, and no state is that of most", hashes.size());
}

void check_replicas(comm::Communicator& group, const core::Session& session, int64_t step) {
  const StateHash mine = hash_state(session);
  std::vector<StateHash> all(static_cast<size_t>(group.size()));
  group.all_gather(&mine, all.data(), 2, core::DType::kI64, {}, "hash of the replicas");
  const std::string differing = differing_ranks(all);
  if (differing.empty()) return;
  if (group.rank() != 0) throw PeerFailed(ExitCode::kDiverged);
  throw AgreedFailure(
      fmt::format("step {}: parameters should be the same bits on every data rank, but {}: suspect "
                  "the memory or the processor of that machine; the checkpoints before stand",
                  step, differing),
      ExitCode::kDiverged);
}

}  // namespace trireme::launcher
