#include <fmt/format.h>

#include <set>

#include "launcher/cli/commands.h"
#include "launcher/job/load.h"
#include "launcher/train/data_shapes.h"
#include "launcher/train/training_plan.h"

namespace trireme::launcher {
namespace {

struct Row {
  std::string layer, type, output;
  int64_t parameters = 0;
  int64_t flops = 0;
};

// A parameter that several layers share counts at the first of them, which `counted` remembers.
Row row_of(const core::Graph& graph, const core::Node& node, std::set<core::ValueId>& counted) {
  Row row{.layer = node.name, .type = std::string(node.op->type())};
  row.output = graph.type(node.outputs.front()).shape.str();
  for (core::ValueId id : node.inputs)
    if (id != core::kNoValue && graph.value(id).role == core::Role::kParameter &&
        counted.insert(id).second)
      row.parameters += graph.type(id).elements();
  const std::vector<core::ValueType> inputs = graph.input_types(node);
  const std::vector<core::ValueType> outputs = graph.output_types(node);
  row.flops = node.op->cost({inputs, outputs}).flops;
  return row;
}

void print_parameters(const core::Graph& graph) {
  fmt::print("\n{:<28} {:<20} {:>14}\n", "parameter", "shape", "elements");
  for (core::ValueId id : graph.with_role(core::Role::kParameter)) {
    const core::Value& value = graph.value(id);
    fmt::print("{:<28} {:<20} {:>14}\n", value.name, value.type.shape.str(), value.type.elements());
  }
}

}  // namespace

void print_summary(const JobArguments& arguments, const Extensions& extensions) {
  const LoadedJob job = load_job(arguments.job, arguments.sets);
  const DataShapes data = inspect_data(job.options.data, extensions.datasets);
  const core::Graph graph = build_graph(job.options, data, 1, true, extensions.models);
  fmt::print("{}: one sample {} of {} classes\n\n", job.options.name, data.sample.str(),
             data.classes);
  fmt::print("{:<20} {:<24} {:<20} {:>12} {:>14}\n", "layer", "type", "output", "parameters",
             "flops forward");
  Row total;
  std::set<core::ValueId> counted;
  for (const core::Node& node : graph.nodes()) {
    const Row row = row_of(graph, node, counted);
    fmt::print("{:<20} {:<24} {:<20} {:>12} {:>14}\n", row.layer, row.type, row.output,
               row.parameters, row.flops);
    total.parameters += row.parameters;
    total.flops += row.flops;
  }
  fmt::print("{:<20} {:<24} {:<20} {:>12} {:>14}\n", "total", "", "", total.parameters,
             total.flops);
  print_parameters(graph);
}

}  // namespace trireme::launcher
