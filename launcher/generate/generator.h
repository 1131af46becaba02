// A language model that reads a prompt and goes on, a token at a time, with cached keys and values.
//
// Two programs: prefill reads many positions at once and only fills the caches; decode reads one
// and gives the logits of the next.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/runtime/inference.h"
#include "models/model.h"

namespace trireme::launcher {

class Generator {
 public:
  // Throws InvalidArgument if the model is neither gpt nor llama. `device` outlives the generator.
  Generator(core::Device& device, const models::ModelOptions& model,
            const models::ModelFactories& factories = {});

  core::Inference& inference() { return inference_; }
  int64_t context() const { return context_; }
  int64_t vocabulary() const { return static_cast<int64_t>(logits_.size()); }
  int64_t position() const { return position_; }  // tokens read so far

  // Forgets what was read.
  void restart() { position_ = 0; }
  // Reads tokens after those read before; returns the logits of the token after the last. Valid
  // until the next call.
  // Throws InvalidArgument if there are none, one is outside the vocabulary, or more than the
  // context has room for.
  std::span<const float> read(std::span<const int32_t> tokens);
  // Throws as read does for a token outside the vocabulary.
  void check(std::span<const int32_t> tokens) const;

 private:
  void prefill(std::span<const int32_t> tokens);
  void decode(int32_t token);

  int64_t context_, chunk_;
  core::Inference inference_;
  int64_t position_ = 0;
  std::vector<int32_t> tokens_;  // of a chunk
  std::vector<float> logits_;
};

}  // namespace trireme::launcher
