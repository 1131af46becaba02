#include "core/random/initializer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"
#include "core/cpu/simd.h"
#include "core/random/distributions.h"

namespace trireme::core {
namespace {

// Blocks of four elements that are drawn at once: enough for the loops to be worth vectorising.
constexpr int kBlocks = 64;
constexpr int kChunk = 4 * kBlocks;

struct Stream4 {
  uint64_t key, sample, first_block;
};

TRIREME_SIMD void draw_uniform(Stream4 from, float low, float high, float* out) {
  for (int block = 0; block < kBlocks; ++block) {
    const PhiloxBlock bits = philox(from.key, from.first_block + block, from.sample);
    for (int lane = 0; lane < 4; ++lane)
      out[4 * block + lane] = uniform(bits.lane[lane], low, high);
  }
}

TRIREME_SIMD void draw_normal(Stream4 from, float mean, float stddev, float* out) {
  // Two loops, so that each has one kind of work to vectorise.
  uint32_t lanes[kChunk];
  for (int block = 0; block < kBlocks; ++block) {
    const PhiloxBlock bits = philox(from.key, from.first_block + block, from.sample);
    for (int lane = 0; lane < 4; ++lane) lanes[4 * block + lane] = bits.lane[lane];
  }
  for (int pair = 0; pair < kChunk; pair += 2) {
    const NormalPair x = normal_pair(lanes[pair], lanes[pair + 1]);
    out[pair] = exact::fma(stddev, x.first, mean);
    out[pair + 1] = exact::fma(stddev, x.second, mean);
  }
}

void check(const Init& init, int64_t first_element) {
  if (first_element < 0) fail("[init] expects a first element >= 0, got {}", first_element);
  if (!std::isfinite(init.a) || !std::isfinite(init.b))
    fail("[init] expects finite bounds, got {} and {}", init.a, init.b);
  if (init.kind == Init::Kind::kUniform && !(init.a < init.b))
    fail("[init] uniform expects low < high, got [{}, {})", init.a, init.b);
  if (init.kind == Init::Kind::kNormal && init.b < 0)
    fail("[init] normal expects a standard deviation >= 0, got {}", init.b);
}

}  // namespace

void fill(const Init& init, uint64_t key, int64_t first_element, std::span<float> values,
          uint64_t sample) {
  check(init, first_element);
  if (init.kind == Init::Kind::kConstant) {
    std::ranges::fill(values, init.a);
    return;
  }
  std::array<float, kChunk> chunk;
  uint64_t element = static_cast<uint64_t>(first_element);
  while (!values.empty()) {
    const Stream4 from{key, sample, element / 4};
    if (init.kind == Init::Kind::kUniform)
      draw_uniform(from, init.a, init.b, chunk.data());
    else
      draw_normal(from, init.a, init.b, chunk.data());
    const size_t skip = element % 4;
    const size_t count = std::min(values.size(), kChunk - skip);
    std::copy_n(chunk.data() + skip, count, values.data());
    values = values.subspan(count);
    element += count;
  }
}

}  // namespace trireme::core
