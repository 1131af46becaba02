#include "launcher/job/token_stream.h"

#include <array>
#include <utility>

#include "launcher/job/suggest.h"

namespace trireme::launcher {
namespace {

// protobuf's words for the slips that people make, and ours, which say what to do.
std::string reworded(const std::string& message) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kWords = {{
      {"String literals cannot cross line boundaries.", "text is not closed; add \" at its end"},
      {"Unexpected end of string.", "text is not closed; add \" at its end"},
      {"Invalid escape sequence in string literal.",
       "unknown escape in text; write \\\\ for a backslash"},
      {"Need space between number and identifier.", "a number runs into a word; add a space"},
      {"\"e\" must be followed by exponent.", "a number ends after its e; write e.g. 1e-3"},
      {"Numbers starting with leading zero must be in octal.",
       "a number starts with 0, which means octal; leave the 0 out"},
      {"Invalid control characters encountered in text.", "a control character; remove it"},
  }};
  for (const auto& [theirs, ours] : kWords)
    if (message == theirs) return std::string(ours);
  if (message.starts_with("Interpreting non ascii codepoint"))
    return "a character beyond ASCII outside of text; put it between quotes, or remove it";
  return message.ends_with('.') ? message.substr(0, message.size() - 1) : message;
}

}  // namespace

TokenStream::TokenStream(std::string_view text, Origin start, Diagnostics& diagnostics)
    : start_(start),
      diagnostics_(diagnostics),
      input_(text.data(), static_cast<int>(text.size())),
      tokenizer_(&input_, this) {
  tokenizer_.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
  advance();
  advance();
}

void TokenStream::advance() {
  std::swap(current_, next_);
  current_broken_ = std::exchange(next_broken_, false);
  tokenizer_.Next();
  next_ = tokenizer_.current();
}

bool TokenStream::accept(char symbol) {
  if (!at(symbol)) return false;
  advance();
  return true;
}

std::string TokenStream::found() const {
  if (at_end()) return start_.set > 0 ? "nothing" : "the end of the file";
  if (current_.type == Tokenizer::TYPE_STRING) return one_line(current_.text);
  const bool number =
      current_.type == Tokenizer::TYPE_INTEGER || current_.type == Tokenizer::TYPE_FLOAT;
  return number ? one_line(current_.text) : in_quotes(current_.text);
}

// A loop, not a recursion: nesting is as deep as the file's author likes.
void TokenStream::skip_balanced() {
  int depth = 0;
  do {
    if (at_end()) return;
    if (at('{') || at('[')) ++depth;
    if (at('}') || at(']')) --depth;
    advance();
  } while (depth > 0);
}

void TokenStream::skip_value() {
  while (!at_end() && !at('}') && !at(']') && !at(',') && !at(';') && !at_field()) skip_balanced();
}

bool TokenStream::is(const Token& token, char symbol) {
  return token.type == Tokenizer::TYPE_SYMBOL && token.text[0] == symbol;
}

Origin TokenStream::origin_of(int line, int column) const {
  if (start_.set > 0) return start_;
  return {.line = line + 1, .column = column + 1};
}

void TokenStream::AddError(int line, int column, const std::string& message) {
  next_broken_ = true;
  std::string words = reworded(message);
  if (line == told_line_ && words == told_) return;
  diagnostics_.add(origin_of(line, column), words);
  told_line_ = line;
  told_ = std::move(words);
}

}  // namespace trireme::launcher
