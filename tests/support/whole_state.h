// A session's flat state as whole tensors, put together from what ranks hold.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/runtime/session.h"

namespace trireme::test {

using Tensors = std::map<std::string, std::vector<float>>;

// Puts what the session holds of every parameter's elements of a buffer into their places. Called
// for each rank in turn it completes `tensors`; where several hold an element they must agree, bit
// for bit, else this throws.
void assemble(const core::Session& session, core::StateBuffer buffer, Tensors& tensors);

}  // namespace trireme::test
