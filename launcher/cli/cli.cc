#include <CLI/CLI.hpp>
#include <functional>
#include <map>

#include "launcher/base/agreement.h"
#include "launcher/base/report.h"
#include "launcher/cli/checkpoint_command.h"
#include "launcher/cli/commands.h"
#include "launcher/eval/eval.h"
#include "launcher/generate/generate.h"
#include "launcher/job/help.h"
#include "launcher/job/suggest.h"
#include "launcher/run.h"
#include "launcher/tokenizer/write_tokens.h"
#include "launcher/train/signals.h"
#include "launcher/train/train.h"

namespace trireme {
namespace {

using namespace launcher;

// What the command line says. One struct for all commands: they share most of their options.
struct CommandLine {
  JobArguments job;
  TrainArguments train;
  WeightsPlace weights;
  std::string help_path;
  PlanArguments plan;
  std::filesystem::path measure;  // of `doctor`
  CheckpointArguments look;
  GenerateArguments generate;
  WriteTokensArguments tokens;
};

const std::map<std::string, DeviceRequest> kDevices{
    {"auto", DeviceRequest::kAuto}, {"cpu", DeviceRequest::kCpu}, {"cuda", DeviceRequest::kCuda}};

const std::map<std::string, ShardFormat> kFormats{{"llmc", ShardFormat::kLlmc},
                                                  {"nanogpt", ShardFormat::kNanoGpt}};

void add_job(CLI::App& command, CommandLine& line) {
  command.add_option("JOB", line.job.job, "The job file")->required();
  command
      .add_option("--set", line.job.sets,
                  "PATH=VALUE: replace a field of the job, e.g. train.seed=2; may be given again")
      ->allow_extra_args(false);
}

void add_device_kind(CLI::App& command, CommandLine& line) {
  command.add_option("--device", line.train.device, "auto (a GPU where there is one), cpu or cuda")
      ->transform(CLI::CheckedTransformer(kDevices, CLI::ignore_case).description(""))
      ->type_name("DEVICE");
}

void add_device(CLI::App& command, CommandLine& line) {
  add_device_kind(command, line);
  command.add_flag("--share-gpu", line.train.share_gpu,
                   "Let several ranks drive one GPU (to test; slow)");
}

void add_weights(CLI::App& command, CommandLine& line) {
  command
      .add_option("--checkpoint", line.weights.path,
                  "A run folder, a checkpoint's folder or a .safetensors file")
      ->required();
  command.add_flag("--average", line.weights.average,
                   "The moving average of the parameters, of a job with train.average");
}

void add_plan(CLI::App& app, CommandLine& line) {
  CLI::App* plan = app.add_subcommand(
      "plan", "Memory, communication and time of a run before it runs: no device, no MPI");
  add_job(*plan, line);
  plan->add_option("--world", line.job.world, "Number of ranks; default: 1")
      ->check(CLI::PositiveNumber);
  plan->add_option("--device", line.plan.device,
                   "cpu, a100, h100, h200, b200, or a file of `trireme doctor --measure`");
  plan->add_option("--json", line.plan.json, "Write the plan to this file, unrounded");
  plan->add_option("--timeline", line.plan.timeline,
                   "Write one step to this file, for chrome://tracing or ui.perfetto.dev");
}

void add_generate(CLI::App& app, CommandLine& line) {
  CLI::App* generate =
      app.add_subcommand("generate", "Go on from a prompt with a trained gpt or llama");
  add_job(*generate, line);
  add_device(*generate, line);
  add_weights(*generate, line);
  GenerateArguments& arguments = line.generate;
  CLI::Option* prompt = generate->add_option("--prompt", arguments.prompt, "Text to go on from");
  generate
      ->add_option("--prompt-tokens", arguments.prompt_tokens,
                   "Tokens to go on from, for vocabularies that are no bytes: 464,3290")
      ->delimiter(',')
      ->excludes(prompt);
  generate->add_option("--tokenizer", arguments.tokenizer,
                       "A Hugging Face folder with a byte-level BPE, for text that is no bytes");
  generate->add_option("--tokens", arguments.tokens, "How many to generate; default: 200")
      ->check(CLI::PositiveNumber);
  generate->add_option("--temperature", arguments.sampling.temperature,
                       "Divides the logits; 0: always the likeliest token; default: 1");
  generate->add_option("--top-k", arguments.sampling.top_k,
                       "Draw from so many of the likeliest tokens; 0: from all; default: 0");
  generate->add_option("--top-p", arguments.sampling.top_p,
                       "Draw from the fewest tokens that have this probability; default: 1");
  generate->add_option("--seed", arguments.sampling.seed, "Of the draws; default: 1");
}

void add_data(CLI::App& app, CommandLine& line) {
  CLI::App* data = app.add_subcommand("data", "Make data files");
  data->require_subcommand(1);
  CLI::App* tokens = data->add_subcommand("tokens", "Write text as a shard of tokens");
  tokens->add_option("TEXT", line.tokens.text, "The file to read")->required();
  tokens->add_option("OUT", line.tokens.out, "The shard; what is there is replaced")->required();
  tokens->add_option(
      "--tokenizer", line.tokens.tokenizer,
      "A Hugging Face folder with a byte-level BPE; without it every byte is a token");
  tokens
      ->add_option("--format", line.tokens.format,
                   "llmc (with a header that states the size; the default) or nanogpt (bare)")
      ->transform(CLI::CheckedTransformer(kFormats, CLI::ignore_case).description(""))
      ->type_name("FORMAT");
}

void add_commands(CLI::App& app, CommandLine& line) {
  app.require_subcommand(1);
  CLI::App* train = app.add_subcommand("train", "Train a job; with mpirun, on several ranks");
  add_job(*train, line);
  add_device(*train, line);
  train->add_option("--run-dir", line.train.run_dir, "Folder of the run; default: runs/<job name>");
  train->add_option("--resume", line.train.resume,
                    "auto (go on from the newest checkpoint), never (refuse a folder that is not "
                    "empty), or the folder of a checkpoint");
  train->add_option("--save-gradients", line.train.save_gradients,
                    "Write the first step's gradients to this safetensors file");

  CLI::App* eval = app.add_subcommand("eval", "Evaluate saved parameters on the job's eval data");
  add_job(*eval, line);
  add_device(*eval, line);
  add_weights(*eval, line);

  CLI::App* validate =
      app.add_subcommand("validate", "Check a job: every error at once, no device");
  add_job(*validate, line);
  add_device_kind(*validate, line);
  validate->add_option("--world", line.job.world, "As so many ranks would")
      ->check(CLI::PositiveNumber);

  add_generate(app, line);
  add_data(app, line);
  add_plan(app, line);
  CLI::App* doctor = app.add_subcommand(
      "doctor", "What this build and this machine have; with mpirun, of all ranks");
  add_device(*doctor, line);
  doctor->add_option("--measure", line.measure,
                     "Time this machine and write what `trireme plan --device FILE` reads");
  add_checkpoint(app, line.look);
  add_job(*app.add_subcommand("summary", "Layers, shapes, parameters and FLOPs of a job"), line);
  app.add_subcommand("help", "The fields of a job file, with types and defaults")
      ->add_option("PATH", line.help_path, "A field, e.g. train.global_batch; default: all");
}

// Commands that every rank runs. The world outlives what may throw, so that a failure that the
// other ranks do not know of can end them too.
int run_on_world(const std::function<ExitCode(comm::World&)>& command) {
  std::unique_ptr<comm::World> world;
  try {
    world = std::make_unique<comm::World>();
  } catch (const Error& error) {
    // Every process fails alike here; the first speaks.
    if (comm::detect_launch().rank == 0) report(error.what(), nullptr);
    return static_cast<int>(error.code());
  }
  const auto end = [&](const std::string& message, ExitCode code) {
    report(message, world.get());
    if (world->size() > 1) world->abort(static_cast<int>(code));
    return static_cast<int>(code);
  };
  try {
    return static_cast<int>(command(*world));
  } catch (const PeerFailed& error) {
    stop_is_agreed();
    return static_cast<int>(error.code());
  } catch (const AgreedFailure& error) {
    stop_is_agreed();
    report(error.what(), world.get());
    return static_cast<int>(error.code());
  } catch (const Error& error) {
    return end(error.what(), error.code());
  } catch (const std::exception& error) {
    return end(error.what(), ExitCode::kInternal);
  }
}

// A word in place of a command.
std::string unknown_command(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  if (argc < 2 || argv[1][0] == '-' || std::ranges::find(names, argv[1]) != names.end()) return "";
  return fmt::format("unknown command {}{}", in_quotes(argv[1]),
                     did_you_mean(argv[1], names, "there are"));
}

// Of commands that touch no device, under mpirun: the first rank does them for all.
bool is_for_another_rank(const CLI::App& app) {
  for (const char* command : {"train", "eval", "generate", "doctor"})
    if (app.got_subcommand(command)) return false;
  return comm::detect_launch().rank > 0;
}

int dispatch(const CLI::App& app, CommandLine& line, const Extensions& extensions) {
  if (is_for_another_rank(app)) return 0;
  if (app.got_subcommand("train")) {
    line.train.job = line.job.job;
    line.train.sets = line.job.sets;
    install_signal_handlers();  // a signal may come while MPI starts
    return run_on_world([&](comm::World& world) { return train(line.train, extensions, world); });
  }
  if (app.got_subcommand("eval"))
    return run_on_world([&](comm::World& world) {
      return evaluate({line.job, line.weights, line.train.device, line.train.share_gpu}, extensions,
                      world);
    });
  if (app.got_subcommand("generate")) {
    line.generate.job = line.job;
    line.generate.weights = line.weights;
    line.generate.device = line.train.device;
    return run_on_world(
        [&](comm::World& world) { return generate(line.generate, extensions, world); });
  }
  if (app.got_subcommand("data")) write_tokens(line.tokens);
  if (app.got_subcommand("doctor"))
    return run_on_world([&](comm::World& world) {
      examine_machine(world, line.train.device, line.measure);
      return ExitCode::kDone;
    });
  if (app.got_subcommand("checkpoint"))
    return run_checkpoint(*app.get_subcommand("checkpoint"), line.look);
  if (app.got_subcommand("validate")) validate_job(line.job, line.train.device, extensions);
  if (app.got_subcommand("plan")) {
    line.plan.job = line.job;
    print_plan(line.plan, extensions);
  }
  if (app.got_subcommand("summary")) print_summary(line.job, extensions);
  if (app.got_subcommand("help")) std::fputs(help(line.help_path).c_str(), stdout);
  return 0;
}

}  // namespace

int run(int argc, char** argv, const Extensions& extensions) {
  CommandLine line;
  CLI::App app("Trains neural networks on one CPU core, one GPU or many, from one job file.",
               "trireme");
  add_commands(app, line);
  app.set_version_flag("--version", version_text);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    const std::string unknown = unknown_command(app, argc, argv);
    if (comm::detect_launch().rank == 0)
      report(unknown.empty() ? fmt::format("{}; `trireme --help` lists what there is", error.what())
                             : unknown,
             nullptr);
    return static_cast<int>(ExitCode::kUsage);
  }
  try {
    return dispatch(app, line, extensions);
  } catch (const Error& error) {
    report(error.what(), nullptr);
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    report(error.what(), nullptr);
    return static_cast<int>(ExitCode::kInternal);
  }
}

}  // namespace trireme
