#include "core/sim/check_programs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

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
CheckedWorld world_of(const std::vector<const CallScript*>& scripts) {
  const auto ranks = static_cast<int>(scripts.size());
  CheckedWorld world{.scripts = scripts, .groups = {}, .members = {}, .stand_ins = {}};
  std::vector<int> everybody(ranks);
  std::iota(everybody.begin(), everybody.end(), 0);
  world.groups.assign(ranks, {0, 1});
  world.members = {{kData, "data", everybody}, {kPipeline, "pipeline", everybody}};
  return world;
}

std::string error_of(const CheckedWorld& world) {
  try {
    check_programs(world);
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "";
}

std::string error_of(const std::vector<const Script*>& ranks) {
  std::vector<CallScript> scripts;
  for (const Script* rank : ranks) scripts.push_back(script_of(rank->program()));
  std::vector<const CallScript*> pointers;
  for (const CallScript& script : scripts) pointers.push_back(&script);
  return error_of(world_of(pointers));
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
            "[programs] collective 1 of the data group: rank 0 has all_reduce of bucket 1, 16 x "
            "f32 (in forward of micro-batch 0), where rank 2 has all_reduce of bucket 1, 24 x f32 "
            "(in forward of micro-batch 0)");
  const Script swapped = Script().reduce("bucket 1", 16).reduce("bucket 0", 8);
  EXPECT_THAT(error_of({&a, &swapped}), HasSubstr("collective 0 of the data group"));
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
  EXPECT_THAT(error_of({&two, &three}), HasSubstr("collective 2 of the data group"));
}

TEST(CheckPrograms, EverySendMeetsAReceive) {
  const Script sends = Script().send(1), sends_twice = Script().send(1).send(1);
  const Script receives = Script().receive(0), silent = Script();
  EXPECT_EQ(error_of({&sends, &receives}), "");
  EXPECT_THAT(error_of({&sends, &silent}), HasSubstr("rank 1 has nothing"));
  EXPECT_THAT(error_of({&silent, &receives}), HasSubstr("rank 0 has nothing"));
  EXPECT_THAT(error_of({&sends_twice, &receives}), HasSubstr("message 1 of the pipeline group"));
  const Script elsewhere = Script().send(7);
  EXPECT_THAT(error_of({&elsewhere, &receives}), HasSubstr("would send to member 7"));
}

// Both ends wait for what the other sends only afterwards.
TEST(CheckPrograms, NamesADeadlock) {
  const Script top = Script().receive(1, false).join(StreamRole::kReceiveUp).send(1);
  const Script bottom = Script().receive(0).join(StreamRole::kReceiveDown).send(0, false);
  EXPECT_EQ(error_of({&top, &bottom}),
            "[programs] would hang: rank 0 in recv of x, 12 x f32 (in forward of micro-batch 0) "
            "waits for rank 1 in send of x, 12 x f32 (in forward of micro-batch 0) waits for rank "
            "1 in recv of x, 12 x f32 (in forward of micro-batch 0) waits for rank 0 in send of "
            "x, 12 x f32 (in forward of micro-batch 0) waits for the first of these");
}

// Names tell two buckets of one size apart.
TEST(CheckPrograms, CollectivesOfOneSizeInAnotherOrder) {
  const Script a = Script().reduce("bucket 0", 8).reduce("bucket 1", 8);
  const Script b = Script().reduce("bucket 1", 8).reduce("bucket 0", 8);
  EXPECT_THAT(error_of({&a, &b}), HasSubstr("rank 1 has all_reduce of bucket 1"));
}

TEST(CheckPrograms, OneRankStandsForThoseThatAreAlike) {
  const CallScript big = script_of(Script(4).reduce("bucket 0", 8).program());
  CheckedWorld world = world_of(std::vector<const CallScript*>(300, &big));
  world.stand_ins.assign(300, 0);
  EXPECT_EQ(error_of(world), "");
  const CallScript small = script_of(Script(4).reduce("bucket 0", 7).program());
  world.scripts.back() = &small;  // matching asks every rank, whoever stands in for it
  EXPECT_THAT(error_of(world), HasSubstr("rank 299 has all_reduce of bucket 0, 7 x f32"));
}

TEST(CallScript, ComesBackFromItsBytes) {
  const CallScript script =
      script_of(Script(3).send(1).receive(1, false).join(StreamRole::kReceiveUp).program());
  std::string bytes;
  append(script, bytes);
  std::string_view rest = bytes;
  const CallScript read = read_script(rest);
  EXPECT_TRUE(rest.empty());
  std::string again;
  append(read, again);
  EXPECT_EQ(again, bytes);
  EXPECT_EQ(read.calls[1].what, "x");
  EXPECT_EQ(read.calls[1].count, 12);
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    std::string_view part = std::string_view(bytes).substr(0, cut);
    EXPECT_THROW(read_script(part), InvalidArgument) << cut;
  }
}

TEST(CallScript, OrderIsWhatStaysWithoutSizesAndNames) {
  const auto hash = [](const Script& script) { return order_hash(script_of(script.program())); };
  const uint64_t two = hash(Script().reduce("a", 1).reduce("b", 2));
  EXPECT_EQ(two, hash(Script().reduce("c", 3).reduce("d", 4)));
  EXPECT_NE(two, hash(Script().reduce("a", 1)));
  EXPECT_NE(two, hash(Script().reduce("a", 1).reduce("b", 2, kPipeline)));
  EXPECT_NE(two, hash(Script(2).reduce("a", 1).reduce("b", 2)));
}

}  // namespace
}  // namespace trireme::core
