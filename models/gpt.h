#pragma once

#include "models/net_builder.h"

namespace trireme::models {

// The GPT-2 family. Parameters: "tokens/weight" (V, H), "positions/weight" (P, H), and of each
// block i "block<i>/norm1", "/attention/qkv" (rows: queries, keys, values), "/attention/out",
// "/norm2", "/mlp/fc1", "/mlp/fc2"; then "norm", and "head/weight" unless tied.
// Expects tokens (S) with a label each, S <= context.
void gpt(NetBuilder& net, const GptOptions& options);

}  // namespace trireme::models
