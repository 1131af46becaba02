// A text cut where a regular expression says: PCRE2 behind one door.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::launcher {

// GPT-2's: contractions, words with the blank before them, numbers, signs, white space.
// Source: https://github.com/openai/gpt-2/blob/master/src/encoder.py
extern const char* const kGpt2Pattern;

class Splitter {
 public:
  // Throws InvalidArgument with PCRE2's words if `pattern` is no expression that it knows.
  explicit Splitter(const std::string& pattern);
  Splitter(Splitter&&) noexcept;
  ~Splitter();

  // Appends every match, and what lies between two, in order: together they are the text. Bytes
  // that are no UTF-8 match nothing.
  void split(std::string_view text, std::vector<std::string_view>& pieces) const;

 private:
  struct Expression;
  std::unique_ptr<Expression> expression_;
};

}  // namespace trireme::launcher
