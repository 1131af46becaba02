// A shuffle without a table: a seeded bijection of [0, N) that needs constant memory and gives any
// element by itself, so that the data state of a job of any size is a seed and a sample number.
//
// An alternating Feistel network over the smallest power of two >= N (below 2 N), with Philox as
// its round function, walks its cycle until it is back in [0, N).
//
// Source: Black and Rogaway, Ciphers with arbitrary finite domains (CT-RSA 2002), section 4.
#pragma once

#include <cstdint>

namespace trireme::core {

class Bijection {
 public:
  static constexpr int64_t kMaxSize = int64_t{1} << 62;

  // `key` from random_key(); every `epoch` >= 0 is a bijection of its own.
  // Throws InvalidArgument unless 1 <= size <= 2^62.
  Bijection(uint64_t key, int64_t epoch, int64_t size);

  // Where position n of [0, size) goes. The same value on every machine and in every release.
  // Throws InvalidArgument if n lies outside. About 0.5 us.
  int64_t operator()(int64_t n) const;

  int64_t size() const { return size_; }

 private:
  uint64_t permute(uint64_t value) const;

  uint64_t key_;
  uint64_t epoch_;
  int64_t size_;
  int low_bits_;
  uint64_t low_mask_;
  uint64_t high_mask_;
};

}  // namespace trireme::core
