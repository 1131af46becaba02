// Language models and their data.
#include "tests/launcher/job/bad_jobs.h"

namespace trireme::launcher {
namespace {

// clang-format off
const BadJob kBadLanguage[] = {
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
};
// clang-format on

INSTANTIATE_TEST_SUITE_P(Language, BadJobs, testing::ValuesIn(kBadLanguage), BadJobs::name_of);

}  // namespace
}  // namespace trireme::launcher
