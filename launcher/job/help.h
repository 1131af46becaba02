// What `trireme help [FIELD.PATH]` prints: the job's fields, their types, defaults and comments.
#pragma once

#include <string>
#include <string_view>

namespace trireme::launcher {

// The help of a field or message, by its path ("train", "model.layer.conv2d.kernel"; elements of
// lists need no index); of the whole job for an empty path.
// Throws InvalidArgument with what was probably meant if there is no such field.
std::string help(std::string_view path = {});

}  // namespace trireme::launcher
