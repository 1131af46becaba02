// What a rank will ask of its transport, known before it runs.
#pragma once

#include <vector>

#include "core/runtime/session.h"
#include "parallel/groups.h"

namespace trireme::parallel {

// Every call of one step and one evaluation, of all groups, in the order in which they are made;
// names point into the plan.
std::vector<core::CollectiveCall> collectives(const core::SessionPlan& plan);

// Whether this rank makes a call in the group.
bool uses(const core::SessionPlan& plan, Group group);

}  // namespace trireme::parallel
