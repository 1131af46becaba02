#include "core/sim/device_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.h"
#include "core/ops/linear.h"

namespace trireme::core {
namespace {

DeviceModel simple() {
  return {.name = "simple",
          .source = "a test",
          .f32 = {2000, 1000},
          .half = {},
          .bytes_per_second = 100,
          .op_seconds = 0.5,
          .ranks_per_node = 4,
          .inside = {0.25, 64},
          .between = {1, 8},
          .ops = {}};
}

TEST(DeviceModel, WorkIsBoundByArithmeticOrMemory) {
  EXPECT_DOUBLE_EQ(work_seconds(simple(), "linear", {.flops = 4000, .bytes = 100}), 4.5);
  EXPECT_DOUBLE_EQ(work_seconds(simple(), "linear", {.flops = 40, .bytes = 1000}), 10.5);
}

TEST(DeviceModel, SamplesWinAndAreMetExactly) {
  DeviceModel device = simple();
  device.ops["linear"] = {{1000, 100, 7}, {int64_t{1} << 30, int64_t{1} << 20, 9}};
  EXPECT_NEAR(work_seconds(device, "linear", {.flops = 1000, .bytes = 100}), 7, 1e-6);
  EXPECT_NEAR(work_seconds(device, "linear", {.flops = int64_t{1} << 30, .bytes = 1 << 20}), 9,
              1e-6);
  EXPECT_DOUBLE_EQ(work_seconds(device, "relu", {.flops = 0, .bytes = 100}), 1.5);
}

// Where the rate is not known, halves are as slow as f32; samples are of f32.
TEST(DeviceModel, ProductsOfHalvesHaveTheirOwnRate) {
  const Cost cost{.flops = 40000, .bytes = 100};
  DeviceModel device = simple();
  EXPECT_DOUBLE_EQ(work_seconds(device, "linear", cost, DType::kBF16), 40.5);
  device.half = {20000, 10000};
  device.ops["linear"] = {{1000, 100, 7}};
  EXPECT_DOUBLE_EQ(work_seconds(device, "linear", cost, DType::kBF16), 4.5);
  EXPECT_NE(work_seconds(device, "linear", cost), 4.5);

  device.ops.clear();
  device.bytes_per_second = 1e6;
  const ValueType x{{100, 200}, DType::kF32}, w{{300, 200}, DType::kF32};
  const std::vector<ValueType> inputs{x, w}, outputs{{{100, 300}, DType::kF32}};
  const auto seconds = [&](DType operands) {
    return node_seconds(device, Linear({.operands = operands}), {inputs, outputs});
  };
  EXPECT_DOUBLE_EQ(seconds(DType::kF32), 12000.5);
  EXPECT_DOUBLE_EQ(seconds(DType::kF16), 1200.5);
}

TEST(DeviceModel, BeyondTheSamplesTimeGrowsWithTheWork) {
  DeviceModel device = simple();
  device.ops["relu"] = {{0, 1000, 2}, {0, 100000, 50}};
  EXPECT_NEAR(work_seconds(device, "relu", {.bytes = 100000 * 64}), 50 * 64, 50 * 64 * 1e-6);
  const double between = work_seconds(device, "relu", {.bytes = 10000});
  EXPECT_GT(between, 5);
  EXPECT_LT(between, 20);
}

// One node of 4: the link inside. 8 on 2 nodes: 4 links of 8 bytes a second between them.
TEST(DeviceModel, TransfersAreTheFormulas) {
  const DeviceModel device = simple();
  using K = CollectiveKind;
  EXPECT_DOUBLE_EQ(transfer_seconds(device, K::kAllReduce, 640, {1, 1}), 0);
  EXPECT_DOUBLE_EQ(transfer_seconds(device, K::kAllReduce, 640, {4, 1}), 1.5 * 10 + 4 * 0.25);
  EXPECT_DOUBLE_EQ(transfer_seconds(device, K::kReduceScatter, 64, {4, 1}), 3 * 1 + 2 * 0.25);
  EXPECT_DOUBLE_EQ(transfer_seconds(device, K::kAllGather, 64, {3, 1}), 2 * 1 + 2 * 0.25);
  EXPECT_DOUBLE_EQ(transfer_seconds(device, K::kSend, 64, {2, 1}), 1.25);
  EXPECT_DOUBLE_EQ(transfer_seconds(device, K::kSend, 64, {2, 2}), 9);
  EXPECT_DOUBLE_EQ(transfer_seconds(device, K::kAllReduce, 640, {8, 2}), 1.75 * 20 + 6 * 1);
}

TEST(DeviceModel, MessagesWithinANodeMayHaveALinkOfTheirOwn) {
  DeviceModel device = simple();
  device.messages = {3, 16};
  using K = CollectiveKind;
  EXPECT_DOUBLE_EQ(transfer_seconds(device, K::kSend, 64, {2, 1}), 7);
  EXPECT_DOUBLE_EQ(transfer_seconds(device, K::kRecv, 64, {4, 1}), 7);
  EXPECT_DOUBLE_EQ(transfer_seconds(device, K::kSend, 64, {2, 2}), 9);
  EXPECT_DOUBLE_EQ(transfer_seconds(device, K::kAllReduce, 640, {4, 1}), 1.5 * 10 + 4 * 0.25);
}

TEST(DeviceModel, KnownDevices) {
  EXPECT_EQ(find_device("H100").kind, DeviceKind::kCuda);
  for (const DeviceModel& device : known_devices()) {
    EXPECT_GE(device.f32.peak, device.f32.reached) << device.name;
    EXPECT_GT(device.bytes_per_second, 0) << device.name;
    EXPECT_GE(device.inside.bytes_per_second, device.between.bytes_per_second) << device.name;
    EXPECT_FALSE(device.source.empty());
  }
  try {
    find_device("abacus");
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("\"abacus\""));
    EXPECT_THAT(error.what(), testing::HasSubstr("cpu, a100, h100, h200, b200"));
  }
}

}  // namespace
}  // namespace trireme::core
