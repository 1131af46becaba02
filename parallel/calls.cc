#include "parallel/calls.h"

#include <algorithm>

namespace trireme::parallel {

RankScripts scripts_of(const core::SessionPlan& plan) {
  RankScripts scripts{.train = core::script_of(plan.train), .eval = {}};
  if (plan.eval) scripts.eval = core::script_of(*plan.eval);
  return scripts;
}

bool uses(const core::CallScript& script, Group group) {
  return std::ranges::any_of(script.calls,
                             [&](const core::ScriptCall& call) { return call.group == group; });
}

bool uses(const core::SessionPlan& plan, Group group) {
  const RankScripts scripts = scripts_of(plan);
  return uses(scripts.train, group) || (scripts.eval && uses(*scripts.eval, group));
}

}  // namespace trireme::parallel
