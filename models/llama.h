#pragma once

#include "models/net_builder.h"

namespace trireme::models {

// The Llama family. Parameters, none of them a bias: "tokens/weight" (V, H), and of each block i
// "block<i>/norm1", "/attention/qkv" (rows: queries, keys, values), "/attention/out", "/norm2",
// "/mlp/gate_up" (rows: gate, up), "/mlp/down"; then "norm", and "head/weight" unless tied.
// Expects tokens (S) with a label each, S <= context.
void llama(NetBuilder& net, const LlamaOptions& options);

}  // namespace trireme::models
