#include "launcher/checkpoint/finite.h"

#include <gtest/gtest.h>

#include <limits>
#include <utility>
#include <vector>

namespace trireme::launcher {
namespace {

using Limits = std::numeric_limits<float>;

TEST(AllFinite, SeesOneValueAnywhere) {
  for (const size_t size : {1, 63, 64, 65, 200}) {
    std::vector<float> values(size, -Limits::max());
    values[size / 2] = Limits::denorm_min();
    EXPECT_TRUE(all_finite(values)) << size;
    for (const float bad : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(),
                            -Limits::signaling_NaN()})
      for (float& value : values) {
        const float kept = std::exchange(value, bad);
        EXPECT_FALSE(all_finite(values)) << bad << " among " << size;
        value = kept;
      }
  }
  EXPECT_TRUE(all_finite({}));
}

}  // namespace
}  // namespace trireme::launcher
