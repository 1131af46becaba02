#include "launcher/train/metrics_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/error.h"
#include "launcher/base/atomic.h"

namespace trireme::launcher {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

// JSON has no NaN: what is not finite is null.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

// Whether a whole line tells of a step up to `step`.
bool stays(const std::string& line, int64_t step) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("step")) return false;
  const Json& of = json["step"];
  return of.is_number_integer() && of.get<int64_t>() <= step;
}

// Line by line, since the file may be long. Rewritten only if something goes.
void cut_after(const fs::path& path, int64_t step) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return;
  std::string line;
  int64_t dropped = 0;
  const auto each_that_stays = [&](const auto& act) {
    while (std::getline(file, line)) {
      const bool whole = !file.eof();  // else the newline is missing
      if (whole && stays(line, step))
        act();
      else
        ++dropped;
    }
  };
  each_that_stays([] {});
  if (dropped == 0) return;
  file.clear();
  file.seekg(0);
  AtomicFile kept(path);
  each_that_stays([&] {
    line += '\n';
    kept.write(line.data(), static_cast<int64_t>(line.size()));
  });
  kept.commit();
}

}  // namespace

std::string EvalRecord::text() const {
  std::string text = fmt::format("loss {:.4f}", loss);
  for (const auto& [name, value] : metrics) text += fmt::format("  {} {:.4f}", name, value);
  return text;
}

MetricsLog::MetricsLog(const fs::path& path, int64_t step) : path_(path) {
  try {
    cut_after(path, step);
  } catch (const SystemError& error) {
    fail("{}; name another folder with --run-dir", error.what());
  }
  file_ = FileDescriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  struct stat status {};
  if (!file_ || ::fstat(file_.get(), &status) != 0)
    fail("{}: cannot be written to: {}; name another folder with --run-dir", path.string(),
         std::strerror(errno));
  size_ = status.st_size;
}

void MetricsLog::write(const StepRecord& record) {
  Json json{{"step", record.step},
            {"epoch", number(record.epoch)},
            {"loss", number(record.loss)},
            {"lr", number(record.lr)},
            {"grad_norm", number(record.grad_norm)},
            {"samples_per_second", number(record.samples_per_second)},
            {"step_ms", number(record.step_ms)}};
  if (record.tokens_per_second > 0) json["tokens_per_second"] = number(record.tokens_per_second);
  if (record.communication.seconds > 0) {
    json["communication_ms"] = number(record.communication.seconds * 1e3);
    json["exposed_ms"] = number(record.communication.exposed * 1e3);
    json["overlap"] = number(record.communication.overlap());
  }
  if (record.loss_scale > 0) json["loss_scale"] = number(record.loss_scale);
  if (!record.applied) json["applied"] = false;
  line(json.dump());
}

void MetricsLog::write(const EvalRecord& record) {
  Json json{
      {"step", record.step}, {"epoch", number(record.epoch)}, {"eval_loss", number(record.loss)}};
  for (const auto& [name, value] : record.metrics) json[name] = number(value);
  line(json.dump());
}

void MetricsLog::write(const CheckpointRecord& record) {
  const Json json{{"step", record.step},
                  {"checkpoint_bytes", record.bytes},
                  {"checkpoint_stall_ms", number(record.stall_ms)},
                  {"checkpoint_write_ms", number(record.write_ms)},
                  {"checkpoint_verify_ms", number(record.verify_ms)},
                  {"checkpoint_save_ms", number(record.save_ms)}};
  line(json.dump());
}

void MetricsLog::write(const MemoryRecord& record) {
  line(Json{{"step", record.step},
            {"memory_before_bytes", record.before},
            {"memory_peak_bytes", record.peak}}
           .dump());
}

std::optional<std::string> MetricsLog::warning() { return std::exchange(warning_, std::nullopt); }

// A line that did not fit is taken back, so that the next one does not follow half of it.
void MetricsLog::line(std::string text) {
  text += '\n';
  const auto bytes = static_cast<int64_t>(text.size());
  int64_t done = 0;
  while (done < bytes) {
    const ssize_t put =
        ::pwrite(file_.get(), text.data() + done, static_cast<size_t>(bytes - done), size_ + done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) break;
    done += put;
  }
  if (done == bytes) {
    size_ += bytes;
    failing_ = false;
    return;
  }
  const int error = errno;
  if (done > 0 && ::ftruncate(file_.get(), size_) != 0) {
    // The next line is written over what stays.
  }
  if (!std::exchange(failing_, true))
    warning_ = fmt::format("{}: lines are lost: {}", path_.string(), std::strerror(error));
}

}  // namespace trireme::launcher
