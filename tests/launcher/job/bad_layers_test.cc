// Networks of layers that do not hang together.
#include "tests/launcher/job/bad_jobs.h"

namespace trireme::launcher {
namespace {

// clang-format off
const BadJob kBadLayers[] = {
    {"LayerWithoutName", R"(@D
@T
@O
model {
layer { flatten {} }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:1: model.layer[0].name is missing: add e.g. name: "layer1")"},
    {"LayerWithoutOperation", R"(@D
@T
@O
model {
layer { name: "a" }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:1: model.layer[0] expects one of linear, conv2d, max_pool2d, average_pool2d, relu, gelu, tanh, sigmoid, silu, flatten, reshape, add, scale, dropout, softmax_cross_entropy, mean_squared_error: add e.g. linear { outputs: 10 })"},
    {"LayerNamedTwice", R"(@D
@T
@O
model {
layer { name: "a" relu {} }
layer { name: "a" tanh {} }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:6:9: model.layer[1].name ("a") is already the name of model.layer[0]; choose another)"},
    {"LayerNamedData", R"(@D
@T
@O
model {
layer { name: "data" relu {} }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:9: model.layer[0].name ("data") is the name of the network's input; choose another)"},
    {"LayerWithBadName", R"(@D
@T
@O
model {
layer { name: "a/b" relu {} }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:9: model.layer[0].name ("a/b") may hold letters, digits and _ - . only, at most 200)"},
    {"LayerInputNear", R"(@D
@T
@O
model {
layer { name: "conv1" relu {} }
layer { name: "b" input: "conv" relu {} }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:6:19: model.layer[1].input[0] ("conv") is no layer before model.layer[1]; did you mean "conv1"?)"},
    {"LayerInputFar", R"(@D
@T
@O
model {
layer { name: "conv1" input: "somewhere" relu {} }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:23: model.layer[0].input[0] ("somewhere") is no layer before model.layer[0]; there are: data)"},
    {"LayerInputLater", R"(@D
@T
@O
model {
layer { name: "a" input: "b" relu {} }
layer { name: "b" relu {} }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:19: model.layer[0].input[0] ("b") must be an earlier layer; move model.layer[1] up)"},
    {"LayerReadsLoss", R"(@D
@T
@O
model {
layer { name: "loss" softmax_cross_entropy {} }
layer { name: "b" mean_squared_error {} }
})",
     R"(a.txtpb:6:1: model.layer[1] reads "loss", a loss; name the layer it should read: input: "NAME")"},
    {"LayerUnused", R"(@D
@T
@O
model {
layer { name: "a" relu {} }
layer { name: "b" input: "data" relu {} }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:1: model.layer[0] ("a") is read by no layer; remove it, or name it as an input)"},
    {"LayersWithoutLoss", R"(@D
@T
@O
model {
layer { name: "a" relu {} }
})",
     R"(a.txtpb:5:1: model.layer has no loss: add e.g. layer { name: "loss" softmax_cross_entropy {} })"},
    {"AddOfOne", R"(@D
@T
@O
model {
layer { name: "a" relu {} }
layer { name: "b" add {} }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:6:1: model.layer[1] ("b") adds two inputs, got 1: name them, e.g. input: ["a", "b"])"},
    {"TwoInputs", R"(@D
@T
@O
model {
layer { name: "a" relu {} }
layer { name: "b" input: ["a", "data"] relu {} }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:6:19: model.layer[1] ("b") reads one input, got 2: put an add layer before it, or name one)"},
    {"TwoOperations", R"(@D
@T
@O
model {
layer { name: "a" relu {} tanh {} }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:27: model.layer[0].tanh stands beside model.layer[0].relu (line 5), but only one of linear, conv2d, max_pool2d, average_pool2d, relu, gelu, tanh, sigmoid, silu, flatten, reshape, add, scale, dropout, softmax_cross_entropy, mean_squared_error may be given; remove one)"},
    {"Conv2dOptions", R"(@D
@T
@O
model {
layer { name: "a" conv2d { outputs: 6 kernel: [3, 3, 3] stride: 0 pad: -1 groups: 4 } }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:39: model.layer[0].conv2d.kernel expects one value, or [height, width]
a.txtpb:5:57: model.layer[0].conv2d.stride (0) must be from 1 to 2147483647
a.txtpb:5:67: model.layer[0].conv2d.pad (-1) must be from 0 to 2147483647
a.txtpb:5:75: model.layer[0].conv2d.groups (4) must divide model.layer[0].conv2d.outputs (6); nearest: 3, 6)"},
    {"Conv2dMissing", R"(@D
@T
@O
model {
layer { name: "a" conv2d {} }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:19: model.layer[0].conv2d.outputs is missing: add e.g. outputs: 16
a.txtpb:5:19: model.layer[0].conv2d.kernel is missing: add e.g. kernel: 3)"},
    {"PoolPadding", R"(@D
@T
@O
model {
layer { name: "a" max_pool2d { kernel: 2 pad: 2 } }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:42: model.layer[0].max_pool2d.pad ([2, 2]) must be at most half of model.layer[0].max_pool2d.kernel ([2, 2]))"},
    {"LinearOutputs", R"(@D
@T
@O
model {
layer { name: "a" linear { outputs: 0 } }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:28: model.layer[0].linear.outputs (0) must be from 1 to 2147483647)"},
    {"ReshapeDims", R"(@D
@T
@O
model {
layer { name: "a" reshape { dims: [-1, -1] } }
layer { name: "b" reshape { dims: [0] } }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:29: model.layer[0].reshape.dims may hold one -1 at most
a.txtpb:6:29: model.layer[1].reshape.dims (0) must be at least 1, or -1 for what is left)"},
    {"Smoothing", R"(@D
@T
@O
model {
layer { name: "l" softmax_cross_entropy { label_smoothing: 1 weight: 0 } }
})",
     R"(a.txtpb:5:43: model.layer[0].softmax_cross_entropy.label_smoothing (1) must be at least 0 and below 1
a.txtpb:5:62: model.layer[0].softmax_cross_entropy.weight (0) must be above 0)"},
    {"MseTarget", R"(@D
@T
@O
model {
layer { name: "l" mean_squared_error { target: "dat" } }
})",
     R"(a.txtpb:5:40: model.layer[0].mean_squared_error.target ("dat") is no layer before model.layer[0]; did you mean "data"?)"},
    {"Init", R"(@D
@T
@O
model {
layer { name: "a" linear { outputs: 2 init { normal { stddev: 0 } } } }
layer { name: "b" linear { outputs: 2 init { uniform { low: 1 high: 0 } } } }
layer { name: "c" linear { outputs: 2 init {} } }
layer { name: "loss" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:55: model.layer[0].linear.init.normal.stddev (0) must be above 0
a.txtpb:6:63: model.layer[1].linear.init.uniform.high (0) must be above low (1)
a.txtpb:7:39: model.layer[2].linear.init expects one of fan_in_uniform, kaiming_normal, xavier_uniform, normal, uniform, constant: add e.g. kaiming_normal {})"},
};
// clang-format on

INSTANTIATE_TEST_SUITE_P(Layers, BadJobs, testing::ValuesIn(kBadLayers), BadJobs::name_of);

}  // namespace
}  // namespace trireme::launcher
