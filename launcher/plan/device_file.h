// Device models as files: JSON, written by `doctor --measure` and by hand.
#pragma once

#include <string>

#include "core/sim/device_model.h"

namespace trireme::launcher {

std::string device_json(const core::DeviceModel& device);

// The known device of that name, or the model in the file of that path. Throws InvalidArgument that
// names the field if the file cannot be read as one.
core::DeviceModel load_device(const std::string& name_or_path);

}  // namespace trireme::launcher
