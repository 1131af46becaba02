#include "launcher/checkpoint/checkpoint_reader.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/refuse.h"
#include "launcher/checkpoint/structure.h"

namespace trireme::launcher {
CheckpointReader::CheckpointReader(const std::filesystem::path& folder) : folder_(folder) {
  const std::vector<std::string> problems = check_structure(folder_, manifest_);
  if (!problems.empty()) throw InvalidArgument(problems.front(), ExitCode::kBadCheckpoint);
  find_places();
}

void CheckpointReader::find_places() {
  const CheckpointPlan& plan = manifest_.plan;
  places_.resize(plan.tensors.size());
  for (int shard = 0; shard < std::ssize(plan.shards); ++shard) {
    int64_t begin = manifest_.shards[shard].header_bytes;
    for (const Piece& piece : plan.shards[shard]) {
      places_[piece.tensor].push_back({shard, begin, piece.box});
      begin += plan.bytes(piece);
    }
  }
  for (int tensor = 0; tensor < std::ssize(plan.tensors); ++tensor)
    index_.emplace_back(plan.tensors[tensor].key(), tensor);
  std::ranges::sort(index_);
}

int CheckpointReader::find(const std::string& name, TensorRole role) const {
  const std::string key = TensorSpec{.name = name, .role = role}.key();
  const auto found = std::ranges::lower_bound(index_, key, {}, &std::pair<std::string, int>::first);
  return found == index_.end() || found->first != key ? -1 : found->second;
}

void CheckpointReader::read(int tensor, const Box& wanted, float* out) {
  const TensorSpec& spec = manifest_.plan.tensors.at(tensor);
  ensure(lies_within(wanted, spec.shape), "a box that is read lies within its tensor");
  for (const Place& place : places_[tensor])
    for_each_run(place.box, wanted, [&](int64_t from, int64_t to, int64_t elements) {
      read_bytes(place.shard, place.begin + from * int64_t{sizeof(float)},
                 reinterpret_cast<std::byte*>(out + to), elements * int64_t{sizeof(float)});
    });
}

int64_t CheckpointReader::bytes_of(int shard, int64_t block) const {
  return std::min(kBlockBytes, manifest_.shards[shard].bytes - block * kBlockBytes);
}

void CheckpointReader::read_bytes(int shard, int64_t begin, std::byte* out, int64_t bytes) {
  while (bytes > 0) {
    const int64_t block = begin / kBlockBytes, at = begin % kBlockBytes;
    const int64_t size = bytes_of(shard, block);
    const int64_t part = std::min(bytes, size - at);
    if (part == size) {
      load_block(shard, block, out);
    } else {
      if (cached_shard_ != shard || cached_block_ != block) {
        cached_shard_ = -1;  // until its checksum is found right
        cache_.resize(kBlockBytes);
        load_block(shard, block, cache_.data());
        cached_shard_ = shard;
        cached_block_ = block;
      }
      std::memcpy(out, cache_.data() + at, static_cast<size_t>(part));
    }
    begin += part;
    out += part;
    bytes -= part;
  }
}

void CheckpointReader::load_block(int shard, int64_t block, std::byte* out) {
  const ShardRecord& record = manifest_.shards[shard];
  if (open_shard_ != shard) {
    open_shard_ = -1;
    shard_ = open_shard(folder_, shard, record);
    open_shard_ = shard;
  }
  const int64_t bytes = bytes_of(shard, block);
  read_or_refuse(shard_, block * kBlockBytes, out, bytes);
  check_block(shard_.path, record, block, {out, static_cast<size_t>(bytes)});
}

}  // namespace trireme::launcher
