// What a rank will ask of its transport, known before it runs.
#pragma once

#include <optional>

#include "core/runtime/session.h"
#include "core/sim/call_script.h"
#include "parallel/groups.h"

namespace trireme::parallel {

// Of one training step and one evaluation.
struct RankScripts {
  core::CallScript train;
  std::optional<core::CallScript> eval;
};
RankScripts scripts_of(const core::SessionPlan& plan);

// Whether a rank makes a call in the group.
bool uses(const core::CallScript& script, Group group);
bool uses(const core::SessionPlan& plan, Group group);

}  // namespace trireme::parallel
