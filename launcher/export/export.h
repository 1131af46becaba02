// `trireme checkpoint export`: saved parameters as a folder that Hugging Face transformers
// loads: GPT2LMHeadModel or LlamaForCausalLM.
#pragma once

#include <cstdint>
#include <filesystem>

#include "launcher/export/language_model.h"
#include "launcher/export/parameter_source.h"

namespace trireme::launcher {

struct ExportReport {
  int64_t tensors = 0, files = 0;
  int64_t bytes = 0;  // of the tensors
};

// Makes the folder `out`, which must not be there yet: config.json, and model.safetensors or, where
// the tensors take more than max_file_bytes, model-00001-of-0000N.safetensors and their index. No
// tensor is cut. Takes some MiB of memory; appears whole or not at all.
//
// Throws InvalidArgument: kBadCheckpoint if the parameters are not just the model's, or for a
// damaged block; kUsage if `out` is there. SystemError if the disk fails.
ExportReport export_model(const ParameterSource& source, const LanguageModel& model,
                          const std::filesystem::path& out, int64_t max_file_bytes);

}  // namespace trireme::launcher
