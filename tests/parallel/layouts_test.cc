// Every axis with every other: layouts chosen by pairwise cover, against one rank.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <random>
#include <set>

#include "parallel/calls.h"
#include "parallel/groups.h"
#include "parallel/plan_training.h"
#include "tests/parallel/layout_nets.h"
#include "tests/support/ranks.h"
#include "tests/support/sanitized.h"
#include "tests/support/whole_state.h"

namespace trireme::parallel {
namespace {

using core::StateBuffer;
using test::kGpt;
using test::kLlama;
using test::kMlp;
using test::kNetNames;
using test::kNets;
using test::model_of;
using test::Net;
using test::request_of;
using test::Rows;
using test::Tensors;

constexpr int kSteps = 10;
constexpr int64_t kBatch = 24;
constexpr unsigned kSeed = 20261121;

// A choice for each factor, as an index among its values.
enum Factor {
  kNet,
  kData,
  kTensor,
  kPipeline,
  kZero,
  kSchedule,
  kPieces,
  kAgain,
  kRows,
  kPrecision,
  kLeaves,
  kFactors
};
using Choice = std::array<int, kFactors>;
constexpr std::array kDataRanks{1, 2, 3, 4, 8};
constexpr std::array kTensorRanks{1, 2, 4};
constexpr std::array kOperands{core::DType::kF32, core::DType::kBF16, core::DType::kF16};
constexpr std::array<int, kFactors> kValues{
    kNets, kDataRanks.size(), kTensorRanks.size(), 4, 4, 4, 3, 2, 2, kOperands.size(), 2};

struct Case {
  explicit Case(const Choice& c)
      : net(static_cast<Net>(c[kNet])),
        layout{.data = kDataRanks[c[kData]],
               .tensor = kTensorRanks[c[kTensor]],
               .pipeline = c[kPipeline] + 1},
        zero(c[kZero]),
        schedule(static_cast<PipelineSchedule>(c[kSchedule])),
        micro_batches(1 << c[kPieces]),
        recompute(c[kAgain] == 1),
        sequence(c[kRows] == 1),
        leaves(c[kLeaves] == 1),
        operands(kOperands[c[kPrecision]]) {}

  int ranks() const { return layout.data * layout.tensor * layout.pipeline; }
  int virtual_stages() const { return schedule == PipelineSchedule::kInterleaved ? 2 : 1; }
  // Of train.determinism LAYOUT: eight leaves of one or of three micro-batches.
  BatchSplit batch() const {
    if (leaves) return split_leaves(kBatch, micro_batches == 1 ? 0 : 1, layout.data, 8, zero);
    return split_batch(kBatch, kBatch / layout.data / micro_batches, layout.data);
  }
  bool is_language() const { return test::is_language(net); }
  // Some pairs cannot be: no layout of more than eight ranks, LeNet-5 has five layers, the Llama
  // two key heads.
  bool is_possible() const {
    if (ranks() > 8 || (kBatch / layout.data) % micro_batches != 0) return false;
    if (leaves && layout.data == 3) return false;
    if ((recompute || sequence) && !is_language()) return false;
    if (net == kLlama && layout.tensor > 2) return false;
    if (sequence && batch().micro_batch * test::kPositions % layout.tensor != 0) return false;
    if (layout.pipeline == 1) return schedule == PipelineSchedule::kOneFOneB;
    if (!is_language() && layout.pipeline * virtual_stages() > 4) return false;
    return virtual_stages() == 1 || batch().micro_batches % layout.pipeline == 0;
  }
  std::string name() const {
    return fmt::format("{}_{}_d{}t{}p{}_zero{}_{}_m{}{}{}{}", kNetNames[net], name_of(operands),
                       layout.data, layout.tensor, layout.pipeline, zero,
                       static_cast<int>(schedule), micro_batches, recompute ? "_again" : "",
                       sequence ? "_rows" : "", leaves ? "_leaves" : "");
  }

  Net net;
  Layout layout;
  int zero;
  PipelineSchedule schedule;
  int micro_batches;
  bool recompute, sequence, leaves;
  core::DType operands;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name(); }

using Pair = std::array<int, 4>;  // factor, value, factor, value

std::set<Pair> pairs_of(const Choice& choice) {
  std::set<Pair> pairs;
  for (int a = 0; a < kFactors; ++a)
    for (int b = a + 1; b < kFactors; ++b) pairs.insert({a, choice[a], b, choice[b]});
  return pairs;
}

// In f32, whose bounds leave the least room.
std::vector<Case> all_possible() {
  std::vector<Case> cases;
  for (Choice choice{};;) {
    if (Case(choice).is_possible()) cases.emplace_back(choice);
    int factor = 0;
    while (factor < kPrecision && ++choice[factor] == kValues[factor]) choice[factor++] = 0;
    if (factor == kPrecision) return cases;
  }
}

// Greedy: of many drawn at random, the choice with the most pairs that none before has; then more
// at random until there are as many as wanted.
std::vector<Case> chosen(size_t wanted) {
  std::mt19937 random(kSeed);
  const auto draw = [&] {
    for (;;) {
      Choice choice;
      for (int f = 0; f < kFactors; ++f) choice[f] = static_cast<int>(random() % kValues[f]);
      if (Case(choice).is_possible()) return choice;
    }
  };
  std::vector<Case> cases;
  std::set<Pair> covered;
  while (cases.size() < wanted) {
    Choice best = draw();
    size_t most = 0;
    for (int i = 0; i < 300; ++i) {
      const Choice choice = draw();
      const auto pairs = pairs_of(choice);
      const size_t fresh =
          std::ranges::count_if(pairs, [&](const Pair& pair) { return !covered.contains(pair); });
      if (fresh > most) {
        most = fresh;
        best = choice;
      }
    }
    covered.merge(pairs_of(best));
    cases.emplace_back(best);
  }
  return cases;
}

struct Seen {
  std::vector<double> losses;
  double eval_loss = 0;
  Tensors gradients;  // of step 1
};

TrainingOptions options_of(const Case& c, int rank) {
  const BatchSplit batch = c.batch();
  TrainingOptions options{.rank = rank,
                          .batch = batch,
                          .eval_micro_batch = batch.micro_batch,
                          .eval_micro_batches = batch.micro_batches,
                          .optimizer = core::AdamOptions{.weight_decay = 0.1f},
                          .schedule = {.base_lr = 1e-3f},
                          .clip_norm = 0.5f,
                          .seed = 3,
                          .zero = c.zero,
                          .operands = c.operands,
                          .recompute = c.recompute,
                          .bucket_bytes = 3000,
                          .sequence = c.sequence};
  options.pipeline = {.schedule = c.schedule, .virtual_stages = c.virtual_stages()};
  return options;
}

void train(const Case& c, comm::Communicator& world, std::mutex& mutex, Seen& seen) {
  const Mesh mesh(c.layout, world.size());
  const TrainingOptions options = options_of(c, world.rank());
  const auto graph = [&](bool training) {
    return models::build_model(model_of(c.net),
                               request_of(c.net, options.batch.micro_batch, training));
  };
  core::SessionPlan plan = plan_training(graph(true), graph(false), mesh, options);
  const auto device = core::make_cpu_device(1, core::HalfProducts::kRounded);
  comm::GroupTransport transport;
  const MeshGroups groups(world, mesh, uses(plan, kTieGroup));
  groups.add_to(transport);
  core::Session session(*device, transport, std::move(plan));
  session.initialize();
  const int data_rank = mesh.coordinate(world.rank(), Axis::kData);
  std::vector<double> losses;
  for (unsigned step = 0; step < kSteps; ++step) {
    Rows rows(c.net, step, options.batch, data_rank);
    losses.push_back(session.train_step(rows).sums[0].mean());
    if (step > 0) continue;
    const std::scoped_lock lock(mutex);
    test::assemble(session, StateBuffer::kGradients, seen.gradients);
  }
  Rows rows(c.net, 99, options.batch, data_rank);
  const double eval_loss = session.evaluate(rows).sums[0].mean();
  if (world.rank() != world.size() - 1) return;
  const std::scoped_lock lock(mutex);
  seen.losses = losses;
  seen.eval_loss = eval_loss;
}

Seen train_on(const Case& c) {
  Seen seen;
  std::mutex mutex;
  testing::run_ranks(c.ranks(), [&](comm::Communicator& world) { train(c, world, mutex, seen); });
  return seen;
}

const Seen& one_rank(Net net, core::DType operands) {
  static std::map<std::pair<Net, core::DType>, Seen> seen;
  Seen& one = seen[{net, operands}];
  Choice choice{};
  choice[kNet] = net;
  choice[kPrecision] = static_cast<int>(std::ranges::find(kOperands, operands) - kOperands.begin());
  if (one.losses.empty()) one = train_on(Case(choice));
  return one;
}

struct Bounds {
  double gradient, loss, later_loss;
};

// Sums of f32 in another order differ by some ulp of the largest element: 2^-24 times the square
// root of the number of terms, which is below 2^13 for every gradient here, twice over for the
// layers between; later steps carry that on.
constexpr Bounds kF32Bounds{1e-5, 1e-6, 5e-5};

// An operand that such a difference takes across a tie moves by an ulp of its type, a gradient by
// no more than that share of the largest, and a loss, a mean over many, by far less. (Measured:
// bf16 9e-7, 2e-9 and 1e-5, f16 4e-5, 2e-9 and 3e-6.)
Bounds bounds_of(core::DType operands) {
  if (operands == core::DType::kF32) return kF32Bounds;
  const double ulp = operands == core::DType::kBF16 ? 0x1p-8 : 0x1p-11;
  return {ulp, ulp / 32, ulp / 8};
}

class Layouts : public ::testing::TestWithParam<Case> {};

double relative(double got, double want) { return std::abs(got / want - 1); }

// The largest difference of an element, in units of the tensor's largest.
double worst_of(const std::vector<float>& got, const std::vector<float>& want) {
  double largest = 0, worst = 0;
  for (float value : want) largest = std::max(largest, std::abs(double{value}));
  EXPECT_GT(largest, 1e-7) << "values near zero prove nothing";
  for (size_t i = 0; i < want.size(); ++i)
    worst = std::max(worst, std::abs(double{got.at(i)} - want[i]));
  return std::isfinite(got[0]) ? worst / largest : INFINITY;
}

TEST_P(Layouts, EqualOneRank) {
  const Case& c = GetParam();
  const Seen& one = one_rank(c.net, c.operands);
  const Bounds bounds = bounds_of(c.operands);
  const Seen seen = train_on(c);
  ASSERT_EQ(seen.losses.size(), kSteps);
  const double first = relative(seen.losses[0], one.losses[0]);
  double later = relative(seen.eval_loss, one.eval_loss), gradient = 0;
  for (int step = 1; step < kSteps; ++step)
    later = std::max(later, relative(seen.losses[step], one.losses[step]));
  ASSERT_EQ(seen.gradients.size(), one.gradients.size());
  for (const auto& [name, want] : one.gradients) {
    const double worst = worst_of(seen.gradients.at(name), want);
    EXPECT_LT(worst, bounds.gradient) << name;
    gradient = std::max(gradient, worst);
  }
  EXPECT_LT(first, bounds.loss);
  EXPECT_LT(later, bounds.later_loss);
  RecordProperty("network", kNetNames[c.net]);
  RecordProperty("operands", std::string(name_of(c.operands)));
  RecordProperty("first", fmt::format("{}", first));
  RecordProperty("later", fmt::format("{}", later));
  RecordProperty("gradient", fmt::format("{}", gradient));
}

// TRIREME_LAYOUTS=all: every one that can be in f32, for the campaign.
std::vector<Case> wanted() {
  const char* text = std::getenv("TRIREME_LAYOUTS");
  return text && std::string(text) == "all" ? all_possible() : chosen(test::kSanitized ? 16 : 64);
}

INSTANTIATE_TEST_SUITE_P(Pairwise, Layouts, ::testing::ValuesIn(wanted()), [](const auto& info) {
  return fmt::format("{}_{}", info.index, info.param.name());
});

}  // namespace
}  // namespace trireme::parallel
