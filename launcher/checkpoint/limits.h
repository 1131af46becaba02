// How large anything in a checkpoint may be. Every count, size and length that is read from a file
// is held against one of these, and against the bytes that are really there, before memory is taken
// for it.
#pragma once

#include <cstdint>

#include "core/base/shape.h"

namespace trireme::launcher {

constexpr int64_t kBlockBytes = int64_t{1} << 20;  // a shard's checksums are of so many bytes
constexpr int64_t kMaxManifestBytes = int64_t{64} << 20;  // of checksums for about 8 TiB
constexpr int64_t kMaxShardHeaderBytes = 100'000'000;     // as the safetensors library has it
constexpr int64_t kMaxShards = 1 << 16;
constexpr int64_t kMaxTensors = 1 << 18;
constexpr int64_t kMaxPieces = 1 << 20;           // of all tensors
constexpr int64_t kMaxPiecesPerTensor = 1 << 14;  // of one
constexpr int64_t kMaxNameBytes = 512;            // of a tensor
constexpr int64_t kMaxTextBytes = 4096;           // of any other text
constexpr int64_t kMaxWorld = 1 << 20;
constexpr int kMaxTensorRank = core::Shape::kMaxRank;

}  // namespace trireme::launcher
