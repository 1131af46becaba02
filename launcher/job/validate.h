// What a job that parses must also fulfil: ranges, names, files, what this version can do.
#pragma once

#include "launcher/job/diagnostics.h"
#include "launcher/job/options.h"

namespace trireme::launcher {

class Checker;
enum class DataFiles : uint8_t { kMustExist, kIgnored };

// Reports every breach at its field's place. Looks for data files, but does not read them.
void validate(const JobOptions& options, Diagnostics& diagnostics,
              DataFiles files = DataFiles::kMustExist);

void validate_model(const models::ModelOptions& model, Checker& check);
void validate_data(const DataOptions& data, Checker& check);

// Of what an outside project brings: a name, and parameters of different keys.
void check_custom(const std::string& path, const std::string& name, size_t parameters,
                  Checker& check);

// Gives layers without inputs the layer before them, the first one the data.
void connect_layers(models::ModelOptions& model);

}  // namespace trireme::launcher
