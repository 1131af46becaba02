// Heads dealt out to CPU threads, each with its part of the workspace.
#pragma once

#include <algorithm>
#include <cstddef>

#include "core/cpu/parallel.h"
#include "core/ops/attention_shape.h"

namespace trireme::core {

// Calls body(task, part of the workspace) for tasks 0 .. tasks - 1, on up to `threads` threads.
// `workspace` holds min(tasks, kMostAttentionWorkers) parts.
template <typename Body>
void for_each_head(int threads, int64_t tasks, void* workspace, int64_t part_bytes,
                   const Body& body) {
  const int64_t workers = std::min<int64_t>({threads, tasks, kMostAttentionWorkers});
  parallel_for(static_cast<int>(workers), workers, 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker)
      for (int64_t task = tasks * worker / workers; task < tasks * (worker + 1) / workers; ++task)
        body(task, static_cast<std::byte*>(workspace) + worker * part_bytes);
  });
}

}  // namespace trireme::core
