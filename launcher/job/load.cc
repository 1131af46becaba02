#include "launcher/job/load.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cctype>
#include <tuple>

#include "core/base/error.h"
#include "launcher/job/binding.h"
#include "launcher/job/checker.h"
#include "launcher/job/overrides.h"
#include "launcher/job/parser.h"
#include "launcher/job/source_text.h"
#include "launcher/job/suggest.h"
#include "launcher/job/validate.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

// "lenet5" from "jobs/lenet5.txtpb", with what a folder's name may not hold as "_".
std::string name_from(const fs::path& path) {
  std::string name = path.stem().string().substr(0, 100);
  for (char& c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-';
    if (!plain) c = '_';
  }
  if (name.empty() || name.front() == '.' || name.front() == '-') name.insert(0, 1, '_');
  return name.substr(0, 100);
}

void make_absolute(DatasetOptions& source, const fs::path& folder) {
  const auto mend = [&](std::string& file) {
    if (!file.empty()) file = (folder / file).lexically_normal().string();
  };
  if (auto* idx = std::get_if<IdxOptions>(&source)) {
    mend(idx->images);
    mend(idx->labels);
  }
  if (auto* tokens = std::get_if<TokensOptions>(&source))
    std::ranges::for_each(tokens->files, mend);
  if (auto* text = std::get_if<TextOptions>(&source)) std::ranges::for_each(text->files, mend);
}

// What the data does not say of its tokens is as the model has it.
void fit_to_model(DatasetOptions& source, const std::string& path,
                  const models::LanguageLimits& model, const Places& places) {
  const auto fit = [&](const char* field, int64_t& value, int64_t of_model) {
    if (!places.has(join_path(path, field))) value = of_model;
  };
  if (auto* tokens = std::get_if<TokensOptions>(&source)) {
    fit("tokens.vocabulary", tokens->vocabulary, model.vocabulary);
    fit("tokens.context", tokens->context, model.context);
  }
  if (auto* text = std::get_if<TextOptions>(&source))
    fit("text.context", text->context, model.context);
}

void fit_to_model(JobOptions& options) {
  const auto model = models::language_limits(options.model);
  if (!model) return;
  fit_to_model(options.data.train, "data.train", *model, options.places);
  if (options.data.eval) fit_to_model(*options.data.eval, "data.eval", *model, options.places);
}

// Synthetic samples to judge on begin where those to train on end.
void continue_synthetic(JobOptions& options) {
  if (!options.data.eval || options.places.has("data.eval.synthetic.first_sample")) return;
  const auto* train = std::get_if<SyntheticOptions>(&options.data.train);
  auto* eval = std::get_if<SyntheticOptions>(&*options.data.eval);
  const bool small = train != nullptr && train->samples <= kMostOfAnything &&
                     train->first_sample <= kMostOfAnything;
  if (small && eval != nullptr) eval->first_sample = train->first_sample + train->samples;
}

void fill_in(JobOptions& options, const fs::path& path) {
  if (!options.places.has("name")) options.name = name_from(path);
  const fs::path folder = fs::absolute(path).parent_path();
  make_absolute(options.data.train, folder);
  if (options.data.eval) make_absolute(*options.data.eval, folder);
  std::string& initial = options.train.initial;
  if (!initial.empty()) initial = (folder / initial).lexically_normal().string();
  continue_synthetic(options);
  fit_to_model(options);
  connect_layers(options.model);
}

// Without this an empty file would be told of each section that it lacks.
void refuse_empty(const job::Job& job, const Places& places, const Diagnostics& diagnostics) {
  if (!diagnostics.empty() || job.ByteSizeLong() != 0) return;
  fail("{}: the job is empty; see the files in jobs/, or trireme help", places.text({}));
}

LoadedJob load(const std::string& text, const fs::path& path, std::span<const std::string> sets,
               DataFiles files) {
  LoadedJob loaded;
  Places& places = loaded.options.places;
  places = Places(one_line(path.string(), 400));
  Diagnostics diagnostics(places);
  job::Job job;
  TokenStream tokens(text, {}, diagnostics);
  Parser(tokens, places, diagnostics).parse(job);
  for (const std::string& set : sets) apply_set(set, job, places, diagnostics);
  refuse_empty(job, places, diagnostics);

  read_options(job, loaded.options);
  fill_in(loaded.options, path);
  validate(loaded.options, diagnostics, files);
  diagnostics.throw_if_any();
  loaded.resolved = to_text(loaded.options);
  return loaded;
}

}  // namespace

LoadedJob load_job(const fs::path& path, std::span<const std::string> sets) {
  return load(read_job_file(path), path, sets, DataFiles::kMustExist);
}

LoadedJob parse_job(std::string text, const fs::path& path, std::span<const std::string> sets) {
  text = checked_job_text(std::move(text), one_line(path.string(), 400));
  return load(text, path, sets, DataFiles::kIgnored);
}

std::string to_text(const JobOptions& options) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetUseShortRepeatedPrimitives(true);
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  ensure(printer.PrintToString(write_options(options), &text), "a job could not be printed");
  return "# A resolved job: every field, defaults too. It can be run again as it is.\n" + text;
}

}  // namespace trireme::launcher
