// The fields of what an outside project brings, a model or a dataset: its name and its parameters.
#pragma once

#include <string>
#include <vector>

namespace trireme::launcher {

struct Parameter {
  std::string key, value;
};

template <typename Io, typename Options>
void bind_custom(Io& io, Options& o) {
  io("name", o.name);
  std::vector<Parameter> parameters;
  for (const auto& [key, value] : o.parameters) parameters.push_back({key, value});
  io.messages("parameter", parameters, [](auto& fields, Parameter& parameter) {
    fields("key", parameter.key);
    fields("value", parameter.value);
  });
  for (const Parameter& parameter : parameters) o.parameters[parameter.key] = parameter.value;
}

}  // namespace trireme::launcher
