// `trireme checkpoint import`: a Hugging Face folder's GPT2LMHeadModel or LlamaForCausalLM as a
// checkpoint of step 0 that holds parameters alone: to evaluate, to generate from, to start from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "launcher/checkpoint/manifest.h"
#include "launcher/export/language_model.h"

namespace trireme::launcher {

struct ImportReport {
  LanguageModel model;
  Manifest manifest;
};

// Makes the checkpoint `out`, which must not be there yet. Weights may be F32, F16 or BF16; all
// become f32, exactly. Takes some MiB of memory; appears whole or not at all.
//
// Throws InvalidArgument: kBadCheckpoint, with the file and the tensor or field, for a folder whose
// network would compute something else than ours, that lacks a tensor, has one of another shape or
// one too many, or holds what is not finite; or if it is not `expected`. kUsage if `out` is there.
ImportReport import_model(const std::filesystem::path& folder, const std::filesystem::path& out,
                          const std::optional<LanguageModel>& expected = {}, int shards = 1);

}  // namespace trireme::launcher
