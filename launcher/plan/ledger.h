// Every byte that a rank's session will allocate, by arena, from its plan alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/runtime/session.h"
#include "parallel/mesh.h"

namespace trireme::launcher {

struct LedgerLine {
  std::string what;  // "moments"
  int64_t bytes = 0;
};

// In a fixed order, the same lines on every rank, those of 0 bytes included; together
// Session::arena_bytes().
struct Ledger {
  std::vector<LedgerLine> lines;
  int64_t total() const;
};

Ledger ledger_of(const core::SessionPlan& plan, core::DeviceKind device);

// What the process takes besides: the loaders' batches; the copy of the state that checkpoints are
// written from, which the data ranks share; and, on CPUs, what MPI's reductions take while they
// run: as much as the largest of them has, and a reduce_scatter's result once more.
Ledger host_ledger_of(const core::SessionPlan& plan, const parallel::Mesh& mesh,
                      core::DeviceKind device);

}  // namespace trireme::launcher
