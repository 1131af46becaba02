// Says of a checkpoint, as often as it is asked, whether `trireme checkpoint verify` would accept
// it.
//
//   checkpoint_judge FOLDER
//
// For each line on stdin one line on stdout: "accepted", or "refused: " and the problems. One
// process for thousands of questions, where a start of the program for each would take minutes.
#include <cstdio>
#include <iostream>
#include <string>

#include "core/base/error.h"
#include "launcher/checkpoint/verify.h"

namespace {

// One line, whatever is said.
std::string judge(const std::string& folder) {
  try {
    const auto result = trireme::launcher::verify_checkpoint(folder);
    std::string line = result.problems.empty() ? "accepted" : "refused:";
    for (const std::string& problem : result.problems) line += " " + problem + ";";
    return line;
  } catch (const trireme::InvalidArgument& error) {
    return std::string("refused: ") + error.what();
  } catch (const std::exception& error) {
    return std::string("failed: ") + error.what();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  for (std::string question; std::getline(std::cin, question);) {
    const std::string line = judge(argv[1]);
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }
}
