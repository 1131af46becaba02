#include "launcher/cli/checkpoint_command.h"

#include <CLI/CLI.hpp>

#include "launcher/checkpoint/limits.h"
#include "launcher/cli/checkpoint.h"

namespace trireme::launcher {
namespace {

constexpr char kOut[] = "The folder to make; nothing may be there yet";

void add_looks(CLI::App& checkpoint, CheckpointArguments& arguments) {
  checkpoint
      .add_subcommand("ls", "Steps, sizes, layouts, counters, and whether each is valid (else 65)")
      ->add_option("DIR", arguments.folder, "A run folder, its checkpoints/ or one checkpoint")
      ->required();
  checkpoint.add_subcommand("verify", "Read every byte and compare its checksum; 65 if one is bad")
      ->add_option("CHECKPOINT", arguments.folder, "A folder with a manifest.pb")
      ->required();
  CLI::App* diff = checkpoint.add_subcommand(
      "diff",
      "Compare tensors by their bits, and counters; 0 if equal, 1 if not, 65 if unreadable");
  diff->add_option("A", arguments.folder, "A checkpoint")->required();
  diff->add_option("B", arguments.other, "Another, of any layout")->required();
}

void add_reshard(CLI::App& checkpoint, CheckpointArguments& arguments) {
  CLI::App* reshard = checkpoint.add_subcommand(
      "reshard", "The same content in the shards that another layout would write");
  reshard->add_option("CHECKPOINT", arguments.folder, "A folder with a manifest.pb")->required();
  reshard->add_option("OUT", arguments.other, kOut)->required();
  const CLI::Range ranks(int64_t{1}, kMaxShards);
  WriterLayout& layout = arguments.layout;
  reshard->add_option("--data", layout.data, "Ranks along the data axis; default: 1")->check(ranks);
  reshard->add_option("--tensor", layout.tensor, "Along the tensor axis; default: 1")->check(ranks);
  reshard->add_option("--pipeline", layout.pipeline, "Along the pipeline; default: 1")
      ->check(ranks);
  reshard->add_option("--zero", layout.zero, "The ZeRO stage, 0 to 3; default: 0")
      ->check(CLI::Range(0, 3));
}

void add_exchange(CLI::App& checkpoint, CheckpointArguments& arguments) {
  CLI::App* out = checkpoint.add_subcommand(
      "export", "A folder that Hugging Face transformers loads, of a gpt's or llama's parameters");
  out->add_option("CHECKPOINT", arguments.folder,
                  "A run folder, a checkpoint's folder or a .safetensors file")
      ->required();
  out->add_option("OUT", arguments.other, kOut)->required();
  out->add_option("--job", arguments.job, "The job; default: the one kept in the run folder");
  out->add_flag("--average", arguments.average,
                "The moving average of the parameters, of a job with train.average");
  out->add_option("--max-file-mib", arguments.max_file_mib,
                  "Weights above so many MiB become several files; default: 5000")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  CLI::App* in = checkpoint.add_subcommand(
      "import", "A checkpoint of the parameters in a Hugging Face folder (GPT-2 or Llama)");
  in->add_option("IN", arguments.folder, "A folder with config.json and model.safetensors")
      ->required();
  in->add_option("OUT", arguments.other, kOut)->required();
  in->add_option("--job", arguments.job, "A job whose model it must be");
}

}  // namespace

void add_checkpoint(CLI::App& app, CheckpointArguments& arguments) {
  CLI::App* checkpoint = app.add_subcommand(
      "checkpoint", "Look at checkpoints and turn them into others; see docs/checkpoint.md");
  checkpoint->require_subcommand(1);
  add_looks(*checkpoint, arguments);
  add_reshard(*checkpoint, arguments);
  add_exchange(*checkpoint, arguments);
}

int run_checkpoint(const CLI::App& command, const CheckpointArguments& arguments) {
  if (command.got_subcommand("ls")) return print_checkpoints(arguments.folder);
  if (command.got_subcommand("verify")) return print_verification(arguments.folder);
  if (command.got_subcommand("diff")) return print_difference(arguments.folder, arguments.other);
  if (command.got_subcommand("reshard"))
    return reshard_checkpoint(arguments.folder, arguments.layout, arguments.other);
  if (command.got_subcommand("export"))
    return export_parameters({arguments.folder, arguments.average}, arguments.job, arguments.other,
                             arguments.max_file_mib << 20);
  return import_parameters(arguments.folder, arguments.job, arguments.other);
}

}  // namespace trireme::launcher
