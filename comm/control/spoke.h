// Another rank's end of the star: one connection, to rank 0. Once rank 0 has said goodbye, or is
// lost, the rank watches over itself alone.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "comm/control/meeting.h"
#include "comm/control/star.h"

namespace trireme::comm::control {

class Spoke final : public Star {
 public:
  // Throws SystemError if rank 0 cannot be reached.
  Spoke(Crew& crew, const Meeting& meeting);

  void watch(std::vector<pollfd>& set) const override;
  void read() override;
  void beat() override;
  std::optional<Verdict> judge(bool on_beat) override;
  void tell(const Verdict& verdict) override;
  bool complete() const override { return ready_; }
  void leave() override;
  void drain(std::chrono::milliseconds limit) override;

 private:
  bool handle(const Message& message);  // false: it is none that rank 0 sends
  void lose_center(const std::string& why);
  std::optional<Verdict> own_failure();
  std::optional<Verdict> silent_center() const;
  RankView view(int rank) const { return crew_.table.view(rank, crew_.clock.now()); }

  Crew& crew_;
  std::unique_ptr<Connection> center_;  // null: rank 0 has left, or is lost
  Pulse pulse_;
  bool ready_ = false;  // rank 0 sends tables once every rank is connected
  bool failure_told_ = false;
  std::optional<Verdict> verdict_;  // from rank 0, or of rank 0's loss
};

}  // namespace trireme::comm::control
