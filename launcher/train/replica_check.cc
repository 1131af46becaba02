#include "launcher/train/replica_check.h"

#include <xxhash.h>

#include <algorithm>
#include <map>
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
  const core::StateSharding& sharding = session.plan().sharding;
  if (!sharding.splits(core::StateBuffer::kParameters))
    add(*state, session, core::StateBuffer::kParameters, layout.total_elements, chunk);
  for (core::StateBuffer kept : session.plan().kept())
    if (!sharding.splits(kept)) add(*state, session, kept, layout.trained_elements, chunk);
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return {static_cast<int64_t>(hash.low64), static_cast<int64_t>(hash.high64)};
}

std::string differing_ranks(std::span<const StateHash> hashes, std::span<const int> ranks) {
  const auto as_many = [&](const StateHash& hash) { return std::ranges::count(hashes, hash); };
  const StateHash most = *std::ranges::max_element(
      hashes, [&](const StateHash& a, const StateHash& b) { return as_many(a) < as_many(b); });
  std::vector<int> others;
  for (size_t i = 0; i < hashes.size(); ++i)
    if (hashes[i] != most) others.push_back(ranks[i]);
  if (others.empty()) return "";
  if (2 * as_many(most) > std::ssize(hashes))
    return fmt::format("{} differ{} from the {} others", list_of(others),
                       others.size() == 1 ? "s" : "", as_many(most));
  return fmt::format("the data ranks {} differ, and no state is that of most",
                     fmt::join(ranks, ", "));
}

void check_replicas(comm::Communicator& group, const parallel::Mesh& mesh,
                    const core::Session& session, int64_t step) {
  const StateHash mine = hash_state(session);
  std::vector<StateHash> all(static_cast<size_t>(group.size()));
  group.all_gather(&mine, all.data(), 2, core::DType::kI64, {}, "hash of the replicas");
  std::map<int, std::vector<int>> replicas;  // by data group
  for (int rank = 0; rank < group.size(); ++rank)
    replicas[mesh.group(rank, parallel::Axis::kData)].push_back(rank);
  std::vector<std::string> differing;
  for (const auto& [number, ranks] : replicas) {
    std::vector<StateHash> hashes;
    for (int rank : ranks) hashes.push_back(all[rank]);
    const std::string text = differing_ranks(hashes, ranks);
    if (!text.empty()) differing.push_back(text);
  }
  if (differing.empty()) return;
  if (group.rank() != 0) throw PeerFailed(ExitCode::kDiverged);
  throw AgreedFailure(
      fmt::format("step {}: parameters should be the same bits on every data rank, but {}: suspect "
                  "the memory or the processor of that machine; the checkpoints before stand",
                  step, fmt::join(differing, "; ")),
      ExitCode::kDiverged);
}

}  // namespace trireme::launcher
