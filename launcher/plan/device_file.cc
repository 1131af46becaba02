#include "launcher/plan/device_file.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

using nlohmann::ordered_json;

// One list of fields for both directions: `Archive` reads or writes.
template <typename Archive, typename Model>
void visit(Archive&& archive, Model& device) {
  archive("name", device.name);
  archive("source", device.source);
  archive("memory_bytes", device.memory_bytes);
  archive("outside_bytes", device.outside_bytes);
  archive("f32_peak_flops", device.f32.peak);
  archive("f32_reached_flops", device.f32.reached);
  archive("half_peak_flops", device.half.peak);
  archive("half_reached_flops", device.half.reached);
  archive("bytes_per_second", device.bytes_per_second);
  archive("op_seconds", device.op_seconds);
  archive("ranks_per_node", device.ranks_per_node);
  archive("inside_latency_seconds", device.inside.latency_seconds);
  archive("inside_bytes_per_second", device.inside.bytes_per_second);
  archive("between_latency_seconds", device.between.latency_seconds);
  archive("between_bytes_per_second", device.between.bytes_per_second);
  archive("messages_latency_seconds", device.messages.latency_seconds);
  archive("messages_bytes_per_second", device.messages.bytes_per_second);
  archive("hidden_share", device.hidden_share);
}

void check_rates(const std::string& path, const core::DeviceModel& device) {
  const auto positive = [&](const char* name, double value) {
    if (!(value > 0)) fail("{}: {} must be above 0, got {}", path, name, value);
  };
  positive("f32_peak_flops", device.f32.peak);
  positive("f32_reached_flops", device.f32.reached);
  positive("bytes_per_second", device.bytes_per_second);
  positive("inside_bytes_per_second", device.inside.bytes_per_second);
  positive("between_bytes_per_second", device.between.bytes_per_second);
  if (device.messages.bytes_per_second != 0)
    positive("messages_bytes_per_second", device.messages.bytes_per_second);
  positive("ranks_per_node", device.ranks_per_node);
  for (const auto& [type, samples] : device.ops)
    for (const core::OpSample& sample : samples) positive(type.c_str(), sample.seconds);
}

core::DeviceModel parse(const std::string& path, const ordered_json& json) {
  core::DeviceModel device;
  const auto read = [&](const char* name, auto& field) {
    if (json.contains(name)) json.at(name).get_to(field);
  };
  visit(read, device);
  device.kind =
      json.value("kind", "cpu") == "cuda" ? core::DeviceKind::kCuda : core::DeviceKind::kCpu;
  const ordered_json ops = json.value("ops", ordered_json::object());
  for (const auto& [type, samples] : ops.items())
    for (const ordered_json& sample : samples)
      device.ops[type].push_back(
          {sample.at(0).get<int64_t>(), sample.at(1).get<int64_t>(), sample.at(2).get<double>()});
  check_rates(path, device);
  return device;
}

}  // namespace

std::string device_json(const core::DeviceModel& device) {
  ordered_json json;
  visit([&](const char* name, const auto& field) { json[name] = field; }, device);
  json["kind"] = device.kind == core::DeviceKind::kCuda ? "cuda" : "cpu";
  // By type: [floating-point operations, bytes, seconds] of each node that was timed.
  ordered_json ops = ordered_json::object();
  for (const auto& [type, samples] : device.ops)
    for (const core::OpSample& sample : samples)
      ops[type].push_back({sample.flops, sample.bytes, sample.seconds});
  json["ops"] = ops;
  return json.dump(1) + "\n";
}

core::DeviceModel load_device(const std::string& name_or_path) {
  if (!std::filesystem::is_regular_file(name_or_path)) return core::find_device(name_or_path);
  std::ifstream file(name_or_path);
  try {
    return parse(name_or_path, ordered_json::parse(file));
  } catch (const nlohmann::json::exception& error) {
    fail("{}: expects a device as `trireme doctor --measure` writes it: {}", name_or_path,
         error.what());
  }
}

}  // namespace trireme::launcher
