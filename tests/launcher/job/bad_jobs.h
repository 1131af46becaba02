// Bad job files and exactly what is said of them: bad_*_test.cc have the tables.
//
// In the texts @M, @D, @T and @O stand for a model, data, train and optimizer that are right, @ALL
// for the four of them.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>

namespace trireme::launcher {

struct BadJob {
  const char* name;
  std::string text;
  std::string errors;
};
inline void PrintTo(const BadJob& job, std::ostream* os) { *os << job.name; }

class BadJobs : public testing::TestWithParam<BadJob> {
 public:
  static std::string name_of(const testing::TestParamInfo<BadJob>& info) { return info.param.name; }
};

}  // namespace trireme::launcher
