#include "core/sim/device_model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cmath>

#include "core/base/error.h"

namespace trireme::core {
namespace {

constexpr double kTera = 1e12, kGiga = 1e9, kMicro = 1e-6;
constexpr int64_t kGiB = int64_t{1} << 30;

// Shares of the data sheets that programs reach: products 80 % (798 of 989 TFLOP/s in bf16 on an
// H100), memory 90 %, links 80 %.
DeviceModel gpu(const char* name, const char* source, int64_t memory_bytes, double f32, double half,
                double bandwidth, double nvlink, double network) {
  return {.name = name,
          .source = source,
          .kind = DeviceKind::kCuda,
          .memory_bytes = memory_bytes,
          .outside_bytes = 3 * kGiB / 2,
          .f32 = {f32, 0.8 * f32},
          .half = {half, 0.8 * half},
          .bytes_per_second = 0.9 * bandwidth,
          .op_seconds = 2.5 * kMicro,
          .ranks_per_node = 8,
          .inside = {5 * kMicro, 0.8 * nvlink},
          .between = {12 * kMicro, 0.8 * network},
          .ops = {}};
}

std::vector<DeviceModel> make_table() {
  return {
      {.name = "cpu",
       .source = "one core of about 3 GHz with AVX2; `trireme doctor --measure FILE` knows better",
       .f32 = {96 * kGiga, 70 * kGiga},
       .half = {},
       .bytes_per_second = 10 * kGiga,
       .op_seconds = 2 * kMicro,
       .inside = {5 * kMicro, 4 * kGiga},
       .between = {30 * kMicro, 1 * kGiga},
       .hidden_share = 0,
       .ops = {}},
      gpu("a100", "NVIDIA A100 80GB SXM data sheet; NVLink 3; HDR 200 Gb/s a GPU", 80 * kGiB,
          19.5 * kTera, 312 * kTera, 2.039 * kTera, 300 * kGiga, 25 * kGiga),
      gpu("h100", "NVIDIA H100 SXM data sheet, dense; NVLink 4; NDR 400 Gb/s a GPU", 80 * kGiB,
          66.9 * kTera, 989.4 * kTera, 3.35 * kTera, 450 * kGiga, 50 * kGiga),
      gpu("h200", "NVIDIA H200 SXM data sheet, dense; NVLink 4; NDR 400 Gb/s a GPU", 141 * kGiB,
          66.9 * kTera, 989.4 * kTera, 4.8 * kTera, 450 * kGiga, 50 * kGiga),
      gpu("b200", "NVIDIA HGX B200 data sheet, dense; NVLink 5; NDR 400 Gb/s a GPU", 180 * kGiB,
          75 * kTera, 2250 * kTera, 7.7 * kTera, 900 * kGiga, 50 * kGiga),
  };
}

// A sample counts e^kNearness times less for each 1 of squared distance, in powers of two of flops
// and bytes.
constexpr double kNearness = 0.5;

double logarithm(int64_t value) {
  return std::log2(static_cast<double>(std::max<int64_t>(value, 1)));
}

// A geometric mean of the samples' rates, weighted by nearness. Where a node is larger or smaller
// than every sample, its time grows with its work.
double from_samples(std::span<const OpSample> samples, const Cost& cost) {
  const bool by_flops = cost.flops > 0 && std::ranges::all_of(samples, [](const OpSample& sample) {
                          return sample.flops > 0;
                        });
  double weights = 0, sum = 0, nearest = 1e300;
  const auto distance = [&](const OpSample& sample) {
    const double f = by_flops ? logarithm(cost.flops) - logarithm(sample.flops) : 0;
    const double b = logarithm(cost.bytes) - logarithm(sample.bytes);
    return f * f + b * b;
  };
  for (const OpSample& sample : samples) nearest = std::min(nearest, distance(sample));
  for (const OpSample& sample : samples) {
    const auto work = static_cast<double>(by_flops ? sample.flops : sample.bytes);
    const double weight = std::exp(-(distance(sample) - nearest) * kNearness);
    weights += weight;
    sum += weight * std::log(sample.seconds / std::max(work, 1.0));
  }
  const auto work = static_cast<double>(by_flops ? cost.flops : cost.bytes);
  return std::max(work, 1.0) * std::exp(sum / weights);
}

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::ranges::transform(lowered, lowered.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lowered;
}

}  // namespace

const ArithmeticModel& DeviceModel::arithmetic(DType dtype) const {
  const bool is_half = dtype == DType::kBF16 || dtype == DType::kF16;
  return is_half && half.peak > 0 ? half : f32;
}

std::span<const DeviceModel> known_devices() {
  static const std::vector<DeviceModel> table = make_table();
  return table;
}

const DeviceModel& find_device(std::string_view name) {
  std::string names;
  for (const DeviceModel& device : known_devices()) {
    if (device.name == lower(name)) return device;
    names += (names.empty() ? "" : ", ") + device.name;
  }
  fail("[device] \"{}\" is neither a file nor a known device; there are: {}", name, names);
}

double work_seconds(const DeviceModel& device, std::string_view type, const Cost& cost,
                    DType dtype) {
  const bool was_timed = &device.arithmetic(dtype) == &device.f32;  // samples are of f32
  if (const auto found = device.ops.find(type);
      was_timed && found != device.ops.end() && !found->second.empty())
    return from_samples(found->second, cost);
  const double arithmetic = static_cast<double>(cost.flops) / device.arithmetic(dtype).reached;
  return device.op_seconds +
         std::max(arithmetic, static_cast<double>(cost.bytes) / device.bytes_per_second);
}

double node_seconds(const DeviceModel& device, const Op& op, const NodeTypes& types) {
  if (op.view_of() >= 0) return 0;
  return work_seconds(device, op.type(), op.cost(types), op.operands());
}

double transfer_seconds(const DeviceModel& device, CollectiveKind kind, int64_t bytes,
                        const GroupShape& group) {
  const int n = group.members;
  if (n <= 1) return 0;
  const int on_a_node = std::max(1, n / std::max(1, group.nodes));
  LinkModel link = device.inside;
  if (group.nodes > 1) {
    link = device.between;
    link.bytes_per_second *= on_a_node;
    if (on_a_node > 1)
      link.bytes_per_second = std::min(link.bytes_per_second, device.inside.bytes_per_second);
  }
  const double levels = std::bit_width(static_cast<unsigned>(n - 1));
  const double moving = static_cast<double>(bytes) / link.bytes_per_second;
  switch (kind) {
    case CollectiveKind::kAllReduce:
      return 2.0 * (n - 1) / n * moving + 2 * levels * link.latency_seconds;
    case CollectiveKind::kReduceScatter:
    case CollectiveKind::kAllGather:
      return (n - 1) * moving + levels * link.latency_seconds;
    case CollectiveKind::kAllToAll:
      return (n - 1) * (moving + link.latency_seconds);
    case CollectiveKind::kBroadcast:
      return moving + levels * link.latency_seconds;
    case CollectiveKind::kSend:
    case CollectiveKind::kRecv:
      break;
  }
  if (const LinkModel& own = device.messages; group.nodes <= 1 && own.bytes_per_second > 0)
    return static_cast<double>(bytes) / own.bytes_per_second + own.latency_seconds;
  return moving + link.latency_seconds;
}

}  // namespace trireme::core
