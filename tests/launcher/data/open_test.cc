#include "launcher/data/open.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "launcher/data/split.h"
#include "tests/launcher/data/data_files.h"

namespace trireme::launcher {
namespace {

// Sample n has the one feature n and the label n mod 3.
class Counting : public Dataset {
 public:
  explicit Counting(int64_t size, int64_t classes = 3) : size_(size), classes_(classes) {}
  int64_t size() const override { return size_; }
  core::Shape feature_shape() const override { return {1, 1, 1}; }
  int64_t classes() const override { return classes_; }
  void read(int64_t index, Sample out) const override {
    out.features[0] = static_cast<float>(index);
    out.label = static_cast<int32_t>(index % 3);
  }
  std::string name() const override { return "counting"; }
  std::string identity() const override { return "counting"; }

 private:
  int64_t size_, classes_;
};

std::vector<int64_t> members(const Dataset& dataset) {
  std::vector<int64_t> out;
  for (int64_t n = 0; n < dataset.size(); ++n) {
    float feature = -1;
    int32_t label = -1;
    dataset.read(n, {{&feature, 1}, label});
    EXPECT_EQ(label, static_cast<int64_t>(feature) % 3);
    out.push_back(static_cast<int64_t>(feature));
  }
  return out;
}

TEST(Split, PartsAreDisjointAndWholeAndScattered) {
  for (auto [size, fraction, held_back] :
       {std::tuple{100, 0.2, 20}, {101, 0.5, 51}, {2, 0.01, 1}, {2, 0.99, 1}, {7, 0.1, 1}}) {
    const DatasetSplit parts = split(std::make_shared<Counting>(size), fraction, 1);
    EXPECT_EQ(parts.validation->size(), held_back);
    EXPECT_EQ(parts.train->size(), size - held_back);
    const std::vector<int64_t> train = members(*parts.train), rest = members(*parts.validation);
    std::set<int64_t> all(train.begin(), train.end());
    all.insert(rest.begin(), rest.end());
    EXPECT_EQ(all.size(), static_cast<size_t>(size));
  }
}

TEST(Split, DependsOnTheSeedAlone) {
  const auto whole = std::make_shared<Counting>(1000);
  const auto first = split(whole, 0.1, 1), again = split(whole, 0.1, 1),
             other = split(whole, 0.1, 2);
  EXPECT_EQ(members(*first.validation), members(*again.validation));
  EXPECT_NE(members(*first.validation), members(*other.validation));
  EXPECT_NE(first.train->identity(), other.train->identity());
  EXPECT_NE(first.train->identity(), first.validation->identity());
  EXPECT_EQ(first.train->identity(), "train 900 (seed 1) of counting");
}

TEST(Split, RefusesWhatLeavesNothing) {
  const auto whole = std::make_shared<Counting>(10);
  for (double fraction : {0.0, 1.0, -0.5, std::nan("")})
    EXPECT_THROW(split(whole, fraction, 1), InvalidArgument);
  EXPECT_THROW(split(std::make_shared<Counting>(1), 0.5, 1), InvalidArgument);
}

class Open : public DataFiles {};

TEST_F(Open, EverySource) {
  const IdxOptions idx{
      write("i", idx_images({4, 2, 2})), write("l", idx_labels({0, 1, 2, 1})), 3, {}};
  EXPECT_EQ(open_dataset(idx)->size(), 4);
  EXPECT_EQ(open_dataset(SyntheticOptions{})->size(), 4096);
  EXPECT_EQ(inspect(DatasetOptions(idx)).feature_shape, (core::Shape{2, 2, 1}));
  EXPECT_EQ(inspect(DatasetOptions(SyntheticOptions{})).classes, 10);
  const DatasetFactories factories{{"counting", [](const CustomDatasetOptions& options) {
                                      return std::make_unique<Counting>(
                                          std::stoll(options.parameters.at("size")));
                                    }}};
  const CustomDatasetOptions custom{"counting", {{"size", "17"}}};
  EXPECT_EQ(open_dataset(custom, factories)->size(), 17);
  EXPECT_EQ(
      bad_data_message(
          [&] {
            open_dataset(CustomDatasetOptions{"count", {}}, factories);
          },
          ExitCode::kUsage),
      "[data] expects the name of a dataset that this program brings (counting), got \"count\"");
  EXPECT_EQ(bad_data_message([&] { open_dataset(custom); }, ExitCode::kUsage),
            "[data] expects the name of a dataset that this program brings (there are none), got "
            "\"counting\"");
  const CustomDatasetOptions empty{"counting", {{"size", "0"}}};
  EXPECT_EQ(
      bad_data_message([&] { open_dataset(empty, factories); }),
      "[data] counting: expects at least one sample, feature and class, got 0 of (1, 1, 1) and "
      "3");
}

TEST_F(Open, TrainAndEvalMustBeAlike) {
  DataOptions options;
  SyntheticOptions eval;
  eval.width = 20;
  options.train = SyntheticOptions{};
  options.eval = eval;
  EXPECT_EQ(bad_data_message([&] { open_data(options, 1); }),
            "[data] eval: expects samples of shape (28, 28, 1), as the training data has, got "
            "(28, 20, 1)");
  eval = {};
  eval.classes = 9;
  options.eval = eval;
  EXPECT_EQ(bad_data_message([&] { open_data(options, 1); }),
            "[data] eval: expects 10 classes, as the training data has, got 9");
  eval = {};
  eval.first_sample = 4096;
  options.eval = eval;
  EXPECT_NE(open_data(options, 1).eval, nullptr);
  options.validation_fraction = 0.5;
  EXPECT_THROW(open_data(options, 1), InvalidArgument);
}

TEST_F(Open, ValidationFraction) {
  DataOptions options;
  options.train = SyntheticOptions{};
  EXPECT_EQ(open_data(options, 1).eval, nullptr);
  options.validation_fraction = 0.25;
  EXPECT_EQ(open_data(options, 1).eval->size(), 1024);
  EXPECT_EQ(open_data(options, 1).train->size(), 3072);
}

}  // namespace
}  // namespace trireme::launcher
