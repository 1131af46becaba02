#include "launcher/generate/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <span>

#include "launcher/base/agreement.h"
#include "launcher/eval/weights.h"
#include "launcher/generate/generator.h"
#include "launcher/job/load.h"
#include "launcher/job/source_text.h"
#include "launcher/tokenizer/tokenizer.h"

namespace trireme::launcher {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// How tokens are read and written: by a tokenizer, or every byte is one, or as numbers.
class Language {
 public:
  Language(const JobOptions& job, int64_t vocabulary, const std::filesystem::path& tokenizer) {
    const auto* tokens = std::get_if<TokensOptions>(&job.data.train);
    const bool text = std::holds_alternative<TextOptions>(job.data.train);
    drawn_ = std::min(vocabulary, text     ? TextOptions::kVocabulary
                                  : tokens ? tokens->vocabulary
                                           : vocabulary);
    bytes_ = drawn_ <= TextOptions::kVocabulary;
    if (tokenizer.empty()) return;
    tokenizer_.emplace(tokenizer);
    drawn_ = std::min(drawn_, tokenizer_->vocabulary());
  }

  // Of the vocabulary, what the data can have: nothing else is drawn.
  int64_t drawn() const { return drawn_; }

  std::vector<int32_t> prompt(const GenerateArguments& arguments) const {
    if (!arguments.prompt_tokens.empty()) return arguments.prompt_tokens;
    const std::string text = arguments.prompt.empty() ? "\n" : arguments.prompt;
    if (tokenizer_) return tokenizer_->encode(text);
    if (!bytes_)
      fail(
          "[generate] this model's {} tokens are no bytes: give --tokenizer, or its prompt as "
          "--prompt-tokens",
          drawn_);
    const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
    return {bytes.begin(), bytes.end()};
  }

  void print(int32_t token) const {
    if (tokenizer_)
      fmt::print("{}", tokenizer_->bytes(token));
    else if (bytes_)
      std::fputc(token, stdout);
    else
      fmt::print("{} ", token);
    std::fflush(stdout);
  }

 private:
  int64_t drawn_;
  bool bytes_;
  std::optional<Tokenizer> tokenizer_;
};

void check_room(const Generator& generator, size_t prompt, int64_t tokens) {
  const auto room = generator.context() - static_cast<int64_t>(prompt) + 1;
  if (room < 1)
    fail("[generate] a prompt of {} tokens is longer than the model's context, {}: shorten it",
         prompt, generator.context());
  if (tokens > room)
    fail(
        "[generate] a prompt of {} and {} new ones are more tokens than the model's context, {}; "
        "--tokens can be {} at most",
        prompt, tokens, generator.context(), room);
}

void generate(Generator& generator, TokenSampler& sampler, const Language& language,
              const GenerateArguments& arguments) {
  const std::vector<int32_t> prompt = language.prompt(arguments);
  generator.check(prompt);
  check_room(generator, prompt.size(), arguments.tokens);
  for (int32_t token : prompt) language.print(token);
  const Clock::time_point start = Clock::now();
  std::span<const float> logits = generator.read(prompt);
  const double prefill = seconds_since(start);
  const Clock::time_point first = Clock::now();
  for (int64_t n = 0; n < arguments.tokens; ++n) {
    const int32_t token = sampler.draw(logits.first(static_cast<size_t>(language.drawn())), n);
    language.print(token);
    if (n + 1 < arguments.tokens) logits = generator.read({&token, 1});
  }
  fmt::print("\n");
  fmt::print(stderr, "prompt: {} tokens in {:.1f} ms; then {} tokens, {:.1f} tokens/s\n",
             prompt.size(), prefill * 1e3, arguments.tokens,
             static_cast<double>(arguments.tokens) / seconds_since(first));
}

}  // namespace

ExitCode generate(const GenerateArguments& arguments, const Extensions& extensions,
                  comm::World& world) {
  if (world.size() > 1)  // told by the first alone
    agree(world.communicator(), [&] {
      if (world.rank() == 0)
        fail("[generate] runs on one rank, got {}: start it without mpirun", world.size());
    });
  TokenSampler sampler(arguments.sampling);  // refuses what the command line got wrong
  const std::filesystem::path& path = arguments.job.job;
  const LoadedJob job = parse_job(read_job_file(path), path, arguments.job.sets);
  Weights weights(arguments.weights);
  const std::unique_ptr<core::Device> device = make_device(arguments.device, world, false);
  Generator generator(*device, job.options.model, extensions.models);
  weights.load(generator.inference().layout(),
               [&](const std::string& name, std::span<const float> values) {
                 generator.inference().set_parameter(name, values);
               });
  generate(generator, sampler, Language(job.options, generator.vocabulary(), arguments.tokenizer),
           arguments);
  return ExitCode::kDone;
}

}  // namespace trireme::launcher
