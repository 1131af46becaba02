// Who started this process, and as which of how many ranks: read from the environment alone, before
// any MPI call.
#pragma once

#include <functional>
#include <string>

namespace trireme::comm {

struct Launch {
  std::string launcher;  // "mpirun (Open MPI)", "srun"; empty if nobody launched this process
  int rank = 0;
  int size = 1;         // 0: the launcher does not say (PMIx outside Slurm)
  bool has_pmi = true;  // false: a Slurm step whose tasks cannot find each other

  bool launched() const { return !launcher.empty(); }
  bool needs_mpi() const { return launched() && size != 1; }
};

using Environment = std::function<const char*(const char* name)>;  // null: not set

// A batch script and an interactive allocation (salloc) are no launch, though Slurm sets
// SLURM_NTASKS and, in the batch script, SLURM_PROCID there: only steps of srun with several tasks
// are.
//
// Throws InvalidArgument if a variable of a launcher is not a number.
Launch detect_launch(const Environment& environment);
Launch detect_launch();  // of this process

// Throws InvalidArgument, with what to do, where `size` ranks were asked for and each process would
// run on its own. `library`: mpi_library(); `found`: the ranks that MPI found.
void check_pmi(const Launch& launch, const std::string& library);
void check_found(const Launch& launch, int found, const std::string& library);

}  // namespace trireme::comm
