#include "launcher/checkpoint/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "comm/group_transport.h"
#include "core/graph/slice.h"
#include "launcher/checkpoint/diff.h"
#include "launcher/checkpoint/saver.h"
#include "parallel/groups.h"
#include "parallel/plan_training.h"
#include "tests/support/ranks.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_session.h"

namespace trireme::launcher {
namespace {

using core::Shape;
using core::Slice;
using core::StateBuffer;
using test::SmallBatches;
using test::SmallNet;
using testing::run_ranks;

const SmallNet kNet{.optimizer = core::AdamOptions{}};

void save(comm::Communicator& group, core::Session& session, core::Device& device,
          const std::filesystem::path& folder, int64_t step) {
  Saver saver(group, session, device, CheckpointStore(folder), {.seed = 3}, {}, {});
  saver.begin({.attempted_steps = step, .applied_steps = step});
  EXPECT_TRUE(saver.finish());
}

// Slices of the small net's parameters by a tensor axis of two ranks. Their local shapes are the
// net's; the whole ones are larger, and two of them not as large as the ranges reach.
using Slices = std::map<std::string, Slice>;
constexpr StateBuffer kBuffers[] = {StateBuffer::kParameters, StateBuffer::kMoment1,
                                    StateBuffer::kMoment2, StateBuffer::kAverage};

const std::map<std::string, Shape> kWhole = {
    {"fc1/weight", {18, 7}}, {"fc1/bias", {16}}, {"fc2/weight", {5, 17}}, {"fc2/bias", {5}}};

Slices halves(int rank) {
  const int64_t begin = 9 * rank, end = begin + 9;
  return {{"fc1/weight", {kWhole.at("fc1/weight"), 0, {{begin, end}}}},
          {"fc1/bias", {kWhole.at("fc1/bias"), 0, {{begin, end}}}},
          {"fc2/weight", {kWhole.at("fc2/weight"), 1, {{begin, end}}}},
          {"fc2/bias", {}}};
}

// As fused weights are cut: a part of each of two pieces.
Slices fused(int rank) {
  using Ranges = std::vector<std::pair<int64_t, int64_t>>;
  const Ranges ranges = rank == 0 ? Ranges{{0, 4}, {9, 14}} : Ranges{{4, 9}, {14, 18}};
  return {{"fc1/weight", {kWhole.at("fc1/weight"), 0, ranges}},
          {"fc1/bias", {kWhole.at("fc1/bias"), 0, ranges}},
          {"fc2/weight", {kWhole.at("fc2/weight"), 1, ranges}},
          {"fc2/bias", {}}};
}

core::SessionPlan plan_of(const Slices& slices) {
  core::SessionPlan plan = test::small_plan(kNet, core::DeviceKind::kCpu);
  for (core::FlatParameter& parameter : plan.layout.parameters)
    parameter.slice = slices.at(parameter.name);
  plan.whole = core::whole_parameters(plan.layout);
  plan.average.emplace();
  return plan;
}

float value_of(StateBuffer buffer, const std::string& name, int64_t element) {
  const auto place = std::distance(kWhole.begin(), kWhole.find(name));
  return static_cast<float>(100000 * static_cast<int>(buffer) + 1000 * (place + 1) + element);
}

// What lies here of a parameter; padding is zero.
std::vector<float> local_values(const core::FlatParameter& parameter, StateBuffer buffer) {
  std::vector<float> values(static_cast<size_t>(parameter.elements));
  core::for_each_run(parameter.slice, parameter.shape,
                     [&](int64_t whole, int64_t local, int64_t count) {
                       for (int64_t i = 0; i < count; ++i)
                         values[local + i] = value_of(buffer, parameter.name, whole + i);
                     });
  return values;
}

struct SlicedRank {
  explicit SlicedRank(const Slices& slices)
      : device(core::make_cpu_device(1)), session(*device, transport, plan_of(slices)) {}

  template <typename Act>
  void for_each_buffer(const Act& act) {
    for (const core::FlatParameter& parameter : session.plan().layout.parameters)
      for (auto buffer : kBuffers)
        act(parameter, core::StateRange{buffer, parameter.offset, parameter.elements});
  }

  std::unique_ptr<core::Device> device;
  test::NoTransport transport;
  core::Session session;
};

void expect_whole(CheckpointReader& reader) {
  EXPECT_EQ(reader.manifest().plan.tensors.size(), 16u);
  for (int i = 0; i < std::ssize(reader.manifest().plan.tensors); ++i) {
    const TensorSpec& tensor = reader.manifest().plan.tensors[i];
    ASSERT_EQ(tensor.shape, kWhole.at(tensor.name));
    std::vector<float> values(tensor.shape.elements());
    reader.read(i, whole_box(tensor.shape), values.data());
    for (int64_t j = 0; j < std::ssize(values); ++j)
      ASSERT_EQ(values[j], value_of(kBuffers[i / 4], tensor.name, j)) << tensor.key() << j;
  }
}

TEST(State, SlicesOfATensorAxisMakeUpTheWholeAndAnySlicesReadIt) {
  for (auto* written : {&halves, &fused})
    for (const int data : {1, 2, 3}) {
      ScratchFolder scratch;
      run_ranks(2 * data, [&](comm::Communicator& group) {
        SlicedRank rank(written(group.rank() % 2));
        rank.for_each_buffer([&](const auto& parameter, const core::StateRange& range) {
          rank.session.write_state(range, local_values(parameter, range.buffer));
        });
        save(group, rank.session, *rank.device, scratch.path(), 1);
      });
      CheckpointReader reader(scratch / "step-00000001");
      EXPECT_EQ(std::ssize(reader.manifest().shards), 2 * data);
      expect_whole(reader);
      for (auto* read : {&halves, &fused})
        for (int rank : {0, 1}) {
          SlicedRank other(read(rank));
          check_same_tensors(reader, state_tensors(other.session.plan()));
          load_state(reader, other.session);
          other.for_each_buffer([&](const auto& parameter, const core::StateRange& range) {
            std::vector<float> values(parameter.elements);
            other.session.read_state(std::span(&range, 1), values.data());
            EXPECT_EQ(values, local_values(parameter, range.buffer)) << parameter.name;
          });
        }
    }
}

// A rank of a data axis whose ranks share their state.
struct ZeroRank {
  ZeroRank(comm::Communicator& group, int zero)
      : device(core::make_cpu_device(1)),
        mesh({}, group.size()),
        groups(group, mesh, {}),
        session(*device, connect(), plan(group, zero)) {}

  core::Transport& connect() {
    groups.add_to(transport);
    return transport;
  }
  core::SessionPlan plan(comm::Communicator& group, int zero) const {
    const int64_t micro_batch = kNet.batch / group.size();
    return parallel::plan_training(
        test::small_graph(kNet, micro_batch), {}, mesh,
        {.rank = group.rank(),
         .batch = parallel::split_batch(kNet.batch, micro_batch, group.size()),
         .optimizer = kNet.optimizer,
         .schedule = {.base_lr = kNet.lr},
         .seed = 3,
         .zero = zero,
         .bucket_bytes = 256});
  }

  std::unique_ptr<core::Device> device;
  parallel::Mesh mesh;
  parallel::MeshGroups groups;
  comm::GroupTransport transport;
  core::Session session;
};

void expect_equal(const std::filesystem::path& a, const std::filesystem::path& b) {
  CheckpointReader left(a), right(b);
  for (const TensorDifference& tensor : compare(left, right).tensors)
    EXPECT_EQ(tensor.kind, TensorDifference::Kind::kEqual) << tensor.key;
}

TEST(State, EveryZeroAndNumberOfRanksReadsEveryOther) {
  const std::pair<int, int> layouts[] = {{1, 0}, {2, 1}, {3, 2}, {3, 3}, {4, 0}, {4, 3}};
  for (const auto& [ranks, zero] : layouts) {
    ScratchFolder scratch;
    run_ranks(ranks, [&, zero = zero](comm::Communicator& group) {
      ZeroRank rank(group, zero);
      rank.session.initialize();
      for (unsigned step = 0; step < 2; ++step) {
        SmallBatches batches(kNet, step, group.rank(), group.size());
        rank.session.train_step(batches);
      }
      save(group, rank.session, *rank.device, scratch.path(), 2);
    });
    for (const auto& [others, other] : layouts) {
      const std::string again = fmt::format("{}-{}", others, other);
      run_ranks(others, [&, other = other](comm::Communicator& group) {
        ZeroRank rank(group, other);
        CheckpointReader reader(scratch / "step-00000002");
        load_state(reader, rank.session);
        save(group, rank.session, *rank.device, scratch / again, 2);
      });
      SCOPED_TRACE(fmt::format("{} ranks, zero {}; then {}", ranks, zero, again));
      expect_equal(scratch / "step-00000002", scratch / again / "step-00000002");
    }
  }
}

}  // namespace
}  // namespace trireme::launcher
