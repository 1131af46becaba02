// The `trireme` command with a dataset that gets stuck: custom { name: "stuck" } behaves as
// synthetic data until the reader of one rank comes to one sample.
//
//   rank    whose reader gets stuck
//   read    the number of the read, counted from 1, at which it does
//   how     loop: computes for ever; sleep: waits for ever; deadlock: locks what it holds already;
//           throw: a bad sample; exit: the process ends without a word
//
// and with a model, custom { name: "watched" }, that says so if its session is freed behind the bad
// sample: other ranks may still be sent what lies there.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

#include "core/base/error.h"
#include "core/ops/reshape.h"
#include "launcher/data/synthetic.h"
#include "launcher/run.h"

namespace trireme::launcher {
namespace {

int own_rank() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return rank != nullptr ? std::atoi(rank) : 0;
}

std::atomic<bool> has_thrown = false;

// A part of every graph of the model, and so of its session.
class Witness : public core::Reshape {
 public:
  Witness() : Reshape({-1}) {}
  ~Witness() override {
    if (has_thrown) std::fputs("stuck: the session is freed\n", stderr);
  }
};

void watched(models::NetBuilder& net, const models::CustomModelOptions&) {
  const core::ValueId x = net.op("witness", std::make_shared<Witness>(), {net.data()});
  net.softmax_cross_entropy("loss", net.linear("fc", x, {.outputs = net.request().classes}), {});
}

class StuckDataset : public Dataset {
 public:
  StuckDataset(const SyntheticOptions& samples, int rank, int64_t read, std::string how)
      : samples_(samples), stuck_(own_rank() == rank), at_(read), how_(std::move(how)) {}

  int64_t size() const override { return samples_.size(); }
  core::Shape feature_shape() const override { return samples_.feature_shape(); }
  int64_t classes() const override { return samples_.classes(); }
  std::string name() const override { return "stuck"; }
  std::string identity() const override { return samples_.identity(); }

  void read(int64_t index, Sample out) const override {
    if (stuck_ && ++reads_ == at_) get_stuck(index);
    samples_.read(index, out);
  }

 private:
  void get_stuck(int64_t index) const {
    if (how_ == "throw") {
      has_thrown = true;
      throw InvalidArgument(fmt::format("[stuck] sample {} cannot be read", index),
                            ExitCode::kBadData);
    }
    if (how_ == "exit") ::_exit(3);
    static std::mutex held;
    if (how_ == "deadlock") held.lock();
    if (how_ == "deadlock") held.lock();
    for (std::atomic<uint64_t> turns = 0;; ++turns)
      if (how_ != "loop") ::pause();
  }

  SyntheticDataset samples_;
  bool stuck_;
  mutable std::atomic<int64_t> reads_ = 0;
  int64_t at_;
  std::string how_;
};

}  // namespace
}  // namespace trireme::launcher

int main(int argc, char** argv) {
  using namespace trireme::launcher;
  Extensions extensions;
  extensions.models["watched"] = watched;
  extensions.datasets["stuck"] = [](const CustomDatasetOptions& options) {
    const auto number = [&](const char* key) { return std::stoll(options.parameters.at(key)); };
    const SyntheticOptions samples{.samples = 240, .height = 4, .width = 4, .seed = 3};
    return std::make_unique<StuckDataset>(samples, static_cast<int>(number("rank")), number("read"),
                                          options.parameters.at("how"));
  };
  return trireme::run(argc, argv, extensions);
}
