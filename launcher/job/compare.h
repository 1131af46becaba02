// Whether two jobs are the same run: what differs, and which differences a run may resume with.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::launcher {

struct JobDifference {
  std::string path;           // "train.steps", "model.layer[2].conv2d.kernel"
  std::string before, after;  // values as a job file has them; "not set" where there is none
  bool allowed = false;       // a run may go on with it

  std::string str() const;  // "train.steps: 100 -> 200"
};

// The fields in which two resolved jobs differ, in the order of the schema. A field that one text
// lacks counts as its default, so that a job resolved by an older version compares well.
// Allowed: how the work is shared out, saved, printed and watched, how long it goes on, learning
// rate and schedule, and where data lie (that they are the same is for Dataset::identity).
// Throws InvalidArgument "NAME:line:column: ..." if `before` is no job that this version knows.
std::vector<JobDifference> compare_jobs(std::string_view before, std::string_view after,
                                        std::string_view name_of_before);

// Whether a field's path fits one of the allowed patterns.
bool may_differ(std::string_view path);

}  // namespace trireme::launcher
