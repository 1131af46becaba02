#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "launcher/base/file_patterns.h"
#include "launcher/job/checker.h"
#include "launcher/job/suggest.h"
#include "launcher/job/validate.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> files_in(const fs::path& folder) {
  constexpr size_t kMost = 1000;
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
    if (names.size() == kMost) break;
  }
  return names;
}

// What to do about a file that is not there.
std::string remedy(const fs::path& path) {
  const std::string name = path.filename().string();
  const std::string near = closest(name, files_in(path.parent_path()));
  if (!near.empty()) return fmt::format("; did you mean {}?", in_quotes(near));
  if (name == "licenses.txt") return "; deploy/data.sh text makes it";
  if (name.starts_with("digits-")) return "; deploy/data.sh digits makes it";
  return "; paths are relative to the job file";
}

void check_readable(const std::string& field, const std::string& file, Checker& check) {
  const fs::path path(file);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status))
    check.error(field, "{}: there is no file {}{}", field, one_line(file, 200), remedy(path));
  else if (!fs::is_regular_file(status))
    check.error(field, "{}: {} is no file", field, one_line(file, 200));
  else if (access(path.c_str(), R_OK) != 0)
    check.error(field, "{}: {} may not be read; give yourself the right to", field,
                one_line(file, 200));
}

void check_file(const std::string& field, const std::string& file, Checker& check) {
  if (check.required(field, "\"../data/digits-train-images.idx.gz\"") && check.looks_for_files())
    check_readable(field, file, check);
}

// Paths, or patterns that stand for at least one file.
void check_files(const std::string& path, const std::vector<std::string>& files,
                 const std::string& example, Checker& check) {
  if (!check.required(path + ".files", "files: " + example)) return;
  if (files.empty()) return check.error(path + ".files", "{}.files is empty; name a file", path);
  if (!check.looks_for_files()) return;
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string field = fmt::format("{}.files[{}]", path, i);
    const std::vector<std::string> found = matching_files({files[i]});
    if (found.empty()) check_readable(field, files[i], check);
    for (const std::string& file : found) check_readable(field, file, check);
  }
}

// Of tokens: the model's, where a language model has one and the data says nothing else.
void check_language_size(const std::string& path, const char* name, int64_t value,
                         const char* example, Checker& check) {
  const std::string field = join_path(path, name);
  if (value != 0 || check.given(field))
    check.count(field, value);
  else if (!check.given("model.gpt") && !check.given("model.llama"))
    check.required(field, fmt::format("{}: {}", name, example));
}

void check_idx(const std::string& path, const IdxOptions& idx, Checker& check) {
  check_file(path + ".images", idx.images, check);
  check_file(path + ".labels", idx.labels, check);
  check.count(path + ".classes", idx.classes);
}

void check_synthetic(const std::string& path, const SyntheticOptions& o, Checker& check) {
  check.count(path + ".samples", o.samples);
  check.count(path + ".classes", o.classes);
  check.count(path + ".first_sample", o.first_sample, 0);
  check.not_negative(path + ".noise", o.noise);
  const bool sizes = check.count(path + ".height", o.height) &&
                     check.count(path + ".width", o.width) &&
                     check.count(path + ".channels", o.channels);
  if (sizes && o.height * o.width > kMostOfAnything / o.channels)
    check.error(path, "{}: a sample of {} x {} x {} has more than {} elements", path, o.height,
                o.width, o.channels, kMostOfAnything);
}

void check_source(const std::string& path, const DatasetOptions& source, Checker& check) {
  if (!check.required_case(path, {"idx", "synthetic", "tokens", "text", "custom"}, "synthetic {}"))
    return;
  const auto* idx = std::get_if<IdxOptions>(&source);  // which stands for no source as well
  if (idx != nullptr && check.given(path + ".idx")) check_idx(path + ".idx", *idx, check);
  if (const auto* synthetic = std::get_if<SyntheticOptions>(&source))
    check_synthetic(path + ".synthetic", *synthetic, check);
  if (const auto* tokens = std::get_if<TokensOptions>(&source)) {
    check_files(path + ".tokens", tokens->files, "\"train_*.bin\"", check);
    check_language_size(path + ".tokens", "vocabulary", tokens->vocabulary, "50257", check);
    check_language_size(path + ".tokens", "context", tokens->context, "256", check);
  }
  if (const auto* text = std::get_if<TextOptions>(&source)) {
    check_files(path + ".text", text->files, "\"../data/text.txt\"", check);
    check_language_size(path + ".text", "context", text->context, "256", check);
  }
  if (const auto* custom = std::get_if<CustomDatasetOptions>(&source))
    check_custom(path + ".custom", custom->name, custom->parameters.size(), check);
}

void check_normalize(const DataOptions& data, Checker& check) {
  const auto* train = std::get_if<IdxOptions>(&data.train);
  const auto* eval = data.eval ? std::get_if<IdxOptions>(&*data.eval) : nullptr;
  if (!check.given("data.normalize")) return;
  if (train == nullptr && eval == nullptr)
    return check.error("data.normalize",
                       "data.normalize is for the pixels of idx data, which this "
                       "job has not; remove it");
  for (float stddev : (train != nullptr ? train : eval)->normalization.stddev)
    check.above_zero("data.normalize.stddev", stddev);
}

}  // namespace

void check_custom(const std::string& path, const std::string& name, size_t parameters,
                  Checker& check) {
  if (check.required(path + ".name", "name: \"mine\"") && name.empty())
    check.error(path + ".name", "{}.name is empty; name one that the program brings", path);
  size_t given = 0;
  for (; check.given(fmt::format("{}.parameter[{}]", path, given)); ++given)
    check.required(fmt::format("{}.parameter[{}].key", path, given), "key: \"folder\"");
  if (given > parameters)
    check.error(path + ".parameter", "{}.parameter: two have the same key; remove one", path);
}

void validate_data(const DataOptions& data, Checker& check) {
  if (!check.required("data", "data { train { synthetic {} } }")) return;
  if (check.required("data.train", "train { synthetic {} }"))
    check_source("data.train", data.train, check);
  if (data.eval) check_source("data.eval", *data.eval, check);
  check.below_one("data.validation_fraction", data.validation_fraction);
  if (data.validation_fraction > 0 && data.eval)
    check.error("data.validation_fraction",
                "data.validation_fraction ({}) stands beside data.eval; remove one",
                data.validation_fraction);
  check_normalize(data, check);
}

}  // namespace trireme::launcher
