// The defaults that job.proto's comments state are those of the option structs.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <regex>
#include <set>

#include "launcher/job/schema.h"
#include "tests/launcher/job/every_field.h"
#include "tests/launcher/job/job_folder.h"

namespace trireme::launcher {
namespace {

namespace pb = google::protobuf;

class Schema {
 public:
  Schema() {
    pb::FileDescriptorSet files;
    files.ParseFromArray(schema_bytes().data(), static_cast<int>(schema_bytes().size()));
    for (const auto& file : files.file()) pool_.BuildFile(file);
    job_ = pool_.FindMessageTypeByName("trireme.job.Job");
  }
  const pb::Descriptor& job() const { return *job_; }
  std::unique_ptr<pb::Message> parse(const std::string& text) {
    std::unique_ptr<pb::Message> message(factory_.GetPrototype(job_)->New());
    EXPECT_TRUE(pb::TextFormat::ParseFromString(text, message.get()));
    return message;
  }

 private:
  pb::DescriptorPool pool_;
  pb::DynamicMessageFactory factory_;
  const pb::Descriptor* job_;
};

std::string comment_of(const pb::FieldDescriptor& field) {
  pb::SourceLocation location;
  field.GetSourceLocation(&location);
  return std::regex_replace(location.leading_comments, std::regex("\\s+"), " ");
}

// What follows "Default: ", up to the sentence's end.
std::string stated_default(const pb::FieldDescriptor& field) {
  std::smatch match;
  const std::string comment = comment_of(field);
  return std::regex_search(comment, match, std::regex(R"(Default: (.*?)(\. |\.$|\. ?$))"))
             ? match[1].str()
             : "";
}

// A default that is a value, not a description.
bool is_literal(const std::string& text) {
  static const std::regex literal(R"(-?[0-9.]+(e-?[0-9]+)?|true|false|[A-Z0-9_]+|"[^"]*"|\[.*\])");
  return std::regex_match(text, literal);
}

void walk(const pb::Descriptor& message, std::set<const pb::FieldDescriptor*>& fields) {
  for (int i = 0; i < message.field_count(); ++i)
    if (fields.insert(message.field(i)).second && message.field(i)->message_type() != nullptr)
      walk(*message.field(i)->message_type(), fields);
}

std::string printed(const pb::Message& message, const pb::FieldDescriptor& field) {
  const int size = field.is_repeated() ? message.GetReflection()->FieldSize(message, &field) : 0;
  if (!field.is_repeated() || size == 1) {
    std::string text;
    pb::TextFormat::PrintFieldValueToString(message, &field, size == 1 ? 0 : -1, &text);
    return text;
  }
  return size == 0 ? "[]" : "several";
}

// Every value that a resolved job has for each field.
void collect(const pb::Message& message,
             std::map<const pb::FieldDescriptor*, std::set<std::string>>& values) {
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const auto& field = *message.GetDescriptor()->field(i);
    const int size = field.is_repeated() ? reflection.FieldSize(message, &field) : 0;
    if (field.message_type() == nullptr) {
      if (field.is_repeated() || reflection.HasField(message, &field))
        values[&field].insert(printed(message, field));
    } else if (field.is_repeated()) {
      for (int k = 0; k < size; ++k)
        collect(reflection.GetRepeatedMessage(message, &field, k), values);
    } else if (reflection.HasField(message, &field)) {
      collect(reflection.GetMessage(message, &field), values);
    }
  }
}

TEST(Defaults, EveryFieldStatesItsOwn) {
  Schema schema;
  std::set<const pb::FieldDescriptor*> fields;
  walk(schema.job(), fields);
  for (const auto* field : fields) {
    const std::string comment = comment_of(*field);
    if (field->message_type() != nullptr || field->is_repeated()) continue;
    EXPECT_TRUE(comment.find("equired.") != std::string::npos || !stated_default(*field).empty())
        << field->full_name() << ": " << comment;
  }
}

TEST(Defaults, AreThoseOfTheOptions) {
  Schema schema;
  JobFolder folder;
  std::map<const pb::FieldDescriptor*, std::set<std::string>> values;
  for (const char* job : kEveryField) {
    const auto message = schema.parse(folder.load(job).resolved);
    collect(*message, values);
  }
  std::set<const pb::FieldDescriptor*> fields;
  walk(schema.job(), fields);
  int compared = 0;
  for (const auto* field : fields) {
    const std::string stated = stated_default(*field);
    if (field->message_type() != nullptr || !is_literal(stated)) continue;
    EXPECT_EQ(values[field].count(stated), 1u)
        << field->full_name() << " states " << stated << ", the options have "
        << (values[field].empty() ? "nothing" : *values[field].begin());
    ++compared;
  }
  EXPECT_GT(compared, 50);
}

}  // namespace
}  // namespace trireme::launcher
