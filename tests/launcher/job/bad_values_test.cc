// Fields that are missing, out of range, or do not go together.
#include "tests/launcher/job/bad_jobs.h"

namespace trireme::launcher {
namespace {

// clang-format off
const BadJob kBadValues[] = {
    {"MissingModel", R"(@D
@T
@O)",
     R"(a.txtpb:1:1: model is missing: add e.g. model { lenet5 {} })"},
    {"MissingEverything", R"(name: "x")",
     R"(a.txtpb:1:1: model is missing: add e.g. model { lenet5 {} }
a.txtpb:1:1: data is missing: add e.g. data { train { synthetic {} } }
a.txtpb:1:1: train is missing: add e.g. train { global_batch: 128 epochs: 10 }
a.txtpb:1:1: optimizer is missing: add e.g. optimizer { adamw { lr: 1e-3 } })"},
    {"MissingNetwork", R"(@D
@T
@O
model {})",
     R"(a.txtpb:4:1: model expects one of mlp, lenet5, gpt, llama, custom, layer: add e.g. lenet5 {})"},
    {"MissingBatch", R"(@M
@D
@O
train { epochs: 1 })",
     R"(a.txtpb:4:1: train.global_batch is missing: add e.g. global_batch: 128)"},
    {"MissingDuration", R"(@M
@D
@O
train { global_batch: 8 })",
     R"(a.txtpb:4:1: train expects one of epochs, steps: add e.g. epochs: 10)"},
    {"MissingSource", R"(@M
@T
@O
data { train {} })",
     R"(a.txtpb:4:8: data.train expects one of idx, synthetic, tokens, text, custom: add e.g. synthetic {})"},
    {"MissingRule", R"(@M
@D
@T
optimizer { clip_norm: 1 })",
     R"(a.txtpb:4:1: optimizer expects one of sgd, adam, adamw: add e.g. adamw { lr: 1e-3 })"},
    {"MissingLr", R"(@M
@D
@T
optimizer { adamw {} })",
     R"(a.txtpb:4:13: optimizer.adamw.lr is missing: add e.g. lr: 1e-3)"},
    {"MissingStepSize", R"(@ALL
schedule { step {} })",
     R"(a.txtpb:5:12: schedule.step.step_size is missing: add e.g. step_size: 1000)"},
    {"MissingMatch", R"(@M
@D
@T
optimizer { sgd { lr: 1 } group { frozen: true } })",
     R"(a.txtpb:4:27: optimizer.group[0].match is missing: add e.g. match: "*/bias")"},
    {"MissingRuleOfSchedule", R"(@ALL
schedule {})",
     R"(a.txtpb:5:1: schedule expects one of constant, step, linear, cosine: add e.g. cosine { warmup_steps: 100 })"},
    {"BadName", R"(name: "a/b"
@ALL)",
     R"(a.txtpb:1:1: name ("a/b") names a folder: letters, digits and . _ - only, the first a letter, digit or _, at most 100)"},
    {"BatchZero", R"(@M
@D
train { global_batch: 0 epochs: 1 }
@O)",
     R"(a.txtpb:3:9: train.global_batch (0) must be from 1 to 2147483647)"},
    {"BatchHuge", R"(@M
@D
train { global_batch: 3000000000 epochs: 1 }
@O)",
     R"(a.txtpb:3:9: train.global_batch (3000000000) must be from 1 to 2147483647)"},
    {"MicroBatch", R"(@M
@D
train { global_batch: 256 micro_batch: 6 epochs: 1 }
@O)",
     R"(a.txtpb:3:27: train.micro_batch (6) must divide train.global_batch (256); nearest: 4, 8)"},
    {"NegativeEpochs", R"(@M
@D
train { global_batch: 8 epochs: -1 }
@O)",
     R"(a.txtpb:3:25: train.epochs (-1) must be from 1 to 2147483647)"},
    {"DropoutOfOne", R"(@D
@T
@O
model { mlp { hidden: [8] dropout: 1 } })",
     R"(a.txtpb:4:27: model.mlp.dropout (1) must be at least 0 and below 1)"},
    {"HiddenZero", R"(@D
@T
@O
model { mlp { hidden: [8, 0] } })",
     R"(a.txtpb:4:27: model.mlp.hidden[1] (0) must be from 1 to 2147483647)"},
    {"TooFewClasses", R"(@D
@T
@O
model { mlp { classes: 5 } })",
     R"(a.txtpb:4:15: model.mlp.classes (5) must be at least data.train.synthetic.classes (10))"},
    {"NegativeLr", R"(@M
@D
@T
optimizer { sgd { lr: -0.1 } })",
     R"(a.txtpb:4:19: optimizer.sgd.lr (-0.1) must be above 0)"},
    {"MomentumOfOne", R"(@M
@D
@T
optimizer { sgd { lr: 0.1 momentum: 1 } })",
     R"(a.txtpb:4:27: optimizer.sgd.momentum (1) must be at least 0 and below 1)"},
    {"NesterovAlone", R"(@M
@D
@T
optimizer { sgd { lr: 0.1 nesterov: true } })",
     R"(a.txtpb:4:27: optimizer.sgd.nesterov needs momentum: add e.g. momentum: 0.9)"},
    {"Beta", R"(@M
@D
@T
optimizer { adam { lr: 1e-3 beta2: 1.5 epsilon: 0 } })",
     R"(a.txtpb:4:29: optimizer.adam.beta2 (1.5) must be at least 0 and below 1
a.txtpb:4:40: optimizer.adam.epsilon (0) must be above 0)"},
    {"NegativeClip", R"(@M
@D
@T
optimizer { clip_norm: -1 sgd { lr: 0.1 } })",
     R"(a.txtpb:4:13: optimizer.clip_norm (-1) must be at least 0)"},
    {"SameGroupTwice", R"(@M
@D
@T
optimizer { group { match: "*" } group { match: "*" } sgd { lr: 0.1 } })",
     R"(a.txtpb:4:42: optimizer.group[1].match ("*") is that of optimizer.group[0], which counts; remove one)"},
    {"Gamma", R"(@ALL
schedule { step { step_size: 3 gamma: 2 } })",
     R"(a.txtpb:5:32: schedule.step.gamma (2) must be above 0 and at most 1)"},
    {"FinalFraction", R"(@ALL
schedule { linear { final_fraction: -0.5 } })",
     R"(a.txtpb:5:21: schedule.linear.final_fraction (-0.5) must be from 0 to 1)"},
    {"WarmupTooLong", R"(@M
@D
@O
train { global_batch: 8 steps: 10 }
schedule { cosine { warmup_steps: 10 } })",
     R"(a.txtpb:5:21: schedule.cosine.warmup_steps (10) must be below train.steps (10))"},
    {"EvalEveryWithoutEval", R"(@M
@D
train { global_batch: 8 epochs: 1 eval_every_steps: 5 }
@O)",
     R"(a.txtpb:3:35: train.eval_every_steps (5) needs samples to judge on: add data.eval or data.validation_fraction)"},
    {"EarlyStopWithoutEval", R"(@M
@D
train { global_batch: 8 epochs: 1 early_stop { patience: 2 min_delta: -1 } }
@O)",
     R"(a.txtpb:3:35: train.early_stop needs samples to judge on: add data.eval or data.validation_fraction
a.txtpb:3:60: train.early_stop.min_delta (-1) must be at least 0)"},
    {"EarlyStopWithoutPatience", R"(@M
@O
data { train { synthetic {} } eval { synthetic {} } }
train { global_batch: 8 epochs: 1 early_stop {} })",
     R"(a.txtpb:4:35: train.early_stop.patience is missing: add e.g. patience: 5)"},
    {"Checkpoint", R"(@ALL
checkpoint { every_steps: -1 keep_last: 0 keep_every: -2 keep_best: 1 mode: LATER max_failures: 0 })",
     R"(a.txtpb:5:14: checkpoint.every_steps (-1) must be from 0 to 2147483647
a.txtpb:5:30: checkpoint.keep_last (0) must be from 1 to 2147483647
a.txtpb:5:43: checkpoint.keep_every (-2) must be from 0 to 2147483647
a.txtpb:5:58: checkpoint.keep_best (1) needs samples to judge on: add data.eval or data.validation_fraction
a.txtpb:5:77: checkpoint.mode expects one of ASYNC, SYNC, got "LATER"
a.txtpb:5:83: checkpoint.max_failures (0) must be from 1 to 2147483647)"},
    {"Deadlines", R"(@ALL
deadlines { start_seconds: 0 step_seconds: -1 })",
     R"(a.txtpb:5:13: deadlines.start_seconds (0) must be above 0
a.txtpb:5:30: deadlines.step_seconds (-1) must be at least 0)"},
    {"FractionAndEval", R"(@M
@T
@O
data { train { synthetic {} } eval { synthetic {} } validation_fraction: 0.1 })",
     R"(a.txtpb:4:53: data.validation_fraction (0.1) stands beside data.eval; remove one)"},
    {"FractionOfOne", R"(@M
@T
@O
data { train { synthetic {} } validation_fraction: 1 })",
     R"(a.txtpb:4:31: data.validation_fraction (1) must be at least 0 and below 1)"},
    {"NormalizeWithoutImages", R"(@M
@T
@O
data { train { synthetic {} } normalize { mean: 0.5 } })",
     R"(a.txtpb:4:31: data.normalize is for the pixels of idx data, which this job has not; remove it)"},
    {"StddevZero", R"(@M
@T
@O
data { train { idx { images: "images.idx" labels: "labels.idx" } } normalize { stddev: 0 } })",
     R"(a.txtpb:4:80: data.normalize.stddev (0) must be above 0)"},
    {"SyntheticSize", R"(@M
@T
@O
data { train { synthetic { samples: 0 height: 70000 width: 70000 } } })",
     R"(a.txtpb:4:16: data.train.synthetic: a sample of 70000 x 70000 x 1 has more than 2147483647 elements
a.txtpb:4:28: data.train.synthetic.samples (0) must be from 1 to 2147483647)"},
    {"FileMissing", R"(@M
@T
@O
data { train { idx { images: "image.idx" labels: "nothing.gz" } } })",
     R"(a.txtpb:4:22: data.train.idx.images: there is no file image.idx; did you mean "images.idx"?
a.txtpb:4:42: data.train.idx.labels: there is no file nothing.gz; paths are relative to the job file)"},
    {"FileIsFolder", R"(@M
@T
@O
data { train { idx { images: "/tmp" labels: "labels.idx" } } })",
     R"(a.txtpb:4:22: data.train.idx.images: /tmp is no file)"},
    {"LoggingZero", R"(@ALL
logging { every_steps: 0 })",
     R"(a.txtpb:5:11: logging.every_steps (0) must be from 1 to 2147483647)"},
    {"CustomWithoutName", R"(@M
@T
@O
data { train { custom { parameter { value: "x" } } } })",
     R"(a.txtpb:4:16: data.train.custom.name is missing: add e.g. name: "mine"
a.txtpb:4:25: data.train.custom.parameter[0].key is missing: add e.g. key: "folder")"},
    {"SameParameterTwice", R"(@M
@T
@O
data { train { custom { name: "a" parameter { key: "k" } parameter { key: "k" } } } })",
     R"(a.txtpb:4:35: data.train.custom.parameter: two have the same key; remove one)"},
    {"VirtualShards", R"(@M
@D
train { global_batch: 24 epochs: 1 determinism: LAYOUT virtual_shards: 6 }
@O)",
     R"(a.txtpb:3:56: train.virtual_shards (6) must be a power of two that divides train.global_batch (24); nearest: 4, 8)"},
    {"MicroBatchOfVirtualShards", R"(@M
@D
train { global_batch: 24 micro_batch: 4 epochs: 1 determinism: LAYOUT virtual_shards: 4 }
@O)",
     R"(a.txtpb:3:26: train.micro_batch (4) must divide a virtual shard (6 = global batch 24 / 4 virtual shards); nearest: 3, 6)"},
    {"Threads", R"(@M
@D
train { global_batch: 24 epochs: 1 threads: -1 }
@O)",
     R"(a.txtpb:3:36: train.threads (-1) must be from 0 to 2147483647)"},
    {"Parallel", R"(@ALL
parallel {
  pipeline: -1
  tensor: -3
  zero: 4
  virtual_stages: -2
})",
     R"(a.txtpb:6:3: parallel.pipeline (-1) must be from 0 to 2147483647
a.txtpb:7:3: parallel.tensor (-3) must be from 0 to 2147483647
a.txtpb:8:3: parallel.zero (4) must be 0, 1, 2 or 3
a.txtpb:9:3: parallel.virtual_stages (-2) must be from 0 to 2147483647)"},
};
// clang-format on

INSTANTIATE_TEST_SUITE_P(Values, BadJobs, testing::ValuesIn(kBadValues), BadJobs::name_of);

}  // namespace
}  // namespace trireme::launcher
