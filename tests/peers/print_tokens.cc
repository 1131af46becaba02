// print_tokens FOLDER: each line of standard input, a text in hexadecimal, as its tokens.
#include <fmt/format.h>

#include <iostream>
#include <string>

#include "launcher/tokenizer/tokenizer.h"

namespace {

std::string unhex(const std::string& line) {
  std::string text;
  for (size_t i = 0; i + 1 < line.size(); i += 2)
    text += static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16));
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const trireme::launcher::Tokenizer tokenizer(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    const std::string text = unhex(line);
    std::string again;
    for (int32_t token : tokenizer.encode(text)) {
      fmt::print("{} ", token);
      again += tokenizer.bytes(token);
    }
    fmt::print("{}\n", again == text ? "same" : "DIFFERENT");
  }
}
