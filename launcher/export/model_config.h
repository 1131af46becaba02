// config.json of a Hugging Face folder.
//
// Source: the configurations of transformers 4 and 5, GPT2Config and LlamaConfig.
#pragma once

#include <string>
#include <string_view>

#include "launcher/export/language_model.h"

namespace trireme::launcher {

std::string make_model_config(const LanguageModel& model);

// Throws InvalidArgument (kBadCheckpoint), one line that opens with `where` and names the field,
// for what is no such configuration and for whatever would make their network compute something
// else than ours: another activation, biases, scaled rotary positions, quantised weights.
LanguageModel parse_model_config(std::string_view text, const std::string& where);

}  // namespace trireme::launcher
