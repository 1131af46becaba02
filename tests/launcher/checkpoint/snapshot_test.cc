#include "launcher/checkpoint/snapshot.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "core/base/error.h"
#include "tests/support/small_session.h"

namespace trireme::launcher {
namespace {

using core::StateBuffer;
using core::StateRange;

struct Trained {
  explicit Trained(const core::OptimizerOptions& optimizer)
      : net{.optimizer = optimizer},
        session(*device, transport, test::small_plan(net, core::DeviceKind::kCpu)) {
    session.initialize();
    step();
  }
  void step() {
    test::SmallBatches batches(net, steps++);
    session.train_step(batches);
  }
  std::vector<float> now(const StateRange& range) const {
    std::vector<float> values(static_cast<size_t>(range.elements));
    session.read_state(std::span(&range, 1), values.data());
    return values;
  }

  test::SmallNet net;
  std::unique_ptr<core::Device> device = core::make_cpu_device(1);
  test::NoTransport transport;
  core::Session session;
  unsigned steps = 0;
};

std::vector<float> read_all(const Snapshot& snapshot, size_t i) {
  std::vector<float> values;
  while (std::ssize(values) < snapshot.ranges()[i].elements) {
    const std::span<const float> more = snapshot.read(i, std::ssize(values));
    EXPECT_FALSE(more.empty());
    values.insert(values.end(), more.begin(), more.end());
  }
  return values;
}

TEST(Snapshot, ReaderWaitsForTheCopyOfEachInstant) {
  Trained trained{core::AdamOptions{}};
  const std::vector<StateRange> ranges{{StateBuffer::kMoment2, 3, 20},
                                       {StateBuffer::kParameters, 0, 31},
                                       {StateBuffer::kMoment1, 7, 1}};
  Snapshot snapshot(trained.session, *trained.device, ranges);
  for (int instant = 0; instant < 3; ++instant) {
    std::vector<std::vector<float>> expected;
    for (const StateRange& range : ranges) expected.push_back(trained.now(range));
    snapshot.begin();
    auto reading = std::async(std::launch::async, [&] {
      std::vector<std::vector<float>> values;
      for (size_t i = 0; i < ranges.size(); ++i) values.push_back(read_all(snapshot, i));
      return values;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the reader is there first
    snapshot.take();
    trained.step();  // what was taken stays
    EXPECT_EQ(reading.get(), expected) << instant;
  }
}

TEST(Snapshot, ReaderHearsThatTheCopyFailed) {
  const Trained trained{core::SgdOptions{}};  // which has no second moment
  Snapshot snapshot(trained.session, *trained.device,
                    {{StateBuffer::kParameters, 0, 4}, {StateBuffer::kMoment2, 0, 4}});
  snapshot.begin();
  auto reading = std::async(std::launch::async, [&] { return snapshot.read(1, 0).size(); });
  EXPECT_THROW(snapshot.take(), std::exception);
  EXPECT_THROW(reading.get(), SystemError);
}

}  // namespace
}  // namespace trireme::launcher
