#include "launcher/checkpoint/safetensors_header.h"

#include <gtest/gtest.h>

#include "small_checkpoint.h"

namespace trireme::launcher {
namespace {

using namespace std::string_literals;

TEST(SafetensorsHeader, IsRead) {
  const SafetensorsHeader header = parse_safetensors_header(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,3],"data_offsets":[4,28]},)"
      R"("a":{"shape":[],"data_offsets":[0,4],"dtype":"F32"},)"
      R"("none":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]}}   )",
      28, "f");
  ASSERT_EQ(header.entries.size(), 3u);
  EXPECT_EQ(header.entries[0].name, "a");
  EXPECT_EQ(header.entries[1].name, "none");
  EXPECT_EQ(header.entries[2].shape, (core::Shape{2, 3}));
  EXPECT_EQ(header.metadata.at("format"), "pt");
  EXPECT_TRUE(parse_safetensors_header("{}", 0, "f").entries.empty());
}

struct Bad {
  std::string text, error;
};

class BadHeader : public testing::TestWithParam<Bad> {};

TEST_P(BadHeader, IsRefusedWithALine) {
  EXPECT_EQ(refusal_of([&] { parse_safetensors_header(GetParam().text, 8, "f"); }),
            GetParam().error);
}

std::string tensor(const std::string& fields) { return "{\"a\":{" + fields + "}}"; }

INSTANTIATE_TEST_SUITE_P(
    Table, BadHeader,
    testing::Values(
        Bad{"", "f: the header is not a JSON object"},
        Bad{" {}", "f: the header is not a JSON object"},
        Bad{"[]", "f: the header is not a JSON object"},
        Bad{"{", "f: the header is not a JSON object: it is malformed at byte 2"},
        Bad{"{}x", "f: the header is not a JSON object: it is malformed at byte 3"},
        Bad{"{}", "f: holds 8 bytes of tensors, its header describes 0"},
        Bad{R"({"a":1})", "f: tensor 'a': holds a number where none belongs"},
        Bad{R"({"a":[]})", "f: tensor 'a': holds a list where none belongs"},
        Bad{R"({"a":"F32"})", "f: tensor 'a': holds a text where none belongs"},
        Bad{R"({"a":null})", "f: tensor 'a': holds a null"},
        Bad{R"({"a":{}})", "f: tensor 'a': expects dtype, shape and data_offsets"},
        Bad{"{\"a\":{\"x\":" + std::string(100'000, '['),
            "f: tensor 'a': expects dtype, shape and data_offsets, got another field"},
        Bad{tensor("\"shape\":" + std::string(100'000, '[')),
            "f: tensor 'a': holds a list where none belongs"},
        Bad{tensor(R"("dtype":"F16")"), "f: tensor 'a': expects dtype F32, got another"},
        Bad{tensor(R"("dtype":"F32","dtype":"F32")"), "f: tensor 'a': has a field twice"},
        Bad{tensor(R"("shape":[-1])"), "f: tensor 'a': holds a negative number"},
        Bad{tensor(R"("shape":[1.5])"), "f: tensor 'a': holds a number that is not whole"},
        Bad{tensor(R"("shape":[18446744073709551616])"),
            "f: tensor 'a': holds a number that is not whole"},
        Bad{tensor(R"("shape":[9223372036854775807])"),
            "f: tensor 'a': holds a number that is too large: 9223372036854775807"},
        Bad{tensor(R"("shape":[1,1,1,1,1,1,1])"), "f: tensor 'a': has more than 6 axes"},
        Bad{tensor(R"("shape":[true])"), "f: tensor 'a': holds true or false"},
        Bad{tensor(R"("dtype":"F32","shape":[4611686018427387904,2],"data_offsets":[0,8])"),
            "f: tensor 'a': [shape] has more than 2^62 elements: (4611686018427387904, 2)"},
        Bad{tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0])"),
            "f: tensor 'a': expects two data_offsets, got 1"},
        Bad{tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"),
            "f: tensor 'a': its bytes [8, 0) are not within the file's 8"},
        Bad{tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,12])"),
            "f: tensor 'a': its bytes [0, 12) are not within the file's 8"},
        Bad{tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])"),
            "f: tensor 'a': shape (1) does not fit 8 bytes"},
        Bad{tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"),
            "f: holds 8 bytes of tensors, its header describes 4"},
        Bad{tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"),
            "f: tensor 'a' begins at byte 4, expected 0: tensors overlap or leave a gap"},
        Bad{R"({"a\n":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
            "f: tensor 'a?' begins at byte 4, expected 0: tensors overlap or leave a gap"},
        Bad{"{\"" + std::string(513, 'a') + "\":{}}",
            "f: tensor '" + std::string(512, 'a') +
                "': its name has 513 bytes, at most 512 are allowed"},
        Bad{R"({"__metadata__":{"a":1}})",
            "f: tensor '__metadata__': holds a number where none belongs"},
        Bad{R"({"__metadata__":{"a":{}}})",
            "f: tensor '__metadata__': holds an object where none belongs"},
        Bad{R"({"\u001b[2J":1})", "f: tensor '?[2J': holds a number where none belongs"},
        Bad{R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{}})",
            "f: tensor 'a' is there twice"}));

}  // namespace
}  // namespace trireme::launcher
