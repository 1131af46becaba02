// RUN/checkpoints: which checkpoints there are, and how one comes and goes.
//
//   step-00000200/    a committed checkpoint: it has its manifest.pb. (Whether the manifest parses
//                     and the shards fit it is the reader's business.)
//   .tmp-UUID/        one that is being written
//   .del-UUID/        one that is being deleted
//   refused-...-UUID/ one that could not be read, set aside for people to look at
//
// A folder gets its step-name by one rename after everything in it is on the disk, and loses it by
// one rename before anything in it is removed; so nobody ever sees half a checkpoint. One process
// writes: the holder of RUN/lock.
//
// Errors: SystemError with the path and the system's own words. After one, the checkpoints that
// list() gave before are still there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/checkpoint/retention.h"

namespace trireme::launcher {

class CheckpointStore {
 public:
  struct Entry {
    int64_t step = 0;
    std::filesystem::path path;
    bool operator==(const Entry&) const = default;
  };
  static constexpr char kManifest[] = "manifest.pb";
  static constexpr char kManifestText[] = "manifest.txtpb";  // for people, never read

  // `folder` is RUN/checkpoints. Nothing is touched; begin() makes it.
  explicit CheckpointStore(std::filesystem::path folder) : folder_(std::move(folder)) {}
  const std::filesystem::path& folder() const { return folder_; }

  static std::string name_of(int64_t step);  // "step-00000200"
  // The step of a folder's name; nothing if it is not exactly what name_of() gives.
  static std::optional<int64_t> step_of(std::string_view name);
  // The committed checkpoint at `path`, wherever it lies; nothing if there is none.
  static std::optional<Entry> at(const std::filesystem::path& path);

  // The committed checkpoints, newest first. Empty if there is no folder.
  std::vector<Entry> list() const;

  // Throws SystemError unless `bytes` and 10 % fit on the disk.
  void ensure_space(int64_t bytes) const;

  // Makes an empty .tmp-UUID (0700) for the shards of a checkpoint.
  std::filesystem::path begin() const;
  // Makes `temporary`, whose shards are all on the disk, the checkpoint of `step`. The manifest is
  // written last. Returns its path. Throws, and does not replace it, if there is one of that step.
  std::filesystem::path commit(const std::filesystem::path& temporary, int64_t step,
                               std::string_view manifest, std::string_view text_for_people) const;
  // Removes what begin() made, as well as it can.
  void abandon(const std::filesystem::path& temporary) const noexcept;

  // Removes what dead writers left; the caller holds RUN/lock. Returns a line on each.
  std::vector<std::string> clean_stale() const;
  // Removes those that expendable() names and returns their steps. The caller has verified the
  // newest.
  std::vector<int64_t> prune(const RetentionOptions& options, std::span<const int64_t> best) const;
  // Takes a checkpoint that cannot be read out of the list. Returns where it lies now.
  std::filesystem::path set_aside(int64_t step) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace trireme::launcher
