// Where each field of a job was written: a line and column of the file, or a --set.
//
// Fields are named by their paths: "train.global_batch", "model.layer[2].conv2d.kernel". Lines and
// columns count from 1; a column is a byte, and a tab goes on to the next multiple of 8.
#pragma once

#include <compare>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::launcher {

// Orders errors: those of the file by line and column, then those of each --set.
struct Origin {
  int set = 0;  // 0: the file; n: the n-th --set
  int line = 1, column = 1;
  auto operator<=>(const Origin&) const = default;
};

class Places {
 public:
  explicit Places(std::string file = "job") : file_(std::move(file)) {}

  // Remembers the text of a --set; returns where its fields come from.
  Origin add_set(std::string_view text);
  void record(const std::string& path, Origin origin) { origins_[path] = origin; }
  // Forgets a field and all fields inside it: something else took its place.
  void forget(const std::string& path);

  bool has(std::string_view path) const { return origins_.contains(path); }
  // Of the field, or of the innermost message around it that was written; else 1:1.
  Origin origin(std::string_view path) const;
  std::string text(Origin origin) const;  // "jobs/a.txtpb:9:3" or "--set train.seed=2"
  std::string of(std::string_view path) const { return text(origin(path)); }

  // Options are equal wherever they were written.
  bool operator==(const Places&) const { return true; }

 private:
  std::string file_;
  std::vector<std::string> sets_;
  std::map<std::string, Origin, std::less<>> origins_;
};

// "train.seed" from "train" and "seed"; "train" from "" and "train".
std::string join_path(std::string_view message, std::string_view field);
// "train" from "train.seed", "model.layer" from "model.layer[2]", "" from "train".
std::string_view parent_path(std::string_view path);

}  // namespace trireme::launcher
