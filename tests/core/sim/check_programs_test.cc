#include "core/sim/check_programs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace trireme::core {
namespace {

using testing::HasSubstr;

constexpr int kData = 0, kPipeline = 1;

// A program of one segment, written call by call.
class Script {
 public:
  explicit Script(int micro_batches = 1) {
    value_ = program_.graph.input("x", {Shape{4, 3}, DType::kF32});
    program_.segments.push_back({.name = "forward", .instructions = {}, .operands = {}});
    for (int m = 0; m < micro_batches; ++m)
      program_.schedule.push_back(
          {.segment = 0, .micro_batch = m, .first = m == 0, .last = m == micro_batches - 1});
  }
  Script& reduce(std::string what, int64_t count, int group = kData, bool last = false) {
    add({.kind = InstructionKind::kCollective,
         .index = static_cast<int32_t>(program_.collectives.size()),
         .last_micro_batch = last,
         .stream = StreamRole::kData});
    program_.collectives.push_back({.group = group, .count = count, .what = std::move(what)});
    return *this;
  }
  Script& send(int peer, bool down = true) { return message(peer, down, false); }
  Script& receive(int peer, bool down = true) { return message(peer, down, true); }
  Script& join(StreamRole stream) {
    add({.kind = InstructionKind::kJoin, .stream = stream});
    return *this;
  }
  const Program& program() const { return program_; }

 private:
  void add(Instruction instruction) { program_.segments[0].instructions.push_back(instruction); }
  Script& message(int peer, bool down, bool receive) {
    const Transfer transfer{value_, kPipeline, peer, down, receive, "x"};
    add({.kind = InstructionKind::kTransfer,
         .index = static_cast<int32_t>(program_.transfers.size()),
         .stream = stream_of(transfer)});
    program_.transfers.push_back(transfer);
    program_.transfer_locations.push_back({Arena::kSlot, 0});
    return *this;
  }

  Program program_;
  ValueId value_ = kNoValue;
};

// Every rank is in both groups, with all the others.
std::string error_of(const std::vector<const Script*>& scripts) {
  std::vector<RankProgram> ranks;
  std::vector<int> everybody;
  for (size_t i = 0; i < scripts.size(); ++i) everybody.push_back(static_cast<int>(i));
  for (const Script* script : scripts)
    ranks.push_back({&script->program(), {{"data", everybody}, {"pipeline", everybody}}});
  try {
    check_programs(ranks);
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "";
}

TEST(CheckPrograms, AcceptsWhatMeets) {
  const Script top = Script(3).send(1).receive(1, false).join(StreamRole::kReceiveUp);
  const Script bottom = Script(3).receive(0).join(StreamRole::kReceiveDown).send(0, false);
  EXPECT_EQ(error_of({&top, &bottom}), "");
  const Script data = Script(3).reduce("bucket 0", 8, kData, true).join(StreamRole::kData);
  EXPECT_EQ(error_of({&data, &data, &data}), "");
}

TEST(CheckPrograms, NamesTheFirstCollectiveThatDiffers) {
  const Script a = Script().reduce("bucket 0", 8).reduce("bucket 1", 16);
  const Script b = Script().reduce("bucket 0", 8).reduce("bucket 1", 24);
  EXPECT_EQ(error_of({&a, &a, &b}),
            "[programs] call 1 in the data group: rank 0 has 16 x f32 (forward of micro-batch 0, "
            "all_reduce of bucket 1), where rank 2 has 24 x f32 (forward of micro-batch 0, "
            "all_reduce of bucket 1)");
  const Script swapped = Script().reduce("bucket 1", 16).reduce("bucket 0", 8);
  EXPECT_THAT(error_of({&a, &swapped}), HasSubstr("call 0 in the data group"));
}

TEST(CheckPrograms, NamesACollectiveThatOneRankLacks) {
  const Script both = Script().reduce("bucket 0", 8).reduce("bucket 1", 16);
  const Script one = Script().reduce("bucket 0", 8), none = Script();
  EXPECT_THAT(error_of({&both, &one}), HasSubstr("where rank 1 has nothing"));
  EXPECT_THAT(error_of({&one, &both}), HasSubstr("rank 0 has nothing, where rank 1 has"));
  EXPECT_THAT(error_of({&none, &one}), HasSubstr("rank 0 has nothing"));
  EXPECT_THAT(error_of({&one, &none}), HasSubstr("rank 1 has nothing"));
}

TEST(CheckPrograms, CountsOfMicroBatches) {
  const Script two = Script(2).reduce("sums", 8), three = Script(3).reduce("sums", 8);
  EXPECT_THAT(error_of({&two, &three}), HasSubstr("call 2 in the data group"));
}

TEST(CheckPrograms, EverySendMeetsAReceive) {
  const Script sends = Script().send(1), sends_twice = Script().send(1).send(1);
  const Script receives = Script().receive(0), silent = Script();
  EXPECT_EQ(error_of({&sends, &receives}), "");
  EXPECT_THAT(error_of({&sends, &silent}), HasSubstr("rank 1 has nothing"));
  EXPECT_THAT(error_of({&silent, &receives}), HasSubstr("rank 0 has nothing"));
  EXPECT_THAT(error_of({&sends_twice, &receives}), HasSubstr("call 1 in the pipeline group"));
  const Script elsewhere = Script().send(7);
  EXPECT_THAT(error_of({&elsewhere, &receives}), HasSubstr("would send to member 7"));
}

// Both ends wait for what the other sends only afterwards.
TEST(CheckPrograms, NamesADeadlock) {
  const Script top = Script().receive(1, false).join(StreamRole::kReceiveUp).send(1);
  const Script bottom = Script().receive(0).join(StreamRole::kReceiveDown).send(0, false);
  EXPECT_EQ(error_of({&top, &bottom}),
            "[programs] would hang: rank 0 in forward of micro-batch 0, recv of x "
            "waits for rank 1 in forward of micro-batch 0, send of x waits for rank 1 in "
            "forward of micro-batch 0, recv of x waits for rank 0 in forward of "
            "micro-batch 0, send of x waits for the first of these");
}

TEST(CheckPrograms, ManyRanksOfOneClassAreCheckedQuickly) {
  const Script script = Script(4).reduce("bucket 0", 8);
  EXPECT_EQ(error_of(std::vector<const Script*>(300, &script)), "");
}

}  // namespace
}  // namespace trireme::core
