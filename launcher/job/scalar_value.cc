#include "launcher/job/scalar_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "launcher/job/schema_walk.h"
#include "launcher/job/source_text.h"
#include "launcher/job/suggest.h"

namespace trireme::launcher {
namespace {

namespace pb = google::protobuf;
using Tokenizer = TokenStream::Tokenizer;

// One set or add call of reflection, told apart by the field.
class Slot {
 public:
  Slot(pb::Message& message, const pb::FieldDescriptor& field)
      : message_(message), field_(field), reflection_(*message.GetReflection()) {}

#define TRIREME_SLOT_PUT(Name, Type)                    \
  void put(Type value) {                                \
    if (field_.is_repeated())                           \
      reflection_.Add##Name(&message_, &field_, value); \
    else                                                \
      reflection_.Set##Name(&message_, &field_, value); \
  }
  TRIREME_SLOT_PUT(Int32, int32_t)
  TRIREME_SLOT_PUT(Int64, int64_t)
  TRIREME_SLOT_PUT(UInt64, uint64_t)
  TRIREME_SLOT_PUT(Float, float)
  TRIREME_SLOT_PUT(Double, double)
  TRIREME_SLOT_PUT(Bool, bool)
  TRIREME_SLOT_PUT(String, const std::string&)
  TRIREME_SLOT_PUT(Enum, const pb::EnumValueDescriptor*)
#undef TRIREME_SLOT_PUT

 private:
  pb::Message& message_;
  const pb::FieldDescriptor& field_;
  const pb::Reflection& reflection_;
};

class ScalarReader {
 public:
  ScalarReader(TokenStream& tokens, pb::Message& message, const pb::FieldDescriptor& field,
               const std::string& path, Diagnostics& diagnostics)
      : tokens_(tokens),
        slot_(message, field),
        field_(field),
        path_(path),
        diagnostics_(diagnostics),
        origin_(tokens.origin()) {}

  bool read() {
    if (tokens_.at_broken()) {
      tokens_.advance();
      return false;
    }
    switch (field_.cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_INT32:
        return read_integer<int32_t>();
      case pb::FieldDescriptor::CPPTYPE_INT64:
        return read_integer<int64_t>();
      case pb::FieldDescriptor::CPPTYPE_UINT64:
        return read_integer<uint64_t>();
      case pb::FieldDescriptor::CPPTYPE_FLOAT:
        return read_number<float>();
      case pb::FieldDescriptor::CPPTYPE_DOUBLE:
        return read_number<double>();
      case pb::FieldDescriptor::CPPTYPE_BOOL:
        return read_bool();
      case pb::FieldDescriptor::CPPTYPE_ENUM:
        return read_enum();
      default:
        return read_text();
    }
  }

 private:
  template <typename T>
  bool read_integer() {
    const bool negative = tokens_.accept('-');
    if (tokens_.current().type != Tokenizer::TYPE_INTEGER) return refuse("", negative);
    constexpr uint64_t kHigh = static_cast<uint64_t>(std::numeric_limits<T>::max());
    const uint64_t limit = !negative ? kHigh : std::is_signed_v<T> ? kHigh + 1 : 0;
    uint64_t magnitude = 0;
    if (!Tokenizer::ParseInteger(tokens_.current().text, limit, &magnitude))
      return out_of_range<T>(negative);
    slot_.put(static_cast<T>(negative ? uint64_t{0} - magnitude : magnitude));
    tokens_.advance();
    return true;
  }

  template <typename T>
  bool read_number() {
    const bool negative = tokens_.accept('-');
    const auto& token = tokens_.current();
    const bool integer = token.type == Tokenizer::TYPE_INTEGER;
    if (!integer && token.type != Tokenizer::TYPE_FLOAT) return refuse("", negative);
    double value = 0;
    uint64_t whole = 0;
    if (integer && Tokenizer::ParseInteger(token.text, UINT64_MAX, &whole))
      value = static_cast<double>(whole);
    else
      value = Tokenizer::ParseFloat(token.text);
    if (!std::isfinite(value) || value > static_cast<double>(std::numeric_limits<T>::max()))
      return out_of_range<T>(negative);
    slot_.put(static_cast<T>(negative ? -value : value));
    tokens_.advance();
    return true;
  }

  bool read_bool() {
    const std::string& word = tokens_.current().text;
    if (!tokens_.at_word() || (word != "true" && word != "false")) return refuse();
    slot_.put(word == "true");
    tokens_.advance();
    return true;
  }

  bool read_enum() {
    const std::string& word = tokens_.current().text;
    const auto names = value_names(*field_.enum_type());
    if (!tokens_.at_word()) return refuse();
    const auto* value = field_.enum_type()->FindValueByName(word);
    if (value == nullptr) {
      const std::string near = closest(word, names);
      return refuse(near.empty() ? "" : fmt::format("; did you mean {}?", near));
    }
    slot_.put(value);
    tokens_.advance();
    return true;
  }

  bool read_text() {
    if (tokens_.current().type != Tokenizer::TYPE_STRING) {
      const bool word = tokens_.at_word() && !tokens_.at_field();
      return refuse(word ? fmt::format("; write {}", in_quotes(tokens_.current().text)) : "");
    }
    std::string text;
    Tokenizer::ParseString(tokens_.current().text, &text);
    if (!is_plain_text(text))
      return refuse("; control characters and bytes that are no UTF-8 are not allowed");
    slot_.put(text);
    tokens_.advance();
    return true;
  }

  // `hint` goes at the end; a "-" that was read already goes in front of what was found.
  bool refuse(const std::string& hint = "", bool negative = false) {
    const bool nothing = tokens_.at_end() || tokens_.at('}') || tokens_.at_field();
    if (nothing && !negative)
      diagnostics_.add(origin_,
                       fmt::format("{} has no value; expects {}", path_, expected_value(field_)));
    else
      diagnostics_.add(origin_,
                       fmt::format("{} expects {}, got {}{}{}", path_, expected_value(field_),
                                   negative ? "-" : "", tokens_.found(), hint));
    skip(nothing);
    return false;
  }

  template <typename T>
  bool out_of_range(bool negative) {
    diagnostics_.add(origin_,
                     fmt::format("{} expects {} from {} to {}, got {}{}", path_,
                                 std::is_integral_v<T> ? "a whole number" : "a number",
                                 std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max(),
                                 negative ? "-" : "", tokens_.found()));
    skip(false);
    return false;
  }

  void skip(bool nothing) {
    if (nothing) return;
    if (!tokens_.at(']')) tokens_.skip_balanced();
  }

  TokenStream& tokens_;
  Slot slot_;
  const pb::FieldDescriptor& field_;
  const std::string& path_;
  Diagnostics& diagnostics_;
  Origin origin_;
};

}  // namespace

bool is_plain_text(std::string_view text) {
  const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  return first_bad_byte(text) == std::string_view::npos &&
         std::none_of(text.begin(), text.end(), control);
}

bool read_scalar(TokenStream& tokens, pb::Message& message, const pb::FieldDescriptor& field,
                 const std::string& path, Diagnostics& diagnostics) {
  return ScalarReader(tokens, message, field, path, diagnostics).read();
}

}  // namespace trireme::launcher
