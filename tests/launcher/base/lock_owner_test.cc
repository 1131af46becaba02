#include "launcher/base/lock_owner.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "tests/launcher/base/lock_attempts.h"

namespace trireme::launcher {
namespace {

TEST(LockOwner, ReadsBackWhatItWrites) {
  const LockOwner owner = LockOwner::self();
  const std::string text = owner.encode(12);
  EXPECT_EQ(text.substr(static_cast<size_t>(owner.counter_offset()), LockOwner::kDigits),
            LockOwner::digits(12));
  const auto again = LockOwner::parse(text);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->encode(12), text);
  EXPECT_EQ(again->life(), LockOwner::Life::kAlive);
  EXPECT_EQ(elsewhere().life(), LockOwner::Life::kUnknown);
}

TEST(LockOwner, RefusesWhatItDoesNotWrite) {
  const std::string good = LockOwner::self().encode(1);
  for (size_t length = 0; length + 1 < good.size(); ++length)
    EXPECT_FALSE(LockOwner::parse(good.substr(0, length))) << length;
  const auto with = [&](const char* key, const nlohmann::json& value) {
    auto json = nlohmann::json::parse(good);
    json[key] = value;
    return LockOwner::parse(json.dump());
  };
  EXPECT_FALSE(with("host", "a\nb"));
  EXPECT_FALSE(with("host", std::string(300, 'a')));
  EXPECT_FALSE(with("uuid", ""));
  EXPECT_FALSE(with("pid", 0));
  EXPECT_FALSE(with("pid", "1"));
  EXPECT_FALSE(with("counter", "1"));
  EXPECT_FALSE(with("counter", 1));
  EXPECT_FALSE(with("since", "\x1b[31m"));
}

}  // namespace
}  // namespace trireme::launcher
