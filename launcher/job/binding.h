// Options from a Job message and back, through one list of fields for both ways.
//
// Fields that the message does not have keep the value of the options' initialiser. Written back,
// every field is there: that is the resolved job.
#pragma once

#include "launcher/job/job.pb.h"
#include "launcher/job/options.h"

namespace trireme::launcher {

// `options` are as their initialiser left them but for their places, which give layers and groups
// their SourcePlace.
void read_options(const job::Job& job, JobOptions& options);
job::Job write_options(const JobOptions& options);

}  // namespace trireme::launcher
