// How the ranks find each other: the one thing of the control plane that goes through a
// communicator.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/control/connection.h"
#include "comm/control/roster.h"
#include "comm/control/socket.h"
#include "comm/control/wire.h"

namespace trireme::comm::control {

struct Meeting {
  Roster roster;
  std::string run;  // a random name of this run, which may be shown; the token may not
  Token token{};
  std::vector<std::string> addresses;  // of rank 0
  int port = 0;
  UniqueFd listener;  // on rank 0
};

// Collective. Rank 0 listens on 127.0.0.1 if all ranks share its machine and network, else on the
// addresses of `interface`, or on all. One rank alone listens to nobody.
//
// Throws SystemError, on every rank, if rank 0 cannot listen.
Meeting meet(Communicator& group, const std::string& interface);

// A connection to rank 0 on which hello and welcome have been said. Throws SystemError if there is
// none within `limit`, with what each address answered.
Connection join(const Meeting& meeting, std::chrono::milliseconds limit);

}  // namespace trireme::comm::control
