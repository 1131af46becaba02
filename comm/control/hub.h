// Rank 0's end of the star: a connection to every other rank. Alone, it watches itself.
//
// Why a star and no tree: at four messages a second and 1,000 ranks rank 0 takes in some 400 KB/s,
// which one thread handles in about a percent of a core, and a tree would make every inner rank
// one whose loss hides others.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "comm/control/meeting.h"
#include "comm/control/star.h"

namespace trireme::comm::control {

class Hub final : public Star {
 public:
  // Takes the listener, and gives it back to the system once every rank has come.
  Hub(Crew& crew, Meeting& meeting);

  void watch(std::vector<pollfd>& set) const override;
  void read() override;
  void beat() override;
  std::optional<Verdict> judge(bool on_beat) override;
  void tell(const Verdict& verdict) override;
  bool complete() const override { return missing_ == 0; }
  void leave() override;
  void drain(std::chrono::milliseconds limit) override;

 private:
  // A connection that has not shown the token.
  struct Stranger {
    Connection connection;
    AwakeClock::Time since;
  };
  struct RankFailure {
    int rank;
    Failure failure;
  };
  struct Loss {
    int rank;
    std::string why;
  };

  void accept_strangers();
  void question_strangers();
  bool is_unwelcome(Stranger& stranger);  // asks once more; takes it in if it is a rank
  bool take_in(Stranger& stranger, const Message& message);
  void read_rank(int rank);
  void lose(int rank, const std::string& why);
  bool handle(int rank, const Message& message);  // false: it is none that a rank sends
  bool is_still_gathering() const;
  std::optional<Verdict> losses();
  std::optional<Verdict> first_failure(bool on_beat);
  std::optional<Verdict> absentees();
  void send_tables();

  Crew& crew_;
  Token token_;
  UniqueFd listener_;
  std::vector<Stranger> strangers_;
  std::vector<std::unique_ptr<Connection>> ranks_;  // null: rank 0, not come yet, or left
  int missing_;
  AwakeClock::Time opened_;
  Pulse pulse_;
  AwakeClock::Time next_tables_{};
  std::optional<RankFailure> failure_;
  std::set<int> failed_;  // whose end needs no words of ours
  std::vector<Loss> lost_;
  AwakeClock::Time lost_at_{};       // the first
  std::optional<Verdict> given_up_;  // a survivor took rank 0 for dead, and said so
};

}  // namespace trireme::comm::control
