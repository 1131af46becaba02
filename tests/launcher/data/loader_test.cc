#include "launcher/data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "launcher/data/idx.h"
#include "tests/launcher/data/data_files.h"

namespace trireme::launcher {
namespace {

// Sample n has the features n + 0.25 and -n and the label n mod 5; `before` runs in each read.
class Counting : public Dataset {
 public:
  explicit Counting(int64_t size, std::function<void(int64_t)> before = nullptr)
      : size_(size), before_(std::move(before)) {}
  int64_t size() const override { return size_; }
  core::Shape feature_shape() const override { return {1, 2, 1}; }
  int64_t classes() const override { return 5; }
  void read(int64_t index, Sample out) const override {
    ++reads;
    if (before_) before_(index);
    out.features[0] = static_cast<float>(index) + 0.25f;
    out.features[1] = -static_cast<float>(index);
    out.label = static_cast<int32_t>(index % 5);
  }
  std::string name() const override { return "counting"; }
  std::string identity() const override { return "counting"; }

  mutable std::atomic<int64_t> reads = 0;

 private:
  int64_t size_;
  std::function<void(int64_t)> before_;
};

// What the batch must hold by the sampler's word.
void expect_batch(const Batch& batch, const Sampler& sampler, int64_t first_draw) {
  for (size_t row = 0; row < batch.labels.size(); ++row) {
    const Draw draw = sampler.draw(first_draw + static_cast<int64_t>(row));
    const bool real = draw.weight != 0;
    EXPECT_EQ(batch.weights[row], draw.weight);
    EXPECT_EQ(batch.labels[row], real ? draw.index % 5 : 0);
    EXPECT_EQ(batch.features[2 * row], real ? static_cast<float>(draw.index) + 0.25f : 0);
    EXPECT_EQ(batch.features[2 * row + 1], real ? -static_cast<float>(draw.index) : 0);
  }
}

TEST(Loader, GivesEveryRankItsRowsAcrossEpochs) {
  const auto dataset = std::make_shared<Counting>(17);  // a step of 12 ends inside an epoch
  const auto sampler = std::make_shared<ShuffledSampler>(3, 17);
  for (int64_t ranks : {1, 2, 3})
    for (int64_t micro : {int64_t{1}, int64_t{2}, 12 / ranks})
      for (int buffers : {2, 3})
        for (int64_t rank = 0; rank < ranks; ++rank) {
          const BatchShare share{12, ranks, rank, micro};
          Loader loader(dataset, sampler, share, ordinary_memory(), buffers);
          loader.start(5);
          for (int64_t step = 5; step < 9; ++step)
            for (int64_t m = 0; m < share.micro_batches(); ++m) {
              const Batch& batch = loader.next();
              EXPECT_EQ(batch.step, step);
              EXPECT_EQ(batch.micro_batch, m);
              EXPECT_EQ(batch.first_row, rank * 12 / ranks + m * micro);
              ASSERT_EQ(batch.labels.size(), static_cast<size_t>(micro));
              expect_batch(batch, *sampler, step * 12 + batch.first_row);
              loader.release();
            }
        }
}

TEST(Loader, EvaluationEndsInPaddingAndCanBeRepeated) {
  const auto dataset = std::make_shared<Counting>(10);
  const auto sampler = std::make_shared<SequentialSampler>(10);
  for (int64_t rank : {0, 1}) {
    const BatchShare share{8, 2, rank, 2};
    Loader loader(dataset, sampler, share, ordinary_memory());
    for (int pass = 0; pass < 3; ++pass) {
      loader.start(0, sampler->steps(8));
      float weight = 0;
      for (int64_t b = 0; b < 4; ++b) {
        const Batch& batch = loader.next();
        expect_batch(batch, *sampler, batch.step * 8 + batch.first_row);
        for (float w : batch.weights) weight += w;
        loader.release();
      }
      EXPECT_EQ(weight, rank == 0 ? 6 : 4);
      EXPECT_EQ(bad_data_message([&] { loader.next(); }, ExitCode::kUsage),
                "[data] expects a batch before the end of the pass, all are read");
    }
  }
}

// Waits until `holds`; false after ten seconds.
bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

TEST(Loader, HeldBatchesStayAsTheyAre) {
  const auto sampler = std::make_shared<SequentialSampler>(100);
  const auto dataset = std::make_shared<Counting>(100);
  Loader loader(dataset, sampler, {4, 1, 0, 4}, ordinary_memory(), 3);
  loader.start(0);
  std::vector<const Batch*> held;
  for (int i = 0; i < 3; ++i) held.push_back(&loader.next());
  EXPECT_THROW(loader.next(), InvalidArgument);
  EXPECT_THROW(loader.start(0), InvalidArgument);
  loader.release();
  EXPECT_EQ(&loader.next(), held[0]);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // time to read too much
  EXPECT_EQ(dataset->reads, 16);
  expect_batch(*held[1], *sampler, 4);
  expect_batch(*held[2], *sampler, 8);
  expect_batch(*held[0], *sampler, 12);
  for (int i = 0; i < 3; ++i) loader.release();
  EXPECT_THROW(loader.release(), InvalidArgument);
}

TEST(Loader, ReadsAheadAsFarAsItsBuffersAndRests) {
  const auto dataset = std::make_shared<Counting>(1000);
  Loader loader(dataset, std::make_shared<ShuffledSampler>(1, 1000), {5, 1, 0, 5},
                ordinary_memory(), 3);
  EXPECT_EQ(dataset->reads, 0);
  loader.start(0);
  EXPECT_TRUE(eventually([&] { return dataset->reads == 15; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(dataset->reads, 15);
  loader.next();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(dataset->reads, 15) << "a batch that is held was read over";
  loader.release();
  EXPECT_TRUE(eventually([&] { return dataset->reads == 20; }));
}

TEST(Loader, MakesItsBuffersOnceAndFreesThem) {
  std::map<void*, int64_t> live;
  int made = 0;
  const HostAllocator plain = ordinary_memory();
  const HostAllocator counted{[&](int64_t bytes) {
                                void* memory = plain.allocate(bytes);
                                live[memory] = bytes;
                                ++made;
                                return memory;
                              },
                              [&](void* memory) {
                                EXPECT_EQ(live.erase(memory), 1u);
                                plain.free(memory);
                              }};
  {
    Loader loader(std::make_shared<Counting>(9), std::make_shared<ShuffledSampler>(1, 9),
                  {3, 1, 0, 3}, counted, 4);
    for (int pass = 0; pass < 2; ++pass) {
      loader.start(0);
      for (int i = 0; i < 20; ++i) {
        const Batch& batch = loader.next();
        EXPECT_EQ(reinterpret_cast<uintptr_t>(batch.labels.data()) % 64, 0u);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(batch.weights.data()) % 64, 0u);
        loader.release();
      }
    }
    EXPECT_EQ(made, 4);
  }
  EXPECT_TRUE(live.empty());
}

TEST(Loader, AFailureComesInItsTurnWithSampleAndName) {
  std::atomic<bool> broken = true;
  const auto dataset = std::make_shared<Counting>(100, [&](int64_t index) {
    if (index == 7 && broken) throw std::runtime_error("no such picture");
  });
  Loader loader(dataset, std::make_shared<SequentialSampler>(100), {3, 1, 0, 3}, ordinary_memory());
  loader.start(0);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(loader.next().step, i);
    loader.release();
  }
  for (int again = 0; again < 2; ++again)
    EXPECT_EQ(bad_data_message([&] { loader.next(); }),
              "[data] sample 7 of counting: no such picture");
  broken = false;
  loader.start(2);
  EXPECT_EQ(loader.next().features[2], 7.25f);
}

std::string failure_of(std::function<void(int64_t)> before, ExitCode code) {
  Loader loader(std::make_shared<Counting>(4, before), std::make_shared<SequentialSampler>(4),
                {2, 1, 0, 2}, ordinary_memory());
  loader.start(0);
  try {
    loader.next();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Loader, FailuresKeepTheirExitCodes) {
  EXPECT_EQ(failure_of([](int64_t) { throw Error("disk on fire", ExitCode::kInternal); },
                       ExitCode::kInternal),
            "[data] sample 0 of counting: disk on fire");
  EXPECT_EQ(failure_of([](int64_t) { throw std::bad_alloc(); }, ExitCode::kInternal),
            "[data] sample 0 of counting: out of memory");
  EXPECT_EQ(failure_of(
                [](int64_t n) {
                  if (n == 1) throw 42;
                },
                ExitCode::kBadData),
            "[data] sample 1 of counting: cannot be read");
}

class Mislabelled : public Counting {
 public:
  Mislabelled() : Counting(3) {}
  void read(int64_t index, Sample out) const override {
    Counting::read(index, out);
    out.label = index == 2 ? 5 : 4;
  }
};

TEST(Loader, RefusesALabelOutsideTheClasses) {
  Loader loader(std::make_shared<Mislabelled>(), std::make_shared<SequentialSampler>(3),
                {3, 1, 0, 3}, ordinary_memory());
  loader.start(0);
  EXPECT_EQ(bad_data_message([&] { loader.next(); }),
            "[data] sample 2 of counting: expects a label from 0 to 4, got 5");
}

class LoaderFiles : public DataFiles {};

TEST_F(LoaderFiles, AFileCutShortNamesSampleAndFile) {
  const IdxOptions options{
      write("images", idx_images({4, 2, 2})), write("labels", idx_labels({0, 1, 2, 3})), 10, {}};
  const auto dataset = std::make_shared<IdxDataset>(options);
  std::filesystem::resize_file(options.images, 16 + 9);
  Loader loader(dataset, std::make_shared<SequentialSampler>(4), {4, 1, 0, 4}, ordinary_memory());
  loader.start(0);
  EXPECT_EQ(
      bad_data_message([&] { loader.next(); }),
      fmt::format("[data] sample 2 of {0}: [idx] {0}: expects 4 bytes from row 2 on, got 1: was "
                  "the file changed?",
                  options.images));
}

TEST(Loader, StartsAnewWhileABatchIsBeingRead) {
  std::atomic<int> started = 0;
  const auto dataset = std::make_shared<Counting>(1000, [&](int64_t) {
    ++started;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  const auto sampler = std::make_shared<SequentialSampler>(1000);
  Loader loader(dataset, sampler, {400, 1, 0, 400}, ordinary_memory());
  for (int64_t first : {0, 1, 0}) {
    const int before = started;
    loader.start(first);
    EXPECT_TRUE(eventually([&] { return started > before + 2; }));
  }
  EXPECT_LT(dataset->reads, 200) << "a batch that nobody wants was read to its end";
  expect_batch(loader.next(), *sampler, 0);
}

TEST(Loader, ShutsDownInEveryState) {
  const auto sampler = std::make_shared<SequentialSampler>(50);
  const auto make = [&](std::function<void(int64_t)> before) {
    return std::make_unique<Loader>(std::make_shared<Counting>(50, before), sampler,
                                    BatchShare{10, 1, 0, 10}, ordinary_memory());
  };
  make(nullptr);  // never started
  auto full = make(nullptr);
  full->start(0);
  full->next();  // held, the rest read ahead
  full.reset();
  auto failed = make([](int64_t) { throw std::runtime_error("broken"); });
  failed->start(0);
  EXPECT_THROW(failed->next(), InvalidArgument);
  failed.reset();
  auto finished = make(nullptr);
  finished->start(3, 3);  // nothing to read
  finished.reset();
  std::atomic<int> reads = 0;
  auto busy = make([&](int64_t) {
    ++reads;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  busy->start(0);
  EXPECT_TRUE(eventually([&] { return reads > 0; }));
  busy.reset();
  EXPECT_LT(reads, 10) << "shutting down waited for a whole batch";
  for (int i = 0; i < 200; ++i) make(nullptr)->start(i % 5, 5);
}

TEST(Loader, RefusesBadArguments) {
  const auto dataset = std::make_shared<Counting>(4);
  const auto sampler = std::make_shared<SequentialSampler>(4);
  EXPECT_THROW(Loader(dataset, sampler, {4, 3, 0, 1}, ordinary_memory()), InvalidArgument);
  EXPECT_THROW(Loader(dataset, sampler, {4, 1, 0, 4}, ordinary_memory(), 1), InvalidArgument);
  Loader loader(dataset, sampler, {4, 1, 0, 4}, ordinary_memory());
  EXPECT_THROW(loader.start(-1), InvalidArgument);
  EXPECT_THROW(loader.start(2, 1), InvalidArgument);
  EXPECT_THROW(loader.next(), InvalidArgument);  // not started
}

}  // namespace
}  // namespace trireme::launcher
