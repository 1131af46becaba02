// Where a rank is, as its own host thread sees it, and how long it may stay there.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace trireme::comm {

enum class Phase : uint8_t { kStart, kFirstStep, kStep, kData, kEval, kCheckpoint, kEnd };

constexpr std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::kStart:
      return "start";
    case Phase::kFirstStep:
      return "first step";
    case Phase::kStep:
      return "step";
    case Phase::kData:
      return "data";
    case Phase::kEval:
      return "eval";
    case Phase::kCheckpoint:
      return "checkpoint";
    case Phase::kEnd:
      return "end";
  }
  return "?";
}

// (pass, place) only grows: of two ranks, the one with less is behind.
struct Status {
  int64_t pass = 0;   // programs run so far
  int64_t place = 0;  // inside of the program: core::Executor::place()
  Phase phase = Phase::kStart;
  std::string where;  // in words of the graph: core::Executor::where()

  std::pair<int64_t, int64_t> progress() const { return {pass, place}; }
  // `where` follows from the rest, and is not compared.
  bool at_same_place(const Status& other) const {
    return progress() == other.progress() && phase == other.phase;
  }
};

// How long a rank may stand still in each phase. Zero: for ever.
struct Deadlines {
  using Time = std::chrono::milliseconds;

  Time start = std::chrono::minutes(5);  // also of kEnd
  Time first_step = std::chrono::minutes(5);
  Time step = std::chrono::minutes(1);
  Time data = std::chrono::minutes(1);
  Time eval = std::chrono::minutes(5);
  Time checkpoint = std::chrono::minutes(10);

  Time of(Phase phase) const {
    switch (phase) {
      case Phase::kFirstStep:
        return first_step;
      case Phase::kStep:
        return step;
      case Phase::kData:
        return data;
      case Phase::kEval:
        return eval;
      case Phase::kCheckpoint:
        return checkpoint;
      default:
        return start;
    }
  }
};

}  // namespace trireme::comm
