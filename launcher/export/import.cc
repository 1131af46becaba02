#include "launcher/export/import.h"

#include <algorithm>
#include <set>

#include "launcher/build_info.h"
#include "launcher/checkpoint/refuse.h"
#include "launcher/checkpoint/stream.h"
#include "launcher/export/model_config.h"
#include "launcher/export/safetensors_folder.h"

namespace trireme::launcher {
namespace {

using Family = LanguageModel::Family;
constexpr char kHead[] = "lm_head.weight";

void check_expected(const LanguageModel& theirs, const LanguageModel& ours,
                    const std::string& where) {
  std::vector<std::string> differences;
  const auto same = [&](const char* what, const auto& a, const auto& b) {
    if (a != b) differences.push_back(fmt::format("{} {}, the job's {}", what, a, b));
  };
  same("model", name_of(theirs.family), name_of(ours.family));
  same("layers", theirs.layers, ours.layers);
  same("width", theirs.width, ours.width);
  same("heads", theirs.heads, ours.heads);
  same("kv_heads", theirs.kv_heads, ours.kv_heads);
  same("hidden", theirs.hidden, ours.hidden);
  same("context", theirs.context, ours.context);
  same("vocabulary", theirs.vocabulary, ours.vocabulary);
  same("epsilon", theirs.epsilon, ours.epsilon);
  if (theirs.family == Family::kLlama) same("theta", theirs.theta, ours.theta);
  same("tied", theirs.tied, ours.tied);
  if (!differences.empty())
    refuse(where, "is of another model than the job: {}", fmt::join(differences, "; "));
}

// The masks and tables that older versions of transformers kept beside the weights.
bool is_derived(const std::string& name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") ||
         name.ends_with(".rotary_emb.inv_freq");
}

// Where each link's tensor is in the folder: under its name, or without the prefix that a network
// saved without its head lacks ("wte.weight").
class Weights {
 public:
  Weights(const std::filesystem::path& folder, const LanguageModel& model,
          const Correspondence& map)
      : folder_(folder), map_(map) {
    const std::string where = folder.string();
    std::set<std::string> known;
    for (const TensorLink& link : map.links) {
      const auto found = find(link.theirs);
      if (found == folder_.tensors().end()) refuse(where, "lacks the tensor '{}'", link.theirs);
      if (found->second.shape != link.shape)
        refuse(where, "its tensor '{}' is {}, expected {}", found->first, found->second.shape.str(),
               link.shape.str());
      names_.push_back(found->first);
      known.insert(found->first);
    }
    for (const auto& [name, tensor] : folder_.tensors())
      if (!known.contains(name) && !is_derived(name) && !(model.tied && name == kHead))
        refuse(where, "has the tensor '{}', for which the model has no place", name);
    if (model.tied && folder_.tensors().contains(kHead)) check_tie(model);
  }

  // Any box of one of our parameters.
  void read(int parameter, const Box& box, float* out) {
    const int64_t first = box.rank == 0 ? 0 : box.origin[0];
    const int64_t end = first + (box.rank == 0 ? 1 : box.extent[0]);
    const int64_t column = box.rank == 2 ? box.origin[1] : 0;
    const int64_t columns = box.rank == 2 ? box.extent[1] : 1;
    for (size_t i = 0; i < map_.links.size(); ++i) {
      const TensorLink& link = map_.links[i];
      if (link.ours != parameter) continue;
      const int64_t rows = link.shape[link.transposed ? 1 : 0];
      const int64_t from = std::max(first, link.first_row);
      const int64_t to = std::min(end, link.first_row + rows);
      if (from >= to) continue;
      const Rectangle ours{from - link.first_row, to - from, column, columns};
      read(names_[i], link.transposed, ours, out + (from - first) * columns);
    }
  }

 private:
  using Found = std::map<std::string, SafetensorsFolder::Tensor>::const_iterator;

  Found find(const std::string& name) const {
    const Found found = folder_.tensors().find(name);
    if (found != folder_.tensors().end() || name == kHead) return found;
    return folder_.tensors().find(name.substr(name.find('.') + 1));
  }

  void read(const std::string& name, bool transposed, const Rectangle& ours, float* out) {
    if (!transposed) return folder_.read(name, ours, out);
    turned_.resize(static_cast<size_t>(ours.rows * ours.columns));
    folder_.read(name, {ours.first_column, ours.columns, ours.first_row, ours.rows},
                 turned_.data());
    for (int64_t row = 0; row < ours.rows; ++row)
      for (int64_t column = 0; column < ours.columns; ++column)
        out[row * ours.columns + column] = turned_[column * ours.rows + row];
  }

  // A head that is stored although it is tied must be the table.
  void check_tie(const LanguageModel& model) {
    const std::string where = folder_.path().string();
    const core::Shape shape{model.vocabulary, model.width};
    if (folder_.tensors().at(kHead).shape != shape)
      refuse(where, "its tensor '{}' is {}, expected {}", kHead,
             folder_.tensors().at(kHead).shape.str(), shape.str());
    const int64_t step = std::max<int64_t>(1, kStreamElements / model.width);
    std::vector<float> table, head;
    for (int64_t row = 0; row < model.vocabulary; row += step) {
      const Rectangle part{row, std::min(step, model.vocabulary - row), 0, model.width};
      table.resize(static_cast<size_t>(part.rows * part.columns));
      head.resize(table.size());
      folder_.read(names_.front(), part, table.data());
      folder_.read(kHead, part, head.data());
      if (!std::ranges::equal(table, head))
        refuse(where, "its config.json ties '{}' to the table of tokens, but they differ", kHead);
    }
  }

  SafetensorsFolder folder_;
  const Correspondence& map_;
  std::vector<std::string> names_;  // of the links
  std::vector<float> turned_;
};

}  // namespace

ImportReport import_model(const std::filesystem::path& folder, const std::filesystem::path& out,
                          const std::optional<LanguageModel>& expected, int shards) {
  const std::string config = (folder / kModelConfig).string();
  ImportReport report{.model = parse_model_config(read_text_file(config), config), .manifest = {}};
  if (expected) check_expected(report.model, *expected, config);
  const Correspondence map = correspondence(report.model, config);
  Weights weights(folder, report.model, map);
  Manifest manifest;
  manifest.info = {
      .layout = {.data = shards}, .trireme_version = build_info::kVersion, .job_name = "imported"};
  manifest.plan = split_replicated(map.parameters, shards);
  report.manifest = stream_checkpoint(
      out, std::move(manifest),
      [&](int tensor, const Box& box, float* values) { weights.read(tensor, box, values); });
  return report;
}

}  // namespace trireme::launcher
