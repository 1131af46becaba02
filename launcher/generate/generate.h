// `trireme generate`: text from a trained model, on one device.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "comm/world.h"
#include "core/base/error.h"
#include "launcher/cli/commands.h"
#include "launcher/eval/saved_weights.h"
#include "launcher/extensions.h"
#include "launcher/generate/token_sampler.h"
#include "launcher/train/device_choice.h"

namespace trireme::launcher {

struct GenerateArguments {
  JobArguments job;
  WeightsPlace weights;
  DeviceRequest device = DeviceRequest::kAuto;
  std::string prompt;
  std::vector<int32_t> prompt_tokens;  // instead
  std::filesystem::path tokenizer;     // a folder, as of tokenizer/tokenizer.h; empty: bytes
  int64_t tokens = 200;
  SamplingOptions sampling;
};

// Prints the prompt and what follows to stdout as it comes: text if there is a tokenizer, or the
// vocabulary is that of bytes, else token numbers; and the speed to stderr.
// Throws InvalidArgument (kBadCheckpoint) for parameters as Weights does; and if the prompt and
// the new tokens are more than the model's context, or if there are several ranks.
ExitCode generate(const GenerateArguments& arguments, const Extensions& extensions,
                  comm::World& world);

}  // namespace trireme::launcher
