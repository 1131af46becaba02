// Bad job files and exactly what is said of them.
//
// In the texts @M, @D, @T and @O stand for a model, data, train and optimizer that are right, @ALL
// for the four of them.
#include <gtest/gtest.h>

#include <ostream>

#include "tests/launcher/job/job_folder.h"

namespace trireme::launcher {
namespace {

struct BadJob {
  const char* name;
  std::string text;
  std::string errors;
};
void PrintTo(const BadJob& job, std::ostream* os) { *os << job.name; }

std::string expand(std::string text) {
  for (const auto& [mark, part] :
       {std::pair<std::string, std::string>{"@ALL\n", "@M\n@D\n@T\n@O\n"},
        {"@M\n", kModel},
        {"@D\n", kData},
        {"@T\n", kTrain},
        {"@O\n", kOptimizer}})
    for (size_t at; (at = text.find(mark)) != std::string::npos;)
      text.replace(at, mark.size(), part);
  return text;
}

class BadJobs : public testing::TestWithParam<BadJob> {};

TEST_P(BadJobs, SaysExactly) {
  EXPECT_EQ(JobFolder().errors(expand(GetParam().text + "\n")), GetParam().errors);
}

// clang-format off
const BadJob kBadJobs[] = {
    {"UnknownFieldNear", R"(@M
@D
train { global_batch: 8 epochs: 1 sed: 2 }
@O)",
     R"(a.txtpb:3:35: unknown field "sed" of train; did you mean "seed"?)"},
    {"UnknownFieldFar", R"(@ALL
foo: 3)",
     R"(a.txtpb:5:1: unknown field "foo" of the job; its fields: name, model, data, train, optimizer, schedule, parallel, logging, checkpoint, deadlines)"},
    {"UnknownFieldWithoutFields", R"(model { layer { name: "a" relu { slope: 1 } } layer { name: "l" softmax_cross_entropy {} } }
@D
@T
@O)",
     R"(a.txtpb:1:34: unknown field "slope" of model.layer[0].relu; it has no fields)"},
    {"UnknownSection", R"(modle { lenet5 {} }
@D
@T
@O)",
     R"(a.txtpb:1:1: unknown field "modle" of the job; did you mean "model"?)"},
    {"UnknownSectionWithScalar", R"(@ALL
checkpoint_every: 3 name: "x")",
     R"(a.txtpb:5:1: unknown field "checkpoint_every" of the job; its fields: name, model, data, train, optimizer, schedule, parallel, logging, checkpoint, deadlines)"},
    {"UnknownInLayer", R"(@D
@T
@O
model {
  layer { name: "a" conv2d { outputs: 2 kernal: 3 } }
  layer { name: "l" softmax_cross_entropy {} }
})",
     R"(a.txtpb:5:41: unknown field "kernal" of model.layer[0].conv2d; did you mean "kernel"?)"},
    {"GptHeads", R"(model { gpt { layers: 1 width: 384 heads: 5 context: 8 vocabulary: 256 } }
data { train { text { files: "a.bin" } } }
@T
@O)",
     R"(a.txtpb:1:36: model.gpt.heads (5) must divide model.gpt.width (384); nearest: 4, 6)"},
    {"GptWithoutSizes", R"(model { gpt { layers: 1 } }
data { train { text { files: "a.bin" } } }
@T
@O)",
     R"(a.txtpb:1:9: model.gpt.width is missing: add e.g. width: 768
a.txtpb:1:9: model.gpt.heads is missing: add e.g. heads: 12
a.txtpb:1:9: model.gpt.context is missing: add e.g. context: 1024
a.txtpb:1:9: model.gpt.vocabulary is missing: add e.g. vocabulary: 50257)"},
    {"GptPresetOverridden", R"(model { gpt { preset: GPT2_124M layers: 0 heads: 7 dropout: 1 } }
data { train { tokens { files: "a.bin" } } }
@T
@O)",
     R"(a.txtpb:1:33: model.gpt.layers (0) must be from 1 to 2147483647
a.txtpb:1:43: model.gpt.heads (7) must divide model.gpt.width (768); nearest: 6, 8
a.txtpb:1:52: model.gpt.dropout (1) must be at least 0 and below 1)"},
    {"GptTooDeep", R"(model { gpt { preset: GPT2_124M layers: 20000 } }
data { train { tokens { files: "a.bin" } } }
@T
@O)",
     R"(a.txtpb:1:33: model.gpt.layers (20000) must be at most 10000)"},
    {"LlamaHeads", R"(model { llama { layers: 1 width: 36 heads: 12 kv_heads: 5 hidden: 8 context: 8 vocabulary: 256 } }
data { train { text { files: "a.bin" } } }
@T
@O)",
     R"(a.txtpb:1:37: model.llama.heads (12) leaves 3 elements a head; rotary positions turn pairs, so it must be an even number
a.txtpb:1:47: model.llama.kv_heads (5) must divide model.llama.heads (12); nearest: 4, 6)"},
    {"TokensBeyondTheModel", R"(model { gpt { preset: GPT2_124M } }
data { train { tokens { files: "a.bin" context: 1025 vocabulary: 50258 } } }
@T
@O)",
     R"(a.txtpb:1:9: model.gpt.vocabulary (50257) must be at least that of data.train.tokens (50258)
a.txtpb:2:40: data.train.tokens.context (1025) must be at most model.gpt.context (1024))"},
    {"TextForPictures", R"(@M
data { train { text { files: "a.bin" context: 3 } } }
@T
@O)",
     R"(a.txtpb:2:16: data.train.text is for models that read tokens: gpt or llama)"},
    {"PicturesForText", R"(model { gpt { preset: GPT2_124M } }
@D
@T
@O)",
     R"(a.txtpb:2:8: data.train has pictures and this model reads tokens: use tokens or text)"},
    {"TokensWithoutFiles", R"(model { gpt { preset: GPT2_124M } }
data { train { tokens {} } eval { tokens { files: ["a.bin", "shard_*.bin"] } } }
@T
@O)",
     R"(a.txtpb:2:16: data.train.tokens.files is missing: add e.g. files: "train_*.bin"
a.txtpb:2:61: data.eval.tokens.files[1]: there is no file shard_*.bin; paths are relative to the job file)"},
    {"TokensForCustomModels", R"(model { custom { name: "mine" } }
data { train { tokens { files: "a.bin" } } }
@T
@O)",
     R"(a.txtpb:2:16: data.train.tokens.vocabulary is missing: add e.g. vocabulary: 50257
a.txtpb:2:16: data.train.tokens.context is missing: add e.g. context: 256)"},
    {"TextThatWasNotMadeYet", R"(model { gpt { preset: GPT2_124M } }
data { train { text { files: "licenses.txt" } } }
@T
@O)",
     R"(a.txtpb:2:23: data.train.text.files[0]: there is no file licenses.txt; deploy/data.sh text makes it)"},
    {"DuplicateScalar", R"(@M
@D
train { global_batch: 8 epochs: 1 seed: 1
 seed: 2 }
@O)",
     R"(a.txtpb:4:2: train.seed is given twice, first on line 3; remove one)"},
    {"DuplicateMessage", R"(@ALL
train {})",
     R"(a.txtpb:5:1: train is given twice, first on line 3; remove one)"},
    {"TwoOptimizers", R"(@M
@D
@T
optimizer {
  sgd { lr: 0.1 }
  adamw { lr: 0.1 }
})",
     R"(a.txtpb:6:3: optimizer.adamw stands beside optimizer.sgd (line 5), but only one of sgd, adam, adamw may be given; remove one)"},
    {"TwoSources", R"(@M
data { train { custom { name: "mine" } idx { images: "a" labels: "b" } } }
@T
@O)",
     R"(a.txtpb:2:40: data.train.idx stands beside data.train.custom (line 2), but only one of idx, synthetic, tokens, text, custom may be given; remove one)"},
    {"EpochsAndSteps", R"(@M
@D
@O
train { global_batch: 8 epochs: 1 steps: 2 })",
     R"(a.txtpb:4:35: train.steps stands beside train.epochs (line 4), but only one of epochs, steps may be given; remove one)"},
    {"NetworkAndLayers", R"(@D
@T
@O
model {
  lenet5 {}
  layer { name: "a" relu {} }
  layer { name: "b" relu {} }
})",
     R"(a.txtpb:6:3: model.layer stands beside model.lenet5 (line 5), but only one of mlp, lenet5, gpt, llama, custom, layer may be given; remove one)"},
    {"LayersAndNetwork", R"(@D
@T
@O
model {
  layer { name: "l" softmax_cross_entropy {} }
  mlp {}
})",
     R"(a.txtpb:6:3: model.mlp stands beside model.layer (line 5), but only one of mlp, lenet5, gpt, llama, custom, layer may be given; remove one)"},
    {"TextForInteger", R"(@M
@D
train { global_batch: "8" epochs: 1 }
@O)",
     R"(a.txtpb:3:23: train.global_batch expects a whole number, got "8")"},
    {"FloatForInteger", R"(@M
@D
train { global_batch: 8.5 epochs: 1 }
@O)",
     R"(a.txtpb:3:23: train.global_batch expects a whole number, got 8.5)"},
    {"WordForInteger", R"(@M
@D
train { global_batch: many epochs: 1 }
@O)",
     R"(a.txtpb:3:23: train.global_batch expects a whole number, got "many")"},
    {"WordForNumber", R"(@M
@D
@T
optimizer { sgd { lr: small } })",
     R"(a.txtpb:4:23: optimizer.sgd.lr expects a number, got "small")"},
    {"InfiniteNumber", R"(@M
@D
@T
optimizer { sgd { lr: inf } })",
     R"(a.txtpb:4:23: optimizer.sgd.lr expects a number, got "inf")"},
    {"NumberForBool", R"(@M
@D
@T
optimizer { sgd { lr: 0.1 nesterov: 1 } })",
     R"(a.txtpb:4:37: optimizer.sgd.nesterov expects true or false, got 1)"},
    {"WordForText", R"(name: lenet5-digits
@ALL)",
     R"(a.txtpb:1:7: name expects text in quotes, got "lenet5"; write "lenet5")"},
    {"NumberForMessage", R"(@D
@T
@O
model: 3)",
     R"(a.txtpb:4:8: model expects "{", got 3)"},
    {"MessageForScalar", R"(@M
@D
train { global_batch: { a: 1 } epochs: 1 }
@O)",
     R"(a.txtpb:3:23: train.global_batch expects a whole number, got "{")"},
    {"ListForScalar", R"(@M
@D
train { global_batch: [8] epochs: 1 }
@O)",
     R"(a.txtpb:3:23: train.global_batch expects a whole number, not a list; remove the [ ])"},
    {"NoValue", R"(@M
@D
train { global_batch: epochs: 1 }
@O)",
     R"(a.txtpb:3:23: train.global_batch has no value; expects a whole number)"},
    {"NoColon", R"(@M
@D
train { global_batch 8 epochs: 1 }
@O)",
     R"(a.txtpb:3:22: train.global_batch expects ":" before its value, got 8)"},
    {"EnumCase", R"(@M
@D
train { global_batch: 8 epochs: 1 precision: fp32 }
@O)",
     R"(a.txtpb:3:46: train.precision expects one of FP32, BF16, FP16, got "fp32"; did you mean FP32?)"},
    {"EnumUnknown", R"(@M
@D
train { global_batch: 8 epochs: 1 precision: DOUBLE }
@O)",
     R"(a.txtpb:3:46: train.precision expects one of FP32, BF16, FP16, got "DOUBLE")"},
    {"EnumNumber", R"(@M
@D
train { global_batch: 8 epochs: 1 precision: 0 }
@O)",
     R"(a.txtpb:3:46: train.precision expects one of FP32, BF16, FP16, got 0)"},
    {"ListOfWrongType", R"(@D
@T
@O
model { mlp { hidden: [64, "x"] } })",
     R"(a.txtpb:4:28: model.mlp.hidden expects a whole number, got "x")"},
    {"ListNotClosed", R"(@D
@T
@O
model { mlp { hidden: [64, 32 } })",
     R"(a.txtpb:4:23: the list of model.mlp.hidden is not closed; add "]")"},
    {"ListWithoutComma", R"(@D
@T
@O
model { mlp { hidden: [64 32] } })",
     R"(a.txtpb:4:27: model.mlp.hidden expects "," or "]" in its list, got 32)"},
    {"IntegerTooLarge", R"(@M
@D
train { global_batch: 9223372036854775808 epochs: 1 }
@O)",
     R"(a.txtpb:3:23: train.global_batch expects a whole number from -9223372036854775808 to 9223372036854775807, got 9223372036854775808)"},
    {"NegativeUnsigned", R"(@M
@D
train { global_batch: 8 epochs: 1 seed: -1 }
@O)",
     R"(a.txtpb:3:41: train.seed expects a whole number from 0 to 18446744073709551615, got -1)"},
    {"Int32TooSmall", R"(@D
@T
@O
model { layer { name: "l" softmax_cross_entropy { ignore_index: -2147483649 } } })",
     R"(a.txtpb:4:65: model.layer[0].softmax_cross_entropy.ignore_index expects a whole number from -2147483648 to 2147483647, got -2147483649)"},
    {"FloatTooLarge", R"(@M
@D
@T
optimizer { sgd { lr: 1e39 } })",
     R"(a.txtpb:4:23: optimizer.sgd.lr expects a number from -3.4028235e+38 to 3.4028235e+38, got 1e39)"},
    {"MissingClosingBrace", R"(@M
@D
train {
  global_batch: 8
  epochs: 1
@O)",
     R"(a.txtpb:6:1: train is not closed before "optimizer", which is no field of it; add "}")"},
    {"MissingClosingBraceAtEnd", R"(@M
@D
@T
optimizer { sgd { lr: 0.1 })",
     R"(a.txtpb:4:11: optimizer is not closed; add "}" at its end)"},
    {"MissingOpeningBrace", R"(@D
@T
@O
model lenet5 {} })",
     R"(a.txtpb:4:7: model expects "{", got "lenet5")"},
    {"ExtraClosingBrace", R"(@ALL
})",
     R"(a.txtpb:5:1: "}" closes nothing; remove it, or add the { before it)"},
    {"UnterminatedText", R"(name: "abc
@ALL)",
     R"(a.txtpb:1:11: text is not closed; add " at its end)"},
    {"BadEscape", R"(name: "a\qb"
@ALL)",
     R"(a.txtpb:1:10: unknown escape in text; write \\ for a backslash)"},
    {"ControlInText", R"(name: "a\nb"
@ALL)",
     R"(a.txtpb:1:7: name expects text in quotes, got "a\nb"; control characters and bytes that are no UTF-8 are not allowed)"},
    {"StraySymbols", R"(@ALL
!! ?)",
     R"(a.txtpb:5:1: expects a field of the job, got "!")"},
    {"StrayNumber", R"(@ALL
7)",
     R"(a.txtpb:5:1: expects a field of the job, got 7)"},
    {"NonAscii", R"(@ALL
naïve: 1)",
     R"(a.txtpb:5:1: unknown field "na" of the job; its fields: name, model, data, train, optimizer, schedule, parallel, logging, checkpoint, deadlines
a.txtpb:5:3: a character beyond ASCII outside of text; put it between quotes, or remove it
a.txtpb:5:5: unknown field "ve" of the job; its fields: name, model, data, train, optimizer, schedule, parallel, logging, checkpoint, deadlines)"},
    {"NumberIntoWord", R"(@M
@D
train { global_batch: 8epochs: 1 }
@O)",
     R"(a.txtpb:3:25: a number ends after its e; write e.g. 1e-3
a.txtpb:3:25: a number runs into a word; add a space
a.txtpb:3:25: unknown field "pochs" of train; did you mean "epochs"?)"},
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
    {"UnavailablePrecision", R"(@M
@D
train { global_batch: 8 epochs: 1 precision: BF16 }
@O)",
     R"(a.txtpb:3:35: train.precision (BF16) is not available in this version; leave it FP32)"},
    {"UnavailableDeterminism", R"(@M
@D
train { global_batch: 8 epochs: 1 determinism: LAYOUT }
@O)",
     R"(a.txtpb:3:35: train.determinism (LAYOUT) is not available in this version; leave it RUN)"},
    {"UnavailableRecompute", R"(@M
@D
train { global_batch: 8 epochs: 1 recompute: FULL }
@O)",
     R"(a.txtpb:3:35: train.recompute (FULL) is not available in this version; leave it NONE)"},
    {"UnavailableParallel", R"(@ALL
parallel {
  pipeline: 2
  tensor: 0
  zero: 4
  pipeline_schedule: GPIPE
})",
     R"(a.txtpb:6:3: parallel.pipeline (2) is not available in this version; leave it 1
a.txtpb:7:3: parallel.tensor (0) is not available in this version; leave it 1
a.txtpb:8:3: parallel.zero (4) must be 0, 1, 2 or 3
a.txtpb:9:3: parallel.pipeline_schedule (GPIPE) is not available in this version; leave it ONE_F_ONE_B)"},
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
    {"FiveErrors", R"(name: "five"
model { mlp { hidden: [64] activaton: RELU } }
@D
train {
  global_batch: "8"
  micro_batch: 3
  precision: fp16
  epochs: 1
  epochs: 2
}
optimizer { sgd { lr: 0 } })",
     R"(a.txtpb:2:28: unknown field "activaton" of model.mlp; did you mean "activation"?
a.txtpb:5:17: train.global_batch expects a whole number, got "8"
a.txtpb:7:14: train.precision expects one of FP32, BF16, FP16, got "fp16"; did you mean FP16?
a.txtpb:9:3: train.epochs is given twice, first on line 8; remove one
a.txtpb:11:19: optimizer.sgd.lr (0) must be above 0)"},
    {"CommentOnly", R"(# nothing here)",
     R"(a.txtpb:1:1: the job is empty; see the files in jobs/, or trireme help)"},
    {"Empty", R"()",
     R"(a.txtpb:1:1: the job is empty; see the files in jobs/, or trireme help)"},
};
// clang-format on

INSTANTIATE_TEST_SUITE_P(Table, BadJobs, testing::ValuesIn(kBadJobs),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace trireme::launcher
