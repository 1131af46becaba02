#include <algorithm>
#include <cctype>
#include <set>

#include "launcher/job/checker.h"
#include "launcher/job/suggest.h"
#include "launcher/job/validate.h"

namespace trireme::launcher {
namespace {

using namespace models;

// Of a layer: with what is put behind it, a parameter's name fits a checkpoint.
constexpr size_t kMostOfName = 200;

constexpr auto kOperations = {"linear",
                              "conv2d",
                              "max_pool2d",
                              "average_pool2d",
                              "relu",
                              "gelu",
                              "tanh",
                              "sigmoid",
                              "silu",
                              "flatten",
                              "reshape",
                              "add",
                              "scale",
                              "dropout",
                              "softmax_cross_entropy",
                              "mean_squared_error"};

void check_init(const std::string& path, const InitOptions& init, Checker& check) {
  if (!check.given(path)) return;
  if (!check.required_case(
          path,
          {"fan_in_uniform", "kaiming_normal", "xavier_uniform", "normal", "uniform", "constant"},
          "kaiming_normal {}"))
    return;
  if (const auto* normal = std::get_if<NormalInit>(&init))
    check.above_zero(path + ".normal.stddev", normal->stddev);
  const auto* uniform = std::get_if<UniformInit>(&init);
  if (uniform == nullptr) return;
  const bool low = check.required(path + ".uniform.low", "low: -0.1");
  const bool high = check.required(path + ".uniform.high", "high: 0.1");
  if (low && high && !(uniform->low < uniform->high))
    check.error(path + ".uniform.high", "{}.uniform.high ({}) must be above low ({})", path,
                uniform->high, uniform->low);
}

// Checks the options of one layer's operation.
class OperationCheck {
 public:
  OperationCheck(std::string path, Checker& check) : path_(std::move(path)), check_(check) {}

  void operator()(std::monostate) {
    check_.required_case(path_, kOperations, "linear { outputs: 10 }");
  }
  void operator()(const LinearLayer& o) {
    enter("linear");
    check_.required_count(path_ + ".outputs", o.outputs, "outputs: 10");
    check_init(path_ + ".init", o.init, check_);
  }
  void operator()(const Conv2dLayer& o) {
    enter("conv2d");
    check_.required_count(path_ + ".outputs", o.outputs, "outputs: 16");
    if (check_.required(path_ + ".kernel", "kernel: 3")) pair("kernel", o.kernel_h, o.kernel_w, 1);
    pair("stride", o.op.stride_h, o.op.stride_w, 1);
    pair("pad", o.op.pad_h, o.op.pad_w, 0);
    pair("dilation", o.op.dilation_h, o.op.dilation_w, 1);
    if (check_.count(path_ + ".groups", o.op.groups) && o.outputs > 0 &&
        o.outputs % o.op.groups != 0)
      check_.error(path_ + ".groups",
                   "{0}.groups ({1}) must divide {0}.outputs ({2}); nearest: {3}", path_,
                   o.op.groups, o.outputs,
                   nearest_divisors(std::min(o.outputs, kMostOfAnything), o.op.groups));
    check_init(path_ + ".init", o.init, check_);
  }
  void operator()(const MaxPool2dLayer& o) { pool("max_pool2d", o.op); }
  void operator()(const AveragePool2dLayer& o) { pool("average_pool2d", o.op); }
  void operator()(const ReshapeLayer& o) {
    enter("reshape");
    const std::string dims = path_ + ".dims";
    if (!check_.required(dims, "dims: [7, 7, 16]")) return;
    constexpr size_t kMost = core::Shape::kMaxRank - 1;  // the batch is one more
    if (o.dims.empty() || o.dims.size() > kMost)
      return check_.error(dims, "{} expects 1 to {} dimensions, got {}", dims, kMost,
                          o.dims.size());
    for (int64_t d : o.dims)
      if (d != -1 && (d < 1 || d > kMostOfAnything))
        return check_.error(dims, "{} ({}) must be at least 1, or -1 for what is left", dims, d);
    if (std::count(o.dims.begin(), o.dims.end(), -1) > 1)
      check_.error(dims, "{} may hold one -1 at most", dims);
  }
  void operator()(const ScaleLayer&) {
    enter("scale");
    check_.required(path_ + ".factor", "factor: 0.5");
  }
  void operator()(const DropoutLayer& o) {
    enter("dropout");
    check_.below_one(path_ + ".probability", o.probability);
  }
  void operator()(const SoftmaxCrossEntropyLayer& o) {
    enter("softmax_cross_entropy");
    check_.below_one(path_ + ".label_smoothing", o.op.label_smoothing);
    check_.above_zero(path_ + ".weight", o.weight);
  }
  void operator()(const MeanSquaredErrorLayer& o) {
    enter("mean_squared_error");
    check_.above_zero(path_ + ".weight", o.weight);
  }
  template <typename Plain>
  void operator()(const Plain&) {}  // has no options

 private:
  void enter(const char* name) { path_ = join_path(path_, name); }

  // kernel, stride, pad and dilation: `low` and more, for one axis or two.
  void pair(const char* name, int64_t h, int64_t w, int64_t low) {
    const std::string path = join_path(path_, name);
    if (check_.given(path + "[2]"))
      return check_.error(path, "{} expects one value, or [height, width]", path);
    if (check_.count(path, h, low)) check_.count(path, w, low);
  }

  void pool(const char* name, const core::Pool2dOptions& o) {
    enter(name);
    pair("kernel", o.kernel_h, o.kernel_w, 1);
    if (check_.given(path_ + ".stride")) pair("stride", o.stride_h, o.stride_w, 1);
    pair("pad", o.pad_h, o.pad_w, 0);
    if (o.pad_h > o.kernel_h / 2 || o.pad_w > o.kernel_w / 2)
      check_.error(path_ + ".pad",
                   "{0}.pad ([{1}, {2}]) must be at most half of {0}.kernel "
                   "([{3}, {4}])",
                   path_, o.pad_h, o.pad_w, o.kernel_h, o.kernel_w);
  }

  std::string path_;
  Checker& check_;
};

// Checks names, inputs and uses over the whole list.
class LayerListCheck {
 public:
  LayerListCheck(const LayerList& layers, Checker& check) : layers_(layers), check_(check) {}

  void run() {
    for (size_t i = 0; i < layers_.size(); ++i) {
      check_name(i);
      check_inputs(i);
      std::visit(OperationCheck(path(i), check_), layers_[i].op);
      known_.push_back(layers_[i].name);
    }
    check_uses();
  }

 private:
  static std::string path(size_t i) { return fmt::format("model.layer[{}]", i); }

  void check_name(size_t i) {
    const std::string& name = layers_[i].name;
    const std::string field = path(i) + ".name";
    if (!check_.required(field, fmt::format("name: \"layer{}\"", i + 1))) return;
    const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) || c == '_' || c == '-' || c == '.';
    });
    if (name.empty() || !plain || name.size() > kMostOfName)
      check_.error(field, "{} ({}) may hold letters, digits and _ - . only, at most {}", field,
                   in_quotes(name), kMostOfName);
    else if (name == kDataInput)
      check_.error(field, "{} (\"data\") is the name of the network's input; choose another",
                   field);
    for (size_t j = 0; j < i; ++j)
      if (layers_[j].name == name && !name.empty())
        return check_.error(field, "{} ({}) is already the name of {}; choose another", field,
                            in_quotes(name), path(j));
  }

  void check_inputs(size_t i) {
    const LayerOptions& layer = layers_[i];
    if (std::holds_alternative<std::monostate>(layer.op)) return;
    const bool add = std::holds_alternative<AddLayer>(layer.op);
    if (add && layer.inputs.size() != 2)
      check_.error(path(i) + ".input",
                   "{} ({}) adds two inputs, got {}: name them, e.g. input: [\"a\", \"b\"]",
                   path(i), in_quotes(layer.name), layer.inputs.size());
    if (!add && layer.inputs.size() != 1)
      check_.error(path(i) + ".input",
                   "{} ({}) reads one input, got {}: put an add layer before it, or name one",
                   path(i), in_quotes(layer.name), layer.inputs.size());
    for (size_t k = 0; k < layer.inputs.size(); ++k)
      check_reference(i, fmt::format("{}.input[{}]", path(i), k), layer.inputs[k]);
    if (const auto* loss = std::get_if<MeanSquaredErrorLayer>(&layer.op))
      check_reference(i, path(i) + ".mean_squared_error.target", loss->target);
  }

  // `name` must be a layer before layer i that is no loss, or the data.
  void check_reference(size_t i, const std::string& field, const std::string& name) {
    used_.insert(name);
    if (name.empty() && !check_.given(field)) return;  // the layer before has no name: reported
    if (name == kDataInput) return;
    for (size_t j = 0; j < i; ++j) {
      if (layers_[j].name != name) continue;
      if (layers_[j].is_loss())
        check_.error(field, "{} reads {}, a loss; name the layer it should read: input: \"NAME\"",
                     path(i), in_quotes(name));
      return;
    }
    for (size_t j = i; j < layers_.size(); ++j)
      if (layers_[j].name == name)
        return check_.error(field, "{} ({}) must be an earlier layer; move {} up", field,
                            in_quotes(name), path(j));
    auto candidates = known_;
    candidates.push_back(kDataInput);
    used_.insert(closest(name, candidates));  // and not told of as unused
    check_.error(field, "{} ({}) is no layer before {}{}", field, in_quotes(name), path(i),
                 did_you_mean(name, candidates, "there are"));
  }

  void check_uses() {
    bool has_loss = false;
    for (size_t i = 0; i < layers_.size(); ++i) {
      const LayerOptions& layer = layers_[i];
      has_loss = has_loss || layer.is_loss() || std::holds_alternative<std::monostate>(layer.op);
      const bool last = i + 1 == layers_.size();
      if (layer.is_loss() || layer.name.empty() || used_.count(layer.name) != 0) continue;
      if (!last || has_loss)
        check_.error(path(i), "{} ({}) is read by no layer; remove it, or name it as an input",
                     path(i), in_quotes(layer.name));
    }
    if (!has_loss)
      check_.error("model.layer",
                   "model.layer has no loss: add e.g. layer {{ name: \"loss\" "
                   "softmax_cross_entropy {{}} }}");
  }

  const LayerList& layers_;
  Checker& check_;
  std::vector<std::string> known_;
  std::set<std::string> used_;
};

void check_mlp(const MlpOptions& mlp, Checker& check) {
  for (size_t i = 0; i < mlp.hidden.size(); ++i)
    check.count(fmt::format("model.mlp.hidden[{}]", i), mlp.hidden[i]);
  check.below_one("model.mlp.dropout", mlp.dropout);
  check.count("model.mlp.classes", mlp.classes);
  check_init("model.mlp.init", mlp.init, check);
}

// A deeper network would be built, block by block, before anything could refuse it.
constexpr int64_t kMostLayers = 10000;

// The fields that gpt and llama share: each given, or of a preset, and such that they fit together.
class LanguageCheck {
 public:
  LanguageCheck(std::string path, bool preset, Checker& check)
      : path_(std::move(path)), preset_(preset), check_(check) {}

  bool size(const char* name, int64_t value, const char* example) {
    const std::string field = join_path(path_, name);
    if (!preset_ && !check_.required(field, fmt::format("{}: {}", name, example))) return false;
    return check_.count(field, value);
  }
  void layers(int64_t value) {
    if (size("layers", value, "12") && value > kMostLayers)
      check_.error(path_ + ".layers", "{}.layers ({}) must be at most {}", path_, value,
                   kMostLayers);
  }
  // `part` of them must divide `whole` of them.
  void divides(const char* part, int64_t parts, const char* whole, int64_t all) {
    if (parts < 1 || all < 1 || all > kMostOfAnything || all % parts == 0) return;
    check_.error(join_path(path_, part), "{0}.{1} ({2}) must divide {0}.{3} ({4}); nearest: {5}",
                 path_, part, parts, whole, all, nearest_divisors(all, parts));
  }

 private:
  std::string path_;
  bool preset_;
  Checker& check_;
};

void check_gpt(const GptOptions& gpt, Checker& check) {
  const bool preset = gpt.preset != GptPreset::kNone;
  LanguageCheck language("model.gpt", preset, check);
  language.layers(gpt.layers);
  const bool width = language.size("width", gpt.width, "768");
  if (language.size("heads", gpt.heads, "12") && width)
    language.divides("heads", gpt.heads, "width", gpt.width);
  language.size("context", gpt.context, "1024");
  language.size("vocabulary", gpt.vocabulary, "50257");
  check.count("model.gpt.hidden", gpt.hidden, 0);
  check.below_one("model.gpt.dropout", gpt.dropout);
  check.above_zero("model.gpt.epsilon", gpt.epsilon);
}

void check_llama(const LlamaOptions& llama, Checker& check) {
  LanguageCheck language("model.llama", false, check);
  language.layers(llama.layers);
  const bool width = language.size("width", llama.width, "768");
  const bool heads = language.size("heads", llama.heads, "12");
  if (heads && width) language.divides("heads", llama.heads, "width", llama.width);
  if (heads && width && llama.width % llama.heads == 0 && llama.width / llama.heads % 2 != 0)
    check.error("model.llama.heads",
                "model.llama.heads ({}) leaves {} elements a head; rotary positions turn pairs, so "
                "it must be an even number",
                llama.heads, llama.width / llama.heads);
  if (check.count("model.llama.kv_heads", llama.kv_heads, 0) && heads && llama.kv_heads > 0)
    language.divides("kv_heads", llama.kv_heads, "heads", llama.heads);
  language.size("hidden", llama.hidden, "2048");
  language.size("context", llama.context, "1024");
  language.size("vocabulary", llama.vocabulary, "32000");
  if (!(llama.theta >= 1))
    check.error("model.llama.theta", "model.llama.theta ({}) must be at least 1", llama.theta);
  check.above_zero("model.llama.epsilon", llama.epsilon);
}

}  // namespace

void validate_model(const ModelOptions& model, Checker& check) {
  if (!check.required("model", "model { lenet5 {} }")) return;
  if (!check.required_case("model", {"mlp", "lenet5", "gpt", "llama", "custom", "layer"},
                           "lenet5 {}"))
    return;
  if (const auto* mlp = std::get_if<MlpOptions>(&model.network)) check_mlp(*mlp, check);
  if (const auto* layers = std::get_if<LayerList>(&model.network))
    LayerListCheck(*layers, check).run();
  if (const auto* lenet5 = std::get_if<Lenet5Options>(&model.network)) {
    check.count("model.lenet5.classes", lenet5->classes);
    check_init("model.lenet5.init", lenet5->init, check);
  }
  if (const auto* gpt = std::get_if<GptOptions>(&model.network)) check_gpt(*gpt, check);
  if (const auto* llama = std::get_if<LlamaOptions>(&model.network)) check_llama(*llama, check);
  if (const auto* custom = std::get_if<CustomModelOptions>(&model.network))
    check_custom("model.custom", custom->name, custom->parameters.size(), check);
}

void connect_layers(ModelOptions& model) {
  auto* layers = std::get_if<LayerList>(&model.network);
  if (layers == nullptr) return;
  for (size_t i = 0; i < layers->size(); ++i)
    if ((*layers)[i].inputs.empty())
      (*layers)[i].inputs = {i == 0 ? kDataInput : (*layers)[i - 1].name};
}

}  // namespace trireme::launcher
