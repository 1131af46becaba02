#include "launcher/job/schema_walk.h"

#include <fmt/format.h>

#include <iterator>

#include "launcher/job/job.pb.h"
#include "launcher/job/suggest.h"

namespace trireme::launcher {
namespace pb = google::protobuf;
namespace {

// A repeated field cannot stand in a oneof; Model's layers are a case of its choice all the same.
const pb::FieldDescriptor& layers() {
  return *job::Model::descriptor()->FindFieldByNumber(job::Model::kLayerFieldNumber);
}

const pb::OneofDescriptor* choice_of(const pb::FieldDescriptor& field) {
  return &field == &layers() ? job::Model::descriptor()->oneof_decl(0)
                             : field.real_containing_oneof();
}

}  // namespace

std::vector<std::string_view> field_names(const pb::Descriptor& message) {
  std::vector<std::string_view> names;
  names.reserve(message.field_count());
  for (int i = 0; i < message.field_count(); ++i) names.push_back(message.field(i)->name());
  return names;
}

std::vector<std::string_view> value_names(const pb::EnumDescriptor& type) {
  std::vector<std::string_view> names;
  names.reserve(type.value_count());
  for (int i = 0; i < type.value_count(); ++i) names.push_back(type.value(i)->name());
  return names;
}

std::string message_name(std::string_view path) {
  return path.empty() ? "the job" : std::string(path);
}

std::string_view closest_field(const pb::Descriptor& message, std::string_view name) {
  Closest search(name);
  for (int i = 0; i < message.field_count(); ++i) search.consider(message.field(i)->name());
  return search.found();
}

std::string unknown_field(const pb::Descriptor& message, std::string_view path,
                          std::string_view name, std::string_view closest) {
  std::string text = fmt::format("unknown field {} of {}", in_quotes(name), message_name(path));
  const auto to = std::back_inserter(text);
  if (message.field_count() == 0)
    fmt::format_to(to, "; it has no fields");
  else if (closest.empty())
    fmt::format_to(to, "; its fields: {}", fmt::join(field_names(message), ", "));
  else
    fmt::format_to(to, "; did you mean \"{}\"?", closest);
  return text;
}

std::string expected_value(const pb::FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_INT32:
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return "a whole number";
    case pb::FieldDescriptor::CPPTYPE_UINT32:
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return "a whole number of at least 0";
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number";
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return "one of " + listed(value_names(*field.enum_type()));
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return "text in quotes";
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return "fields between { and }";
  }
  return "a value";
}

const pb::FieldDescriptor* rival_of(const pb::Message& message, const pb::FieldDescriptor& field) {
  const pb::OneofDescriptor* choice = choice_of(field);
  if (choice == nullptr) return nullptr;
  const pb::Reflection& reflection = *message.GetReflection();
  const auto* taken = reflection.GetOneofFieldDescriptor(message, choice);
  if (taken != nullptr) return taken == &field ? nullptr : taken;
  const bool beside_layers = layers().containing_type() == message.GetDescriptor();
  if (beside_layers && &field != &layers() && reflection.FieldSize(message, &layers()) > 0)
    return &layers();
  return nullptr;
}

std::string choice_names(const pb::FieldDescriptor& field) {
  const pb::OneofDescriptor* choice = choice_of(field);
  std::vector<std::string_view> names;
  for (int i = 0; i < choice->field_count(); ++i) names.push_back(choice->field(i)->name());
  if (layers().containing_type() == field.containing_type()) names.push_back(layers().name());
  return listed(names);
}

}  // namespace trireme::launcher
