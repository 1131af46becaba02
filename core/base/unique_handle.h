// One template owns every C handle.
#pragma once

#include <memory>
#include <type_traits>

namespace trireme::core {

template <typename Handle, auto Destroy>
struct HandleDeleter {
  void operator()(Handle handle) const noexcept { (void)Destroy(handle); }
};

template <typename Handle, auto Destroy>
using UniqueHandle = std::unique_ptr<std::remove_pointer_t<Handle>, HandleDeleter<Handle, Destroy>>;

}  // namespace trireme::core
