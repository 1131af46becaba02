#include "launcher/job/compare.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "launcher/job/binding.h"
#include "launcher/job/suggest.h"

namespace trireme::launcher {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

// A pattern covers a field and all inside it. * stands for one name; indices count for nothing.
constexpr std::array<std::string_view, 24> kMayDiffer = {"name",
                                                         "schedule",
                                                         "parallel",
                                                         "logging",
                                                         "checkpoint",
                                                         "deadlines",
                                                         "train.steps",
                                                         "train.epochs",
                                                         "train.eval_every_steps",
                                                         "train.micro_batch",
                                                         "train.average.decay",
                                                         "train.early_stop",
                                                         "train.recompute",
                                                         "train.memory_limit_mib",
                                                         "train.initial",
                                                         "train.non_finite",
                                                         "train.replica_check_every_steps",
                                                         "train.threads",
                                                         "optimizer.*.lr",
                                                         "data.*.idx.images",
                                                         "data.*.idx.labels",
                                                         "data.*.tokens.files",
                                                         "data.*.text.files",
                                                         "data.*.custom.parameter"};

// The first name of a path, taken off it, without its index.
std::string_view take_name(std::string_view& path) {
  const size_t end = std::min(path.find('.'), path.size());
  const std::string_view name = path.substr(0, end);
  path.remove_prefix(std::min(end + 1, path.size()));
  return name.substr(0, name.find('['));
}

bool covers(std::string_view pattern, std::string_view path) {
  while (!pattern.empty()) {
    if (path.empty()) return false;
    const std::string_view expected = take_name(pattern), name = take_name(path);
    if (expected != "*" && expected != name) return false;
  }
  return true;
}

class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text_.empty())
      text_ = fmt::format("{}:{}: {}", line + 1, column + 1, one_line(message, 200));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// With every default written out.
job::Job parse(std::string_view text, std::string_view name) {
  TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  job::Job job;
  if (!parser.ParseFromString(std::string(text), &job))
    fail("{}:{}; it was kept by another version, or changed since", name, error.text());
  JobOptions options{.places = Places(std::string(name))};
  read_options(job, options);
  return write_options(options);
}

class Comparison {
 public:
  Comparison() { printer_.SetSingleLineMode(true); }

  void compare(const Message& before, const Message& after, const std::string& path) {
    const auto& type = *before.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      const std::string inner = join_path(path, field.name());
      if (!field.is_repeated())
        compare_single(before, after, field, inner);
      else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
        compare_elements(before, after, field, inner);
      else
        note(inner, list_text(before, field), list_text(after, field));
    }
  }

  std::vector<JobDifference> take() { return std::move(found_); }

 private:
  void compare_single(const Message& before, const Message& after, const FieldDescriptor& field,
                      const std::string& path) {
    const auto& reflection = *before.GetReflection();
    const bool both = reflection.HasField(before, &field) && reflection.HasField(after, &field);
    if (both && field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      compare(reflection.GetMessage(before, &field), reflection.GetMessage(after, &field), path);
    else
      note(path, text(before, field, -1), text(after, field, -1));
  }

  void compare_elements(const Message& before, const Message& after, const FieldDescriptor& field,
                        const std::string& path) {
    const auto& reflection = *before.GetReflection();
    const int old_size = reflection.FieldSize(before, &field);
    const int new_size = reflection.FieldSize(after, &field);
    for (int i = 0; i < std::max(old_size, new_size); ++i) {
      const std::string element = fmt::format("{}[{}]", path, i);
      if (i < std::min(old_size, new_size))
        compare(reflection.GetRepeatedMessage(before, &field, i),
                reflection.GetRepeatedMessage(after, &field, i), element);
      else
        note(element, i < old_size ? text(before, field, i) : kNotSet,
             i < new_size ? text(after, field, i) : kNotSet);
    }
  }

  // `index` is -1 for a field that is not repeated.
  std::string text(const Message& message, const FieldDescriptor& field, int index) const {
    if (index < 0 && !message.GetReflection()->HasField(message, &field)) return kNotSet;
    std::string text;
    printer_.PrintFieldValueToString(message, &field, index, &text);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) text = "{ " + text + "}";
    return text;
  }

  std::string list_text(const Message& message, const FieldDescriptor& field) const {
    std::vector<std::string> values;
    for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i)
      values.push_back(text(message, field, i));
    return "[" + listed(values) + "]";
  }

  void note(const std::string& path, const std::string& before, const std::string& after) {
    if (before == after) return;
    found_.push_back({.path = path, .before = before, .after = after, .allowed = may_differ(path)});
  }

  inline static const std::string kNotSet = "not set";
  TextFormat::Printer printer_;
  std::vector<JobDifference> found_;
};

}  // namespace

std::string JobDifference::str() const {
  return fmt::format("{}: {} -> {}", path, one_line(before, 80), one_line(after, 80));
}

bool may_differ(std::string_view path) {
  return std::ranges::any_of(kMayDiffer,
                             [&](std::string_view pattern) { return covers(pattern, path); });
}

std::vector<JobDifference> compare_jobs(std::string_view before, std::string_view after,
                                        std::string_view name_of_before) {
  Comparison comparison;
  comparison.compare(parse(before, name_of_before), parse(after, "the job"), "");
  return comparison.take();
}

}  // namespace trireme::launcher
