#include "comm/launch.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "core/base/error.h"

namespace trireme::comm {
namespace {

int number(const Environment& environment, const char* name, int otherwise) {
  const char* text = environment(name);
  if (text == nullptr) return otherwise;
  const std::string_view view = text;
  int value = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
  if (error != std::errc() || end != view.data() + view.size() || value < 0)
    fail("[launch] {} is '{}', not a number; unset it, or start with mpirun or srun", name, view);
  return value;
}

bool has(const Environment& environment, const char* name) { return environment(name) != nullptr; }

// Both must be there: one of them alone was left behind by somebody else.
bool has(const Environment& environment, const char* rank, const char* size) {
  return has(environment, rank) && has(environment, size);
}

Launch pair(const Environment& environment, const char* launcher, const char* rank,
            const char* size) {
  return {launcher, number(environment, rank, 0), number(environment, size, 1), true};
}

// Tasks of one step of srun. SLURM_STEP_NUM_TASKS is set in steps alone; SLURM_NTASKS and
// SLURM_PROCID also in batch scripts. `salloc` may run its shell as a step, of one task.
Launch slurm_step(const Environment& environment, bool pmix) {
  Launch launch = pair(environment, "srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS");
  launch.has_pmi = pmix || has(environment, "PMI_FD") || has(environment, "PALS_RANKID");
  return launch;
}

}  // namespace

Launch detect_launch(const Environment& environment) {
  // mpirun first: inside a Slurm job it starts ranks from a step of its own daemons.
  if (has(environment, "OMPI_COMM_WORLD_SIZE"))
    return pair(environment, "mpirun (Open MPI)", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE");
  if (has(environment, "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"))
    return pair(environment, "mpirun (MVAPICH2)", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE");
  const bool pmix = has(environment, "PMIX_RANK");
  // Before Slurm's own variables: mpiexec may have started its proxies, but not the ranks, by srun.
  if (has(environment, "PMI_RANK", "PMI_SIZE"))
    return pair(environment, "mpiexec (PMI)", "PMI_RANK", "PMI_SIZE");
  if (has(environment, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"))
    if (const Launch step = slurm_step(environment, pmix); step.size > 1) return step;
  if (pmix) return {"a PMIx launcher", number(environment, "PMIX_RANK", 0), 0, true};
  return {};
}

Launch detect_launch() {
  return detect_launch([](const char* name) -> const char* { return std::getenv(name); });
}

void check_pmi(const Launch& launch, const std::string& library) {
  if (launch.size <= 1 || launch.has_pmi) return;
  fail(
      "[launch] srun started {} tasks that cannot find each other: {} needs `srun --mpi=pmix` or "
      "`--mpi=pmi2` (`srun --mpi=list` shows what this cluster has), or mpirun inside the job",
      launch.size, library);
}

void check_found(const Launch& launch, int found, const std::string& library) {
  if (launch.size == 0 || launch.size == found) return;
  if (launch.launcher == "srun")
    fail(
        "[launch] srun started {} tasks, but MPI found {}: {} needs `srun --mpi=pmix` or "
        "`--mpi=pmi2` (`srun --mpi=list` shows what this cluster has), or mpirun inside the job",
        launch.size, found, library);
  fail(
      "[launch] {} started {} ranks, but MPI found {}: this build uses {}, start it with that "
      "library's own mpirun",
      launch.launcher, launch.size, found, library);
}

}  // namespace trireme::comm
