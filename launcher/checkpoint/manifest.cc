#include "launcher/checkpoint/manifest.h"

#include <google/protobuf/text_format.h>

#include <array>
#include <bit>
#include <limits>

#include "launcher/checkpoint/envelope.h"
#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/manifest.pb.h"
#include "launcher/checkpoint/manifest_check.h"
#include "launcher/checkpoint/refuse.h"
#include "launcher/checkpoint/wire_check.h"

namespace trireme::launcher {
namespace {

// ---- to protobuf ----

void put_info(const ManifestInfo& info, checkpoint::Info& to) {
  to.set_data(info.layout.data);
  to.set_tensor(info.layout.tensor);
  to.set_pipeline(info.layout.pipeline);
  to.set_zero(info.layout.zero);
  to.set_seed(info.seed);
  to.set_data_identity(info.data_identity);
  to.set_global_batch(info.global_batch);
  to.set_trireme_version(info.trireme_version);
  to.set_job_name(info.job_name);
}

void put_counters(const Counters& counters, checkpoint::Counters& to) {
  to.set_attempted_steps(counters.attempted_steps);
  to.set_applied_steps(counters.applied_steps);
  to.set_non_finite_steps(counters.non_finite_steps);
  to.set_refused_in_a_row(counters.refused_in_a_row);
  to.set_best_value_bits(std::bit_cast<uint64_t>(counters.best_value));
  to.set_best_step(counters.best_step);
  to.set_evaluations_since_best(counters.evaluations_since_best);
  to.set_judged_bits(std::bit_cast<uint64_t>(counters.judged));
  if (counters.loss_scale_power < 0) return;
  to.add_loss_scale(counters.loss_scale_power);
  to.add_loss_scale(counters.steps_since_scaled);
}

void put_tensor(const TensorSpec& tensor, checkpoint::Tensor& to) {
  to.set_name(tensor.name);
  to.set_role(static_cast<checkpoint::Role>(static_cast<int>(tensor.role) + 1));
  to.set_dtype(checkpoint::F32);
  for (const int64_t extent : tensor.shape.dims()) to.add_shape(extent);
}

void put_shard(const ShardRecord& shard, const std::vector<Piece>& pieces, checkpoint::Shard& to) {
  to.set_bytes(shard.bytes);
  to.set_header_bytes(shard.header_bytes);
  to.set_header_hash(shard.header_hash);
  to.mutable_block_checksums()->Add(shard.block_checksums.begin(), shard.block_checksums.end());
  for (const Piece& piece : pieces) {
    checkpoint::Piece& entry = *to.add_pieces();
    entry.set_tensor(piece.tensor);
    for (int axis = 0; axis < piece.box.rank; ++axis) {
      entry.add_origin(piece.box.origin[axis]);
      entry.add_extent(piece.box.extent[axis]);
    }
  }
}

checkpoint::Manifest to_protobuf(const Manifest& manifest) {
  checkpoint::Manifest to;
  put_info(manifest.info, *to.mutable_info());
  put_counters(manifest.counters, *to.mutable_counters());
  for (const TensorSpec& tensor : manifest.plan.tensors) put_tensor(tensor, *to.add_tensors());
  for (size_t i = 0; i < manifest.shards.size(); ++i)
    put_shard(manifest.shards[i], manifest.plan.shards[i], *to.add_shards());
  return to;
}

// ---- from protobuf ----

class FromProtobuf {
 public:
  explicit FromProtobuf(const std::string& where) : where_(where) {}

  Manifest manifest(const checkpoint::Manifest& from) const {
    Manifest manifest{.info = info(from.info()), .counters = counters(from.counters()), .plan = {}};
    manifest.plan.step = manifest.counters.attempted_steps;
    manifest.plan.tensors.reserve(from.tensors_size());
    for (const auto& entry : from.tensors()) manifest.plan.tensors.push_back(tensor(entry));
    manifest.shards.reserve(from.shards_size());
    manifest.plan.shards.reserve(from.shards_size());
    for (const auto& entry : from.shards()) {
      manifest.shards.push_back(shard(entry));
      std::vector<Piece>& pieces = manifest.plan.shards.emplace_back();
      pieces.reserve(entry.pieces_size());
      for (const auto& one : entry.pieces()) pieces.push_back(piece(one));
    }
    return manifest;
  }

 private:
  // Every number of the format is natural and fits the type that it has here.
  template <typename T = int64_t>
  T natural(uint64_t value) const {
    if (value > static_cast<uint64_t>(std::numeric_limits<T>::max()))
      refuse(where_, "holds a number that is too large: {}", value);
    return static_cast<T>(value);
  }

  ManifestInfo info(const checkpoint::Info& from) const {
    return {.layout = {.data = natural<int32_t>(from.data()),
                       .tensor = natural<int32_t>(from.tensor()),
                       .pipeline = natural<int32_t>(from.pipeline()),
                       .zero = natural<int32_t>(from.zero())},
            .seed = from.seed(),
            .data_identity = from.data_identity(),
            .global_batch = natural(from.global_batch()),
            .trireme_version = from.trireme_version(),
            .job_name = from.job_name()};
  }

  Counters counters(const checkpoint::Counters& from) const {
    if (from.loss_scale_size() != 0 && from.loss_scale_size() != 2)
      refuse(where_, "the loss scale has {} numbers, expected 2", from.loss_scale_size());
    const bool scaled = from.loss_scale_size() == 2;
    return {.attempted_steps = natural(from.attempted_steps()),
            .applied_steps = natural(from.applied_steps()),
            .non_finite_steps = natural(from.non_finite_steps()),
            .refused_in_a_row = natural(from.refused_in_a_row()),
            .best_value = std::bit_cast<double>(from.best_value_bits()),
            .best_step = from.best_step(),
            .evaluations_since_best = natural(from.evaluations_since_best()),
            .judged = std::bit_cast<double>(from.judged_bits()),
            .loss_scale_power = scaled ? natural(from.loss_scale(0)) : -1,
            .steps_since_scaled = scaled ? natural(from.loss_scale(1)) : 0};
  }

  TensorSpec tensor(const checkpoint::Tensor& from) const {
    if (from.role() < checkpoint::PARAMETER || from.role() > checkpoint::AVERAGE)
      refuse(where_, "a tensor has the unknown role {}", static_cast<int>(from.role()));
    if (from.dtype() != checkpoint::F32)
      refuse(where_, "a tensor has the unknown dtype {}", static_cast<int>(from.dtype()));
    std::vector<int64_t> dims;
    for (const uint64_t extent : from.shape()) dims.push_back(natural(extent));
    TensorSpec tensor{.name = from.name(), .role = static_cast<TensorRole>(from.role() - 1)};
    try {
      tensor.shape = core::Shape(dims);
    } catch (const InvalidArgument& error) {  // too many axes, or a product past 2^62
      refuse(where_, "a tensor: {}", error.what());
    }
    return tensor;
  }

  ShardRecord shard(const checkpoint::Shard& from) const {
    return {.bytes = natural(from.bytes()),
            .header_bytes = natural(from.header_bytes()),
            .header_hash = from.header_hash(),
            .block_checksums = {from.block_checksums().begin(), from.block_checksums().end()}};
  }

  Piece piece(const checkpoint::Piece& from) const {
    if (from.origin_size() > kMaxTensorRank || from.extent_size() != from.origin_size())
      refuse(where_, "a piece has {} origins and {} extents, expected as many, {} at most",
             from.origin_size(), from.extent_size(), kMaxTensorRank);
    Piece piece{.tensor = natural<int>(from.tensor()), .box = {.rank = from.origin_size()}};
    for (int axis = 0; axis < piece.box.rank; ++axis) {
      piece.box.origin[axis] = natural(from.origin(axis));
      piece.box.extent[axis] = natural(from.extent(axis));
    }
    return piece;
  }

  const std::string& where_;
};

}  // namespace

bool Counters::operator==(const Counters& other) const {
  const auto all = [](const Counters& c) {
    return std::array{c.attempted_steps,
                      c.applied_steps,
                      c.non_finite_steps,
                      c.refused_in_a_row,
                      std::bit_cast<int64_t>(c.best_value),
                      c.best_step,
                      c.evaluations_since_best,
                      std::bit_cast<int64_t>(c.judged),
                      c.loss_scale_power,
                      c.steps_since_scaled};
  };
  return all(*this) == all(other);
}

int64_t Manifest::bytes() const {
  int64_t sum = 0;
  for (const ShardRecord& shard : shards) sum += shard.bytes;
  return sum;
}

std::string encode(const Manifest& manifest) {
  check_manifest(manifest, kManifestName);
  const std::string payload = to_protobuf(manifest).SerializeAsString();
  std::string file = close_envelope(payload);
  if (std::ssize(file) > kMaxManifestBytes)
    refuse(kManifestName, "would have {} bytes, at most {} are allowed", file.size(),
           kMaxManifestBytes);
  return file;
}

Manifest decode(std::span<const std::byte> file, const std::string& name) {
  const std::span<const std::byte> payload = open_envelope(file, name);
  check_wire(*checkpoint::Manifest::descriptor(), payload,
             {{"Tensor", kMaxTensors}, {"Shard", kMaxShards}, {"Piece", kMaxPieces}}, name);
  checkpoint::Manifest parsed;
  if (!parsed.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
    refuse(name, "its payload is malformed");
  Manifest manifest = FromProtobuf(name).manifest(parsed);
  check_manifest(manifest, name);
  return manifest;
}

std::string text_of(const Manifest& manifest) {
  checkpoint::Manifest message = to_protobuf(manifest);
  for (checkpoint::Shard& shard : *message.mutable_shards()) shard.clear_block_checksums();
  std::string text;
  google::protobuf::TextFormat::PrintToString(message, &text);
  return text;
}

}  // namespace trireme::launcher
