#include <fmt/format.h>

#include <fstream>
#include <thread>

#include "core/base/error.h"
#include "launcher/cli/commands.h"
#include "launcher/plan/device_file.h"
#include "launcher/plan/measure.h"
#include "launcher/train/device_choice.h"

namespace trireme::launcher {

void examine_machine(comm::World& world, DeviceRequest request,
                     const std::filesystem::path& measure) {
  const auto device = make_device(request, world, false);
  const auto say = [&](const std::string& text) {
    if (world.rank() == 0) fmt::print("{}\n", text);
  };
  say(version_text());
  say(fmt::format("{} of {}; {} CPU threads on this host, {} of this host's ranks",
                  world.describe(), device->describe(), std::thread::hardware_concurrency(),
                  world.local_size()));
  if (measure.empty()) return;
  const core::DeviceModel model = measure_machine(
      *device, world.communicator(), [&](const std::string& what) { say("measuring " + what); });
  if (world.rank() != 0) return;
  std::ofstream file(measure);
  if (!(file << device_json(model)).flush())
    throw SystemError(fmt::format("{} cannot be written", measure.string()));
  say(fmt::format(
      "products {:.1f} GFLOP/s, memory {:.1f} GB/s, {:.2f} us an op, links {:.1f} us and "
      "{:.2f} GB/s; `trireme plan --device {}` reads the rest",
      model.f32.reached / 1e9, model.bytes_per_second / 1e9, model.op_seconds * 1e6,
      model.inside.latency_seconds * 1e6, model.inside.bytes_per_second / 1e9, measure.string()));
}

}  // namespace trireme::launcher
