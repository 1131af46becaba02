#include "core/base/error.h"

namespace trireme {
namespace {

// "core/base/error.cc:12", without the folders of the machine that compiled it.
std::string place(const std::source_location& where) {
  std::string_view file = where.file_name();
#ifdef TRIREME_SOURCE_ROOT
  constexpr std::string_view root = TRIREME_SOURCE_ROOT "/";
  if (file.starts_with(root)) file.remove_prefix(root.size());
#endif
  return fmt::format("{}:{}", file, where.line());
}

}  // namespace

SystemError::SystemError(const std::string& message, std::source_location where)
    : Error(fmt::format("{} ({})", message, place(where)), ExitCode::kInternal) {}

void ensure(bool holds, std::string_view what, std::source_location where) {
  if (!holds) throw SystemError(fmt::format("internal error: {}", what), where);
}

}  // namespace trireme
