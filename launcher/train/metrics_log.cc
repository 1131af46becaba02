#include "launcher/train/metrics_log.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no NaN: what is not finite is null.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace

std::string EvalRecord::text() const {
  std::string text = fmt::format("loss {:.4f}", loss);
  for (const auto& [name, value] : metrics) text += fmt::format("  {} {:.4f}", name, value);
  return text;
}

MetricsLog::MetricsLog(const std::filesystem::path& path)
    : path_(path), file_(path, std::ios::app) {
  if (!file_) fail("{}: cannot be written to; name another folder with --run-dir", path.string());
}

void MetricsLog::write(const StepRecord& record) {
  Json json{{"step", record.step},
            {"epoch", number(record.epoch)},
            {"loss", number(record.loss)},
            {"lr", number(record.lr)},
            {"grad_norm", number(record.grad_norm)},
            {"samples_per_second", number(record.samples_per_second)},
            {"step_ms", number(record.step_ms)}};
  if (!record.applied) json["applied"] = false;
  line(json.dump());
}

void MetricsLog::write(const EvalRecord& record) {
  Json json{
      {"step", record.step}, {"epoch", number(record.epoch)}, {"eval_loss", number(record.loss)}};
  for (const auto& [name, value] : record.metrics) json[name] = number(value);
  line(json.dump());
}

void MetricsLog::line(const std::string& text) {
  file_ << text << '\n' << std::flush;
  if (!file_) throw SystemError(fmt::format("[metrics] cannot write {}", path_.string()));
}

}  // namespace trireme::launcher
