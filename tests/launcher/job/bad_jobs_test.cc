#include "tests/launcher/job/bad_jobs.h"

#include "tests/launcher/job/job_folder.h"

namespace trireme::launcher {
namespace {

std::string expand(std::string text) {
  for (const auto& [mark, part] :
       {std::pair<std::string, std::string>{"@ALL\n", "@M\n@D\n@T\n@O\n"},
        {"@M\n", kModel},
        {"@D\n", kData},
        {"@T\n", kTrain},
        {"@O\n", kOptimizer}})
    for (size_t at; (at = text.find(mark)) != std::string::npos;)
      text.replace(at, mark.size(), part);
  return text;
}

}  // namespace

TEST_P(BadJobs, SaysExactly) {
  EXPECT_EQ(JobFolder().errors(expand(GetParam().text + "\n")), GetParam().errors);
}

}  // namespace trireme::launcher
