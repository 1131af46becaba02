// Runs ops one by one on a device and collects what is wrong with how they behave: see op_check.h
// for what is looked at besides the values.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "tests/support/op_check.h"

namespace trireme::test {

class NodeRunner {
 public:
  NodeRunner(OpDevice& device, OpSetting setting) : device_(device), setting_(std::move(setting)) {}

  std::vector<HostTensor> run(const core::Op& op, const std::vector<HostTensor>& inputs);

  template <typename... Args>
  void report(fmt::format_string<Args...> format, Args&&... args) {
    problems_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  void check_accumulate(const core::Op& op, const std::vector<HostTensor>& inputs,
                        const std::vector<HostTensor>& plain);

  OpDevice& device_;
  OpSetting setting_;
  std::vector<std::string> problems_;
};

}  // namespace trireme::test
