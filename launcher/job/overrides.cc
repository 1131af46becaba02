#include "launcher/job/overrides.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "launcher/job/parser.h"
#include "launcher/job/scalar_value.h"
#include "launcher/job/schema_walk.h"
#include "launcher/job/suggest.h"
#include "launcher/job/token_stream.h"

namespace trireme::launcher {
namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

// One step of a path: "layer[2]".
struct Step {
  std::string name;
  std::optional<int> index;
};

// Nothing if the text is no step.
std::optional<Step> parse_step(std::string_view text) {
  Step step;
  const size_t bracket = text.find('[');
  step.name = text.substr(0, bracket);
  if (!TokenStream::Tokenizer::IsIdentifier(step.name)) return std::nullopt;
  if (bracket == std::string_view::npos) return step;
  int index = 0;
  const char* last = text.data() + text.size() - 1;
  const auto [end, error] = std::from_chars(text.data() + bracket + 1, last, index);
  if (error != std::errc() || end != last || *last != ']' || index < 0) return std::nullopt;
  step.index = index;
  return step;
}

class Override {
 public:
  Override(std::string_view text, Places& places, Diagnostics& diagnostics)
      : text_(text), places_(places), diagnostics_(diagnostics), origin_(places.add_set(text)) {}

  void apply(pb::Message& job) {
    const size_t equals = text_.find('=');
    if (equals == std::string_view::npos)
      return refuse("expects PATH=VALUE, e.g. --set train.seed=2");
    std::string_view rest = text_.substr(0, equals);
    pb::Message* message = &job;
    while (message != nullptr) {
      const size_t dot = rest.find('.');
      const auto step = parse_step(rest.substr(0, dot));
      if (!step)
        return refuse(fmt::format("expects a path like model.layer[2].name, got {}",
                                  in_quotes(text_.substr(0, equals))));
      const Field* field = find(*message, *step);
      if (field == nullptr) return;
      if (dot == std::string_view::npos)
        return assign(*message, *field, *step, text_.substr(equals + 1));
      message = enter(*message, *field, *step);
      rest = rest.substr(dot + 1);
    }
  }

 private:
  void refuse(std::string message) { diagnostics_.add(origin_, std::move(message)); }

  const Field* find(pb::Message& message, const Step& step) {
    const Field* field = message.GetDescriptor()->FindFieldByName(step.name);
    if (field == nullptr) {
      refuse(unknown_field(*message.GetDescriptor(), path_, step.name));
      return nullptr;
    }
    path_ = join_path(path_, step.name);
    if (!step.index) return field;
    if (!field->is_repeated()) {
      refuse(fmt::format("{} is no list; remove [{}]", path_, *step.index));
      return nullptr;
    }
    const int size = message.GetReflection()->FieldSize(message, field);
    if (*step.index < size) return field;
    refuse(size == 0 ? fmt::format("{} is empty", path_)
                     : fmt::format("{} has {} elements, 0 to {}", path_, size, size - 1));
    return nullptr;
  }

  // The message that the field holds, made if it is not there; null after an error.
  pb::Message* enter(pb::Message& message, const Field& field, const Step& step) {
    if (field.cpp_type() != Field::CPPTYPE_MESSAGE) {
      refuse(fmt::format("{} has no fields; it is {}", path_, expected_value(field)));
      return nullptr;
    }
    if (!field.is_repeated()) {
      drop_rival(message, field);
      if (!places_.has(path_)) places_.record(path_, origin_);
      return message.GetReflection()->MutableMessage(&message, &field);
    }
    if (!step.index) {
      refuse(fmt::format("{} is a list; say which element, e.g. {}[0]", path_, path_));
      return nullptr;
    }
    path_ += fmt::format("[{}]", *step.index);
    return message.GetReflection()->MutableRepeatedMessage(&message, &field, *step.index);
  }

  void drop_rival(pb::Message& message, const Field& field) {
    const Field* rival = rival_of(message, field);
    if (rival == nullptr) return;
    places_.forget(join_path(parent_path(path_), rival->name()));
    message.GetReflection()->ClearField(&message, rival);
  }

  void assign(pb::Message& message, const Field& field, const Step& step, std::string_view value) {
    drop_rival(message, field);
    if (!step.index) {
      places_.forget(path_);
      message.GetReflection()->ClearField(&message, &field);
      places_.record(path_, origin_);
    }
    const int before =
        field.is_repeated() ? message.GetReflection()->FieldSize(message, &field) : 0;
    read(message, field, value);
    if (step.index) move_last(message, field, before, *step.index);
  }

  void read(pb::Message& message, const Field& field, std::string_view value) {
    if (is_bare_text(field, value)) return store_text(message, field, value);
    TokenStream tokens(value, origin_, diagnostics_);
    Parser(tokens, places_, diagnostics_).parse_single(message, field, path_);
  }

  static bool is_bare_text(const Field& field, std::string_view value) {
    if (field.cpp_type() != Field::CPPTYPE_STRING) return false;
    const char first = value.empty() ? '\0' : value.front();
    return first != '"' && first != '\'' && !(field.is_repeated() && first == '[');
  }

  void store_text(pb::Message& message, const Field& field, std::string_view value) {
    if (!is_plain_text(value)) {
      places_.forget(path_);
      diagnostics_.excuse(path_);
      return refuse(path_ + " may not hold control characters");
    }
    if (field.is_repeated())
      message.GetReflection()->AddString(&message, &field, std::string(value));
    else
      message.GetReflection()->SetString(&message, &field, std::string(value));
  }

  // What was read stands at the end of the list; it belongs to `index`.
  void move_last(pb::Message& message, const Field& field, int before, int index) {
    const pb::Reflection& reflection = *message.GetReflection();
    const int size = reflection.FieldSize(message, &field);
    if (size > before + 1)
      return refuse(fmt::format("{}[{}] expects one value, not a list", path_, index));
    if (size == before) return;  // it was not understood
    reflection.SwapElements(&message, &field, index, size - 1);
    reflection.RemoveLast(&message, &field);
    const std::string last = fmt::format("{}[{}]", path_, size - 1);
    places_.forget(last);
    const std::string element = fmt::format("{}[{}]", path_, index);
    places_.forget(element);
    places_.record(element, origin_);
  }

  std::string_view text_;
  Places& places_;
  Diagnostics& diagnostics_;
  Origin origin_;
  std::string path_;
};

}  // namespace

void apply_set(std::string_view set, pb::Message& job, Places& places, Diagnostics& diagnostics) {
  Override(set, places, diagnostics).apply(job);
}

}  // namespace trireme::launcher
