#include "launcher/job/help.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <sstream>
#include <vector>

#include "core/base/error.h"
#include "launcher/job/places.h"
#include "launcher/job/schema.h"
#include "launcher/job/schema_walk.h"
#include "launcher/job/suggest.h"

namespace trireme::launcher {
namespace {

namespace pb = google::protobuf;

// The schema with comments, which generated classes do not keep.
class Schema {
 public:
  Schema() {
    pb::FileDescriptorSet files;
    const auto bytes = schema_bytes();
    ensure(files.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())),
           "the embedded schema does not parse");
    for (const auto& file : files.file())
      ensure(pool_.BuildFile(file) != nullptr, "the embedded schema does not build");
    job_ = pool_.FindMessageTypeByName("trireme.job.Job");
    ensure(job_ != nullptr, "the embedded schema has no Job");
  }
  const pb::Descriptor& job() const { return *job_; }

 private:
  pb::DescriptorPool pool_;
  const pb::Descriptor* job_ = nullptr;
};

std::string type_name(const pb::FieldDescriptor& field) {
  const std::string list = field.is_repeated() ? "list of " : "";
  if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE)
    return list + (field.message_type()->field_count() == 0 ? "{}" : "{ ... }");
  if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_ENUM)
    return list + fmt::format("{}", fmt::join(value_names(*field.enum_type()), " | "));
  return list + field.type_name();
}

template <typename Described>
std::string comment_of(const Described& described) {
  pb::SourceLocation location;
  if (!described.GetSourceLocation(&location)) return {};
  return location.leading_comments;
}

// The comment's words in lines of 100 columns.
void append_comment(std::string& out, const std::string& comment, size_t indent) {
  std::istringstream words(comment);
  std::string line, word;
  const auto flush = [&] {
    if (!line.empty()) out += std::string(indent, ' ') + line + '\n';
    line.clear();
  };
  while (words >> word) {
    if (indent + line.size() + 1 + word.size() > 100) flush();
    line += (line.empty() ? "" : " ") + word;
  }
  flush();
}

void append_field(std::string& out, const pb::FieldDescriptor& field, size_t indent) {
  out += fmt::format("{}{}: {}\n", std::string(indent, ' '), field.name(), type_name(field));
  append_comment(out, comment_of(field), indent + 4);
}

void append_fields(std::string& out, const pb::Descriptor& message) {
  const pb::OneofDescriptor* choice = nullptr;
  for (int i = 0; i < message.field_count(); ++i) {
    const pb::FieldDescriptor& field = *message.field(i);
    const pb::OneofDescriptor* of = field.real_containing_oneof();
    if (of != nullptr && of != choice) out += "  one of\n";
    choice = of;
    append_field(out, field, of != nullptr ? 4 : 2);
  }
}

void append_enum(std::string& out, const pb::EnumDescriptor& type) {
  for (int i = 0; i < type.value_count(); ++i) {
    out += fmt::format("  {}\n", type.value(i)->name());
    append_comment(out, comment_of(*type.value(i)), 6);
  }
}

std::string help_top(const pb::Descriptor& job) {
  std::string out =
      "A job file holds these fields. trireme help FIELD tells more, e.g. trireme help "
      "train.micro_batch\n\n";
  append_fields(out, job);
  return out;
}

std::string help_field(const pb::FieldDescriptor& field, std::string_view path) {
  std::string out = fmt::format("{}: {}\n", path, type_name(field));
  append_comment(out, comment_of(field), 4);
  if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_ENUM) {
    out += '\n';
    append_enum(out, *field.enum_type());
  }
  if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
    append_comment(out, comment_of(*field.message_type()), 4);
    if (field.message_type()->field_count() > 0) out += '\n';
    append_fields(out, *field.message_type());
  }
  return out;
}

// "layer" from "layer[2]".
std::string_view without_index(std::string_view name) { return name.substr(0, name.find('[')); }

}  // namespace

std::string help(std::string_view path) {
  const Schema schema;
  if (path.empty()) return help_top(schema.job());
  const pb::Descriptor* message = &schema.job();
  const pb::FieldDescriptor* field = nullptr;
  std::string walked;
  for (std::string_view rest = path;;) {
    const size_t dot = rest.find('.');
    const std::string name(without_index(rest.substr(0, dot)));
    if (message == nullptr) fail("help {}: {} has no fields", one_line(path), walked);
    field = message->FindFieldByName(name);
    if (field == nullptr)
      fail("help {}: {}", one_line(path), unknown_field(*message, walked, name));
    walked = join_path(walked, name);
    message =
        field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE ? field->message_type() : nullptr;
    if (dot == std::string_view::npos) return help_field(*field, walked);
    rest = rest.substr(dot + 1);
  }
}

}  // namespace trireme::launcher
