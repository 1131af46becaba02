#include "launcher/checkpoint/retention.h"

#include <gtest/gtest.h>

namespace trireme::launcher {
namespace {

using Steps = std::vector<int64_t>;

struct Case {
  const char* what;
  RetentionOptions options;
  Steps steps, best, gone;
};

TEST(Retention, Table) {
  const Steps ten{10, 20, 30, 40, 50, 60, 70, 80, 90, 100};
  const Case cases[] = {
      {"nothing there", {.keep_last = 2}, {}, {}, {}},
      {"one is never removed", {.keep_last = 1}, {10}, {}, {}},
      {"0: all", {}, ten, {}, {}},
      {"0: all, whatever else is asked", {.keep_every = 50, .keep_best = 1}, ten, {20}, {}},
      {"more than there are", {.keep_last = 11}, ten, {}, {}},
      {"as many as there are", {.keep_last = 10}, ten, {}, {}},
      {"the newest", {.keep_last = 1}, ten, {}, {10, 20, 30, 40, 50, 60, 70, 80, 90}},
      {"in any order", {.keep_last = 2}, {30, 10, 40, 20}, {}, {10, 20}},
      {"given twice", {.keep_last = 2}, {30, 10, 30, 20, 30}, {}, {10}},
      {"multiples", {.keep_last = 2, .keep_every = 40}, ten, {}, {10, 20, 30, 50, 60, 70}},
      {"step 0 is a multiple", {.keep_last = 1, .keep_every = 7}, {0, 1, 2}, {}, {1}},
      {"best", {.keep_last = 1, .keep_best = 2}, {1, 2, 3, 4, 5}, {2, 4, 1}, {1, 3}},
      {"best that is gone",
       {.keep_last = 1, .keep_best = 1},
       {1, 2, 3, 4, 5},
       {9, 2, 1},
       {1, 3, 4}},
      {"best that is not asked for", {.keep_last = 1}, {1, 2, 3}, {1}, {1, 2}},
      {"best is the newest", {.keep_last = 2, .keep_best = 1}, {1, 2, 3}, {3}, {1}},
      {"all together",
       {.keep_last = 2, .keep_every = 30, .keep_best = 1},
       ten,
       {20, 10},
       {10, 40, 50, 70, 80}},
  };
  for (const Case& c : cases) EXPECT_EQ(expendable(c.steps, c.options, c.best), c.gone) << c.what;
}

}  // namespace
}  // namespace trireme::launcher
