// Jobs that between them use every message of the schema, with nothing but what is required.
#pragma once

#include <array>

namespace trireme::launcher {

// Every operation and every way to start weights.
inline constexpr char kEveryLayer[] = R"(
model {
  layer { name: "conv" conv2d { outputs: 6 kernel: [5, 3] init { kaiming_normal {} } } }
  layer { name: "max" max_pool2d {} }
  layer { name: "average" average_pool2d { kernel: 3 } }
  layer { name: "average2" average_pool2d {} }
  layer { name: "relu" relu {} }
  layer { name: "gelu" gelu {} }
  layer { name: "tanh" tanh {} }
  layer { name: "sigmoid" sigmoid {} }
  layer { name: "silu" silu {} }
  layer { name: "flatten" flatten {} }
  layer { name: "linear1" linear { outputs: 12 init { xavier_uniform {} } } }
  layer { name: "linear2" linear { outputs: 12 init { normal {} } } }
  layer { name: "linear3" linear { outputs: 12 init { uniform { low: -1 high: 1 } } } }
  layer { name: "linear4" linear { outputs: 12 init { constant {} } } }
  layer { name: "linear5" linear { outputs: 12 init { fan_in_uniform {} } } }
  layer { name: "add" input: ["linear5", "linear1"] add {} }
  layer { name: "scale" scale { factor: 0.5 } }
  layer { name: "reshape" reshape { dims: [3, -1] } }
  layer { name: "flatten2" flatten {} }
  layer { name: "dropout" dropout {} }
  layer { name: "loss" softmax_cross_entropy {} }
  layer { name: "loss2" input: "dropout" mean_squared_error {} }
}
data { train { custom { name: "mine" parameter { key: "k" value: "v" } parameter { key: "empty" } } } }
train { global_batch: 8 epochs: 1 }
optimizer { sgd { lr: 0.1 } group { match: "*/bias" } group { match: "conv/*" weight_decay: 0 } }
logging {}
parallel {}
checkpoint {}
deadlines {}
)";

inline constexpr char kMlp[] = R"(
model { mlp {} }
data { train { synthetic {} } eval { synthetic {} } }
train { global_batch: 8 steps: 100 early_stop { patience: 5 } average {} }
optimizer { adam { lr: 1e-3 } }
schedule { step { step_size: 5 } }
)";

inline constexpr char kLenet5[] = R"(
model { lenet5 {} }
data {
  train { idx { images: "images.idx" labels: "labels.idx" } }
  normalize { mean: [0.1, 0.2] stddev: 0.3 }
  validation_fraction: 0.25
}
train { global_batch: 8 epochs: 1 }
optimizer { adamw { lr: 1e-3 } }
schedule { linear {} }
)";

inline constexpr char kCosine[] = R"(
model { lenet5 {} }
data { train { synthetic {} } }
train { global_batch: 8 epochs: 1 }
optimizer { adamw { lr: 1e-3 } }
schedule { cosine {} }
)";

inline constexpr char kGpt[] = R"(
model { gpt { layers: 2 width: 8 heads: 2 context: 16 vocabulary: 300 } }
data { train { tokens { files: "*.bin" } } eval { text { files: "images.idx" context: 9 } } }
train { global_batch: 8 epochs: 1 }
optimizer { adamw { lr: 1e-3 } }
)";

inline constexpr char kLlama[] = R"(
model { llama { layers: 2 width: 8 heads: 2 hidden: 12 context: 16 vocabulary: 256 } }
data { train { text { files: ["images.idx", "labels.idx"] } } }
train { global_batch: 8 epochs: 1 }
optimizer { adamw { lr: 1e-3 } }
)";

inline constexpr std::array kEveryField = {kEveryLayer, kMlp, kLenet5, kCosine, kGpt, kLlama};

}  // namespace trireme::launcher
