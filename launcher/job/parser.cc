#include "launcher/job/parser.h"

#include <fmt/format.h>

#include <memory>

#include "launcher/job/scalar_value.h"
#include "launcher/job/schema_walk.h"
#include "launcher/job/suggest.h"

namespace trireme::launcher {

namespace pb = google::protobuf;

void Parser::parse(Message& root) {
  open_ = {{root.GetDescriptor(), false}};
  while (!tokens_.at_end() && !diagnostics_.full()) {
    parse_fields(root, "");
    unwind_to_ = kNowhere;
    if (!tokens_.at('}')) continue;
    if (closings_assumed_ > 0)
      --closings_assumed_;
    else
      report("", tokens_.origin(), "\"}\" closes nothing; remove it, or add the { before it");
    tokens_.advance();
  }
}

void Parser::parse_single(Message& message, const Field& field, const std::string& path) {
  open_ = {{message.GetDescriptor(), false}};
  parse_value(message, field, path, tokens_.origin());
  if (!tokens_.at_end() && diagnostics_.empty())
    report(path, tokens_.origin(),
           fmt::format("{} expects one value, got {} after it", path, tokens_.found()));
}

// To the "}" that closes the message, which is left to the caller, or to a field that belongs
// further out (unwind_to_ says how far).
void Parser::parse_fields(Message& message, const std::string& path) {
  while (!tokens_.at_end() && !tokens_.at('}') && !diagnostics_.full()) {
    if (tokens_.at_word())
      parse_field(message, path);
    else
      stray_token(path);
    if (unwind_to_ < open_.size()) return;
    unwind_to_ = kNowhere;
    if (!tokens_.accept(',')) tokens_.accept(';');
  }
}

void Parser::parse_field(Message& message, const std::string& path) {
  const std::string name = tokens_.current().text;
  if (const Field* field = message.GetDescriptor()->FindFieldByName(name))
    return parse_known(message, *field, join_path(path, name));
  if (unwind_to_owner(path)) return;
  const pb::Descriptor& type = *message.GetDescriptor();
  const std::string_view meant = closest_field(type, name);
  diagnostics_.add(tokens_.origin(), unknown_field(type, path, name, meant));
  if (!meant.empty()) diagnostics_.excuse(join_path(path, meant));
  tokens_.advance();
  tokens_.accept(':');
  tokens_.skip_value();
  if (tokens_.at_end()) diagnostics_.excuse(path);  // a block without end may have held the rest
}

void Parser::parse_known(Message& message, const Field& field, const std::string& path) {
  const Origin origin = tokens_.origin();
  const std::string problem = conflict(message, field, path);
  const bool first = !places_.has(path);
  if (first) places_.record(path, origin);
  tokens_.advance();
  accept_colon(field, path);
  if (problem.empty()) return parse_value(message, field, path, origin);
  // Errors inside a message that is refused are still worth telling; its fields go nowhere.
  if (first || !field.is_repeated()) diagnostics_.add(origin, problem);
  const std::unique_ptr<Message> nowhere(message.New());
  parse_value(*nowhere, field, path, origin);
}

// Messages may go without.
void Parser::accept_colon(const Field& field, const std::string& path) {
  if (tokens_.accept(':') || field.cpp_type() == Field::CPPTYPE_MESSAGE) return;
  if (tokens_.at_end() || tokens_.at('}') || tokens_.at('{') || tokens_.at_field()) return;
  diagnostics_.add(tokens_.origin(),
                   fmt::format("{} expects \":\" before its value, got {}", path, tokens_.found()));
}

std::string Parser::conflict(const Message& message, const Field& field,
                             const std::string& path) const {
  const std::string parent(parent_path(path));
  const auto line_of = [&](const std::string& field) { return places_.origin(field).line; };
  if (const Field* rival = rival_of(message, field)) {
    const std::string other = join_path(parent, rival->name());
    return fmt::format("{} stands beside {} (line {}), but only one of {} may be given; remove one",
                       path, other, line_of(other), choice_names(field));
  }
  if (!field.is_repeated() && message.GetReflection()->HasField(message, &field))
    return fmt::format("{} is given twice, first on line {}; remove one", path, line_of(path));
  return {};
}

void Parser::parse_value(Message& message, const Field& field, const std::string& path,
                         Origin origin) {
  if (!tokens_.at('[')) return parse_element(message, field, path, origin);
  if (field.is_repeated()) return parse_list(message, field, path);
  places_.forget(path);
  report(path, tokens_.origin(),
         fmt::format("{} expects {}, not a list; remove the [ ]", path, expected_value(field)));
  tokens_.skip_balanced();
}

void Parser::parse_list(Message& message, const Field& field, const std::string& path) {
  const Origin opened = tokens_.origin();
  tokens_.advance();
  if (tokens_.accept(']')) return;
  while (!diagnostics_.full()) {
    parse_element(message, field, path, tokens_.origin());
    if (unwind_to_ != kNowhere) return;
    if (tokens_.accept(']')) return;
    if (tokens_.accept(',')) continue;
    const bool lost = tokens_.at_end() || tokens_.at('}') || tokens_.at_field();
    report(
        path, lost ? opened : tokens_.origin(),
        lost ? fmt::format("the list of {} is not closed; add \"]\"", path)
             : fmt::format("{} expects \",\" or \"]\" in its list, got {}", path, tokens_.found()));
    if (lost) return;
  }
}

void Parser::parse_element(Message& message, const Field& field, const std::string& path,
                           Origin origin) {
  const pb::Reflection& reflection = *message.GetReflection();
  std::string place = path;
  if (field.is_repeated()) {
    place = fmt::format("{}[{}]", path, reflection.FieldSize(message, &field));
    places_.record(place, origin);
  }
  if (field.cpp_type() == Field::CPPTYPE_MESSAGE) {
    Message* inner = field.is_repeated() ? reflection.AddMessage(&message, &field)
                                         : reflection.MutableMessage(&message, &field);
    return parse_message(*inner, place);
  }
  if (read_scalar(tokens_, message, field, path, diagnostics_)) return;
  places_.forget(path);  // so that its value is not judged a second time
  diagnostics_.excuse(path);
  tokens_.skip_value();
}

void Parser::parse_message(Message& message, const std::string& path) {
  const Origin opened = tokens_.origin();
  if (!open_brace(*message.GetDescriptor(), path)) return;
  parse_fields(message, path);
  if (unwind_to_ == kNowhere) close_message(path, opened);
  open_.pop_back();
}

void Parser::close_message(const std::string& path, Origin opened) {
  if (tokens_.accept('}') || open_.back().brace_assumed || diagnostics_.full()) return;
  report(path, opened, fmt::format("{} is not closed; add \"}}\" at its end", path));
}

// A forgotten "{" is put in where a field of the message follows.
bool Parser::open_brace(const pb::Descriptor& type, const std::string& path) {
  const bool there = tokens_.accept('{');
  if (!there) {
    report(path, tokens_.origin(), fmt::format("{} expects \"{{\", got {}", path, tokens_.found()));
    if (!tokens_.at_word() || type.FindFieldByName(tokens_.current().text) == nullptr) {
      if (!tokens_.at_end() && !tokens_.at('}') && !tokens_.at_field()) tokens_.skip_balanced();
      tokens_.skip_value();
      return false;
    }
  }
  open_.push_back({&type, !there});
  return true;
}

// If the word at hand is a message of one of the messages around this one, a "}" was forgotten.
bool Parser::unwind_to_owner(const std::string& path) {
  const std::string& name = tokens_.current().text;
  for (size_t level = open_.size() - 1; level > 0; --level) {
    const Field* field = open_[level - 1].type->FindFieldByName(name);
    if (field == nullptr || field->cpp_type() != Field::CPPTYPE_MESSAGE) continue;
    bool told = false;
    for (size_t inner = level; inner < open_.size(); ++inner) {
      told |= open_[inner].brace_assumed;
      closings_assumed_ += open_[inner].brace_assumed ? 0 : 1;
    }
    if (!told)
      report(path, tokens_.origin(),
             fmt::format("{} is not closed before {}, which is no field of it; add \"}}\"", path,
                         in_quotes(name)));
    unwind_to_ = level;
    return true;
  }
  return false;
}

// One error for a run of tokens that are no field.
void Parser::stray_token(const std::string& path) {
  report(path, tokens_.origin(),
         fmt::format("expects a field of {}, got {}", message_name(path), tokens_.found()));
  while (!tokens_.at_end() && !tokens_.at('}') && !tokens_.at_word()) tokens_.skip_balanced();
}

void Parser::report(const std::string& message_path, Origin origin, std::string text) {
  diagnostics_.excuse(message_path);
  diagnostics_.add(origin, std::move(text));
}

}  // namespace trireme::launcher
