// Small networks of every kind, and their batches, for tests of layouts.
#pragma once

#include <algorithm>
#include <array>
#include <random>
#include <span>
#include <vector>

#include "core/runtime/executor.h"
#include "models/model.h"
#include "parallel/batch_split.h"

namespace trireme::test {

enum Net { kMlp, kLenet5, kGpt, kLlama, kNets };
constexpr const char* kNetNames[] = {"Mlp", "Lenet5", "Gpt", "Llama"};
constexpr int64_t kPositions = 6;

inline bool is_language(Net net) { return net == kGpt || net == kLlama; }

inline models::ModelOptions model_of(Net net) {
  switch (net) {
    case kMlp:
      return {.network = models::MlpOptions{.hidden = {28, 14, 12, 10, 8, 6}, .dropout = 0.1f},
              .place = {}};
    case kLenet5:
      return {.network = models::Lenet5Options{}, .place = {}};
    case kGpt:
      return {.network = models::GptOptions{.layers = 3,
                                            .width = 12,
                                            .heads = 4,
                                            .context = kPositions,
                                            .vocabulary = 13,
                                            .hidden = 20,
                                            .dropout = 0.1f},
              .place = {}};
    default:
      return {.network = models::LlamaOptions{.layers = 3,
                                              .width = 16,
                                              .heads = 4,
                                              .kv_heads = 2,
                                              .hidden = 12,
                                              .context = kPositions,
                                              .vocabulary = 11},
              .place = {}};
  }
}

inline models::BuildRequest request_of(Net net, int64_t batch, bool training) {
  models::BuildRequest request{.batch = batch, .classes = 10, .training = training};
  if (is_language(net)) {
    request.sample = {kPositions};
    request.classes = net == kGpt ? 13 : 11;
    request.sample_type = core::DType::kI32;
    request.labels = {kPositions};
  } else {
    request.sample = net == kMlp ? core::Shape{18} : core::Shape{28, 28, 1};
  }
  return request;
}

// A data rank's rows of the step's batch, by micro-batches.
class Rows : public core::InputSource {
 public:
  Rows(Net net, unsigned seed, const parallel::BatchSplit& batch, int data_rank)
      : batch_(batch), data_rank_(data_rank), weights_(batch.global_batch, 1.0f) {
    const models::BuildRequest request = request_of(net, 1, true);
    width_ = request.sample.elements();
    labels_wide_ = is_language(net) ? kPositions : 1;
    std::mt19937 random(seed);
    const auto token = [&] { return static_cast<int32_t>(random() % request.classes); };
    const auto pixel = [&] { return static_cast<float>(random() % 512) / 256 - 1; };
    if (is_language(net))
      std::generate_n(std::back_inserter(tokens_), batch.global_batch * width_, token);
    else
      std::generate_n(std::back_inserter(pixels_), batch.global_batch * width_, pixel);
    std::generate_n(std::back_inserter(labels_), batch.global_batch * labels_wide_, token);
    weights_[5] = 0;
  }

  std::span<const void* const> next() override {
    const int64_t row = batch_.first_row(data_rank_, number_++);
    pointers_ = {tokens_.empty() ? static_cast<const void*>(pixels_.data() + row * width_)
                                 : tokens_.data() + row * width_,
                 labels_.data() + row * labels_wide_, weights_.data() + row};
    return pointers_;
  }

 private:
  parallel::BatchSplit batch_;
  int data_rank_, number_ = 0;
  int64_t width_ = 0, labels_wide_ = 1;
  std::vector<int32_t> tokens_, labels_;
  std::vector<float> pixels_, weights_;
  std::array<const void*, 3> pointers_{};
};

}  // namespace trireme::test
