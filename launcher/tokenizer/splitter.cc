#include "launcher/tokenizer/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

// Unicode's White_Space, as \s is understood where these patterns come from; PCRE2's \s has U+180E
// besides.
constexpr std::string_view kSpaces =
    R"(\x09-\x0D\x20\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

// `pattern` with each \s, and each \S outside of brackets, spelt out.
std::string with_spaces_spelt_out(std::string_view pattern) {
  std::string result;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view two = pattern.substr(i, 2);
    if (two == "\\s")
      result += in_class ? std::string(kSpaces) : fmt::format("[{}]", kSpaces);
    else if (two == "\\S" && !in_class)
      result += fmt::format("[^{}]", kSpaces);
    else if (two[0] == '\\')
      result += two;
    else {
      if (two[0] == '[') in_class = true;
      if (two[0] == ']') in_class = false;
      result += two[0];
      continue;
    }
    ++i;
  }
  return result;
}

}  // namespace

const char* const kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct Splitter::Expression {
  explicit Expression(const std::string& pattern) {
    const std::string spelt = with_spaces_spelt_out(pattern);
    int error = 0;
    size_t where = 0;
    code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(spelt.data()), spelt.size(),
                         PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &error, &where, nullptr);
    if (code) {
      pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without it matches are slower, and the same
      matched = pcre2_match_data_create(1, nullptr);
      return;
    }
    std::array<PCRE2_UCHAR, 200> words{};
    pcre2_get_error_message(error, words.data(), words.size());
    fail("the pattern '{}' cannot be used: {}", pattern,
         reinterpret_cast<const char*>(words.data()));
  }
  ~Expression() {
    pcre2_match_data_free(matched);
    pcre2_code_free(code);
  }
  Expression(const Expression&) = delete;

  pcre2_code* code = nullptr;
  pcre2_match_data* matched = nullptr;
};

Splitter::Splitter(const std::string& pattern)
    : expression_(std::make_unique<Expression>(pattern)) {}
Splitter::Splitter(Splitter&&) noexcept = default;
Splitter::~Splitter() = default;

void Splitter::split(std::string_view text, std::vector<std::string_view>& pieces) const {
  const auto* const subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  size_t done = 0, from = 0;
  while (from < text.size()) {
    const int found = pcre2_match(expression_->code, subject, text.size(), from, 0,
                                  expression_->matched, nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) throw SystemError(fmt::format("[tokenizer] PCRE2 failed with {}", found));
    const size_t* const range = pcre2_get_ovector_pointer(expression_->matched);
    const size_t begin = range[0], end = range[1];
    from = std::max(end, from + 1);
    if (end == begin) continue;
    if (begin > done) pieces.push_back(text.substr(done, begin - done));
    pieces.push_back(text.substr(begin, end - begin));
    done = end;
  }
  if (done < text.size()) pieces.push_back(text.substr(done));
}

}  // namespace trireme::launcher
