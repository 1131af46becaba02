#include "core/runtime/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/program/build.h"
#include "tests/support/allocation_counter.h"
#include "tests/support/small_session.h"

namespace trireme::core {
namespace {

using test::DoubleNet;
using test::NoTransport;
using test::small_plan;
using test::SmallBatches;
using test::SmallNet;

const std::vector<std::string> kNames{"fc1/weight", "fc1/bias", "fc2/weight", "fc2/bias"};

struct CpuSession {
  explicit CpuSession(const SmallNet& net)
      : device(make_cpu_device(1)), session(*device, transport, small_plan(net, DeviceKind::kCpu)) {
    session.initialize();
  }
  std::unique_ptr<Device> device;
  NoTransport transport;
  Session session;
};

void expect_near(const std::vector<float>& got, const std::vector<double>& want, double tolerance,
                 const std::string& name) {
  ASSERT_EQ(got.size(), want.size());
  double largest = 0;
  for (double value : want) largest = std::max(largest, std::abs(value));
  ASSERT_GT(largest, 1e-3) << name << ": values near zero prove nothing";
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], tolerance * largest) << name << "[" << i << "]";
}

std::vector<double> widen(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

TEST(Session, FiveStepsEqualPlainLoopsInDouble) {
  const SmallNet net{.micro_batches = 3};
  CpuSession cpu(net);
  Session& session = cpu.session;
  DoubleNet reference(net);
  reference.w1 = widen(session.parameter("fc1/weight"));
  reference.b1 = widen(session.parameter("fc1/bias"));
  reference.w2 = widen(session.parameter("fc2/weight"));
  reference.b2 = widen(session.parameter("fc2/bias"));
  for (unsigned step = 0; step < 5; ++step) {
    SmallBatches batches(net, step);
    const double loss = session.train_step(batches).sums[0].mean();
    EXPECT_NEAR(loss, reference.step(batches, 0.1), 1e-6 * loss);
    expect_near(session.gradient("fc1/weight"), reference.dw1, 1e-5, "fc1/weight/grad");
    expect_near(session.gradient("fc1/bias"), reference.db1, 1e-5, "fc1/bias/grad");
    expect_near(session.gradient("fc2/weight"), reference.dw2, 1e-5, "fc2/weight/grad");
    expect_near(session.gradient("fc2/bias"), reference.db2, 1e-5, "fc2/bias/grad");
    expect_near(session.parameter("fc1/weight"), reference.w1, 1e-5, "fc1/weight");
    expect_near(session.parameter("fc2/bias"), reference.b2, 1e-5, "fc2/bias");
  }
}

TEST(Session, MicroBatchesGiveTheGradientOfTheWholeBatch) {
  SmallNet whole;
  CpuSession one(whole);
  SmallBatches batch(whole, 1);
  one.session.train_step(batch);
  for (int pieces : {2, 3, 4, 6, 12}) {
    SmallNet cut = whole;
    cut.micro_batches = pieces;
    CpuSession many(cut);
    SmallBatches cut_batch(cut, 1);
    many.session.train_step(cut_batch);
    for (const std::string& name : kNames)
      expect_near(many.session.gradient(name), widen(one.session.gradient(name)), 1e-5, name);
  }
}

TEST(Session, ANonFiniteStepLeavesEveryBitAsItWas) {
  const SmallNet net{.optimizer = AdamOptions{.weight_decay = 0.1f}};
  CpuSession cpu(net);
  SmallBatches good(net, 1), bad(net, 2);
  bad.data[5] = std::numeric_limits<float>::quiet_NaN();
  cpu.session.train_step(good);
  const std::vector<float> before = cpu.session.parameters();
  const PassResult& result = cpu.session.train_step(bad);
  EXPECT_EQ(result.step.apply, 0);
  EXPECT_EQ(result.step.applied_steps, 1);
  EXPECT_EQ(result.step.non_finite_steps, 1);
  EXPECT_EQ(cpu.session.parameters(), before);

  // The moments too: a session that never saw the bad batch takes the same third step.
  CpuSession spared(net);
  spared.session.train_step(good);
  SmallBatches next(net, 3);
  spared.session.train_step(next);
  SmallBatches same(net, 3);
  EXPECT_EQ(cpu.session.train_step(same).step.apply, 1);
  EXPECT_EQ(cpu.session.parameters(), spared.session.parameters());
}

TEST(Session, ClippingBoundsTheGradientOfTheUpdate) {
  SmallNet net{.clip_norm = 0.01f};
  CpuSession cpu(net);
  const std::vector<float> before = cpu.session.parameters();
  SmallBatches batch(net, 1);
  const PassResult& result = cpu.session.train_step(batch);
  ASSERT_GT(result.step.grad_norm, 0.1);
  const std::vector<float> after = cpu.session.parameters();
  double moved = 0;
  for (size_t i = 0; i < before.size(); ++i)
    moved += std::pow((after[i] - before[i]) / net.lr, 2.0);
  EXPECT_NEAR(std::sqrt(moved), 0.01, 1e-5);
}

TEST(Session, EvaluationSeesTheTrainedParametersAndChangesNothing) {
  const SmallNet net{.micro_batches = 2};
  CpuSession cpu(net);
  SmallBatches batch(net, 1);
  const double before = cpu.session.evaluate(batch).sums[0].mean();
  for (int step = 0; step < 20; ++step) cpu.session.train_step(batch);
  const std::vector<float> parameters = cpu.session.parameters();
  const PassResult& after = cpu.session.evaluate(batch);
  EXPECT_LT(after.sums[0].mean(), 0.8 * before);
  EXPECT_EQ(after.sums[0].weight, 12);
  EXPECT_EQ(after.sums[1].weight, 12);
  EXPECT_EQ(cpu.session.parameters(), parameters);
}

TEST(Session, AVoteToStopComesBackWithTheStep) {
  const SmallNet net;
  CpuSession cpu(net);
  SmallBatches batch(net, 1);
  EXPECT_EQ(cpu.session.train_step(batch).votes, Votes{});
  EXPECT_EQ(cpu.session.train_step(batch, Votes{.stop = 1, .save_done = 1}).votes,
            (Votes{.stop = 1, .save_done = 1}));
  EXPECT_EQ(cpu.session.train_step(batch).votes, Votes{});
}

TEST(Session, TheSameSeedGivesTheSameBits) {
  const SmallNet net{.optimizer = AdamOptions{}};
  CpuSession a(net), b(net);
  for (unsigned step = 0; step < 3; ++step) {
    SmallBatches for_a(net, step), for_b(net, step);
    a.session.train_step(for_a);
    b.session.train_step(for_b);
  }
  EXPECT_EQ(a.session.parameters(), b.session.parameters());
}

// Parameters, moments and counters are the whole state: what starts from them goes on as if nothing
// had happened.
TEST(Session, GoesOnBitEqualFromItsState) {
  const SmallNet net{.optimizer = AdamOptions{}};
  CpuSession unbroken(net), continued(net);
  for (unsigned step = 0; step < 3; ++step) {
    SmallBatches batches(net, step);
    unbroken.session.train_step(batches);
  }
  const FlatLayout& layout = unbroken.session.plan().layout;
  ASSERT_EQ(unbroken.session.plan().kept(),
            (std::vector{StateBuffer::kMoment1, StateBuffer::kMoment2}));
  std::vector<StateRange> ranges{{StateBuffer::kParameters, 0, layout.total_elements}};
  for (StateBuffer moment : {StateBuffer::kMoment1, StateBuffer::kMoment2})
    ranges.push_back({moment, 0, layout.trained_elements});
  std::vector<float> state(layout.total_elements + 2 * layout.trained_elements);
  unbroken.session.read_state(ranges, state.data());

  std::span<const float> rest(state);
  for (const StateRange& range : ranges) {
    continued.session.write_state(range, rest.first(range.elements));
    rest = rest.subspan(range.elements);
  }
  continued.session.set_counters(unbroken.session.counters());
  EXPECT_EQ(continued.session.counters(), (StepCounters{.attempted = 3, .applied = 3}));
  for (unsigned step = 3; step < 6; ++step) {
    SmallBatches a(net, step), b(net, step);
    unbroken.session.train_step(a);
    continued.session.train_step(b);
  }
  EXPECT_EQ(continued.session.parameters(), unbroken.session.parameters());
  EXPECT_NE(std::vector<float>(state.begin(), state.begin() + layout.total_elements),
            unbroken.session.parameters());
}

TEST(Session, TellsAnotherThreadWhereItIs) {
  const SmallNet net;
  CpuSession cpu(net);
  SmallBatches batch(net, 1);
  EXPECT_EQ(cpu.session.place().pass, 0);
  cpu.session.train_step(batch);
  const SessionPlace after_step = cpu.session.place();
  EXPECT_EQ(after_step.pass, 1);
  EXPECT_GT(after_step.place, 0);
  EXPECT_EQ(cpu.session.where().substr(0, 6), "train:");
  cpu.session.evaluate(batch);
  EXPECT_EQ(cpu.session.place().pass, 2);
  EXPECT_EQ(cpu.session.where().substr(0, 5), "eval:");
}

TEST(Session, NamesWhatItDoesNotKnow) {
  CpuSession cpu(SmallNet{});
  try {
    cpu.session.parameter("fc3/weight");
    FAIL() << "expected InvalidArgument";
  } catch (const InvalidArgument& error) {
    EXPECT_STREQ(error.what(), "[parameters] has no parameter 'fc3/weight'");
  }
}

TEST(Session, SaysWhereItIs) {
  CpuSession cpu(SmallNet{});
  EXPECT_EQ(cpu.session.where(), "train: data.next of micro-batch 0");
  SmallBatches batch(SmallNet{}, 1);
  cpu.session.train_step(batch);
  EXPECT_EQ(cpu.session.where(), "train: prepare");
}

// One call a step; from the `fails`th on the others are gone.
class FailingTransport : public Transport {
 public:
  explicit FailingTransport(int fails) : fails_(fails) {}
  void enqueue(const CollectiveCall&, Stream stream) override {
    CpuStream& calls = *stream.cpu();
    if (++calls.submitted < fails_) {
      calls.completed = calls.submitted;
      return;
    }
    calls.error = std::make_exception_ptr(SystemError("rank 1 is gone"));
    calls.completed = CpuStream::kFailed;
  }

 private:
  int fails_;
};

SessionPlan plan_with_a_call(const SmallNet& net) {
  SessionPlan plan = small_plan(net, DeviceKind::kCpu);
  Graph graph = plan.train.graph;
  const PlannedCollective call{.dtype = DType::kF64,
                               .location = {Arena::kControl, 0},
                               .count = control_elements(graph),
                               .what = "the control vector"};
  plan.train = build_program(std::move(graph), plan.layout,
                             {.micro_batch = net.batch, .update = true, .after_backward = {call}});
  return plan;
}

// Which call it was is not known any more, and of the last 256 none may be named in its place.
TEST(Session, NamesNoCallOfAStreamThatFailed) {
  const SmallNet net;
  const auto device = make_cpu_device(1);
  FailingTransport transport(260);
  Session session(*device, transport, plan_with_a_call(net));
  SmallBatches batch(net, 1);
  for (int step = 1; step < 260; ++step) session.train_step(batch);
  EXPECT_THROW(session.train_step(batch), SystemError);
  EXPECT_EQ(session.where(), "train: the other ranks");
}

// Counts the host memory that it hands out, and lets no session come further than that.
class StingyDevice : public Device {
 public:
  DeviceKind kind() const override { return device_->kind(); }
  std::string describe() const override { return "stingy"; }
  Stream stream(StreamRole role) override { return device_->stream(role); }
  void order(Stream earlier, Stream later) override { device_->order(earlier, later); }
  void synchronize(Stream stream) override { device_->synchronize(stream); }
  std::unique_ptr<Mark> make_mark() override { return device_->make_mark(); }
  void copy_in(void* device, const void* host, int64_t bytes, Stream stream) override {
    device_->copy_in(device, host, bytes, stream);
  }
  void copy_out(void* host, const void* device, int64_t bytes, Stream stream) override {
    device_->copy_out(host, device, bytes, stream);
  }
  void fill_zero(void* device, int64_t bytes, Stream stream) override {
    device_->fill_zero(device, bytes, stream);
  }
  void* allocate_host(int64_t bytes) override {
    ++taken;
    ++held;
    return device_->allocate_host(bytes);
  }
  void free_host(void* memory) noexcept override {
    --held;
    device_->free_host(memory);
  }
  KernelContext kernel_context() override { throw SystemError("no kernels here"); }

  int taken = 0, held = 0;

 private:
  void* allocate(int64_t bytes) override { return device_->allocate_host(bytes); }
  void free(void* memory) noexcept override { device_->free_host(memory); }

  std::unique_ptr<Device> device_ = make_cpu_device(1);
};

TEST(Session, OneThatCannotBeMadeGivesHostMemoryBack) {
  StingyDevice device;
  NoTransport transport;
  EXPECT_THROW(Session(device, transport, small_plan(SmallNet{}, DeviceKind::kCpu)), SystemError);
  EXPECT_GT(device.taken, 0);
  EXPECT_EQ(device.held, 0);
}

#ifdef TRIREME_COUNTS_ALLOCATIONS
TEST(Session, AStepAllocatesNothing) {
  for (const bool exact : {false, true}) {
    const SmallNet net{
        .micro_batches = 3, .clip_norm = 1, .exact_sums = exact, .optimizer = AdamOptions{}};
    CpuSession cpu(net);
    SmallBatches batch(net, 1);
    cpu.session.train_step(batch);  // libraries may settle in the first step
    cpu.session.evaluate(batch);
    const test::AllocationCounter counter;
    for (int step = 0; step < 10; ++step) cpu.session.train_step(batch);
    cpu.session.evaluate(batch);
    EXPECT_EQ(counter.allocations(), 0) << exact << ", first from " << counter.first_caller();
  }
}

TEST(AllocationCounter, SeesAnAllocation) {
  const test::AllocationCounter counter;
  const auto value = std::make_unique<int>(1);
  EXPECT_EQ(counter.allocations(), 1);
}
#endif

}  // namespace
}  // namespace trireme::core
