// A small GPT-2 and a small Llama as PyTorch trained them: tests/goldens/language.py.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/runtime/session.h"
#include "models/model_options.h"

namespace trireme::test {

struct GoldenParameter {
  std::string name;
  core::Shape shape;
  std::vector<float> initial, gradient;
};

struct GoldenLanguage {
  models::ModelOptions model;
  int64_t batch = 0, sequence = 0, vocabulary = 0;
  int batches = 0;  // different ones, in turn
  core::AdamOptions adamw;
  float lr = 0, clip_norm = 0;
  std::vector<GoldenParameter> parameters;
  std::vector<double> losses;  // of each step
};

std::vector<GoldenLanguage> read_golden_languages();

// The same models with bf16 products: tests/goldens/language_bf16.py.
struct GoldenBf16 {
  struct Run {
    std::vector<double> losses;                           // of each step
    std::map<std::string, std::vector<float>> gradients;  // of the first
  };
  Run rounded, autocast;
  std::vector<double> first_losses;  // of batches 0, 1, ... before any step
};
std::vector<GoldenBf16> read_golden_bf16();

// The batches that the losses are of.
class GoldenTokens : public core::InputSource {
 public:
  explicit GoldenTokens(const GoldenLanguage& golden);
  std::span<const void* const> next() override;
  // Tokens (batch, sequence) and labels of a step.
  void fill(int step);

  std::vector<int32_t> tokens, labels;
  std::vector<float> weights;

 private:
  const GoldenLanguage& golden_;
  int step_ = 0;
  std::array<const void*, 3> pointers_{};
};

}  // namespace trireme::test
