// The tokens of a job's text, one at a time with one to look ahead; what is not a token is
// reported on the way.
#pragma once

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <string>
#include <string_view>

#include "launcher/job/diagnostics.h"
#include "launcher/job/places.h"

namespace trireme::launcher {

class TokenStream : private google::protobuf::io::ErrorCollector {
 public:
  using Tokenizer = google::protobuf::io::Tokenizer;
  using Token = Tokenizer::Token;

  // `text` and `diagnostics` are borrowed. `start` is the place of the text: all of a --set's
  // tokens lie where the --set does.
  TokenStream(std::string_view text, Origin start, Diagnostics& diagnostics);

  const Token& current() const { return current_; }
  const Token& next() const { return next_; }
  void advance();

  bool at_end() const { return current_.type == Tokenizer::TYPE_END; }
  bool at_word() const { return current_.type == Tokenizer::TYPE_IDENTIFIER; }
  bool at(char symbol) const { return is(current_, symbol); }
  // Whether the token is malformed, which has been reported.
  bool at_broken() const { return current_broken_; }
  // Whether a field begins here: a word with ":" or "{" after it.
  bool at_field() const { return at_word() && (is(next_, ':') || is(next_, '{')); }
  bool accept(char symbol);

  Origin origin() const { return origin_of(current_.line, current_.column); }
  // The current token as an error names it: "abc", 12, the end of the file.
  std::string found() const;

  // Past the current token or, if a bracket opens here, past the one that closes it.
  void skip_balanced();
  // Past what is left of a value that was not understood, up to the next field or "}".
  void skip_value();

 private:
  static bool is(const Token& token, char symbol);
  Origin origin_of(int line, int column) const;
  void AddError(int line, int column, const std::string& message) override;

  Origin start_;
  Diagnostics& diagnostics_;
  google::protobuf::io::ArrayInputStream input_;
  Tokenizer tokenizer_;
  Token current_{}, next_{};  // set: protobuf leaves the type as it finds it
  bool current_broken_ = false, next_broken_ = false;
  int told_line_ = -1;  // of the last error, and its words: one of a kind a line is enough
  std::string told_;
};

}  // namespace trireme::launcher
