// What is no job by its words alone: fields, values, brackets.
#include "tests/launcher/job/bad_jobs.h"

namespace trireme::launcher {
namespace {

// clang-format off
const BadJob kBadText[] = {
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

INSTANTIATE_TEST_SUITE_P(Text, BadJobs, testing::ValuesIn(kBadText), BadJobs::name_of);

}  // namespace
}  // namespace trireme::launcher
