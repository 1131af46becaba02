#include "comm/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/base/error.h"

namespace trireme::comm {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

using Variables = std::map<std::string, std::string>;

Launch detect(const Variables& variables) {
  return detect_launch([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

void expect_launch(const Variables& variables, const std::string& launcher, int rank, int size) {
  const Launch launch = detect(variables);
  EXPECT_EQ(launch.launcher, launcher);
  EXPECT_EQ(launch.rank, rank);
  EXPECT_EQ(launch.size, size);
}

TEST(Launch, PlainShellIsOneRankWithoutMpi) {
  expect_launch({}, "", 0, 1);
  EXPECT_FALSE(detect({}).needs_mpi());
}

TEST(Launch, Mpiruns) {
  expect_launch({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "2"}}, "mpirun (Open MPI)",
                2, 4);
  expect_launch({{"PMI_SIZE", "3"}, {"PMI_RANK", "1"}}, "mpiexec (PMI)", 1, 3);
  expect_launch({{"MV2_COMM_WORLD_SIZE", "8"}, {"MV2_COMM_WORLD_RANK", "7"}}, "mpirun (MVAPICH2)",
                7, 8);
  EXPECT_TRUE(detect({{"PMIX_RANK", "1"}}).needs_mpi());
}

TEST(Launch, MpirunInsideSlurmCountsItsOwnRanks) {
  const Variables step = {{"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}};
  Variables variables = step;
  variables.insert({{"OMPI_COMM_WORLD_SIZE", "8"}, {"OMPI_COMM_WORLD_RANK", "5"}});
  expect_launch(variables, "mpirun (Open MPI)", 5, 8);
  variables = step;
  variables.insert({{"PMI_SIZE", "8"}, {"PMI_RANK", "5"}});
  expect_launch(variables, "mpiexec (PMI)", 5, 8);
}

TEST(Launch, SrunStepOfSeveralTasks) {
  Variables variables = {{"SLURM_PROCID", "3"},
                         {"SLURM_STEP_NUM_TASKS", "4"},
                         {"SLURM_STEP_ID", "0"},
                         {"SLURM_NTASKS", "4"}};
  expect_launch(variables, "srun", 3, 4);
  EXPECT_FALSE(detect(variables).has_pmi);
  variables["PMIX_RANK"] = "3";
  expect_launch(variables, "srun", 3, 4);
  EXPECT_TRUE(detect(variables).has_pmi);
}

TEST(Launch, BatchScriptAndAllocationAreNoLaunch) {
  expect_launch({{"SLURM_NTASKS", "4"}, {"SLURM_JOB_ID", "7"}}, "", 0, 1);  // salloc's shell
  expect_launch({{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}, {"SLURM_LOCALID", "0"}}, "", 0,
                1);  // sbatch
  expect_launch({{"SLURM_NTASKS", "4"},
                 {"SLURM_PROCID", "0"},
                 {"SLURM_STEP_ID", "4294967290"},
                 {"SLURM_STEP_NUM_TASKS", "1"}},
                "", 0, 1);  // salloc whose shell is a step
}

TEST(Launch, VariablesThatAreNoNumbersAreNamed) {
  EXPECT_THAT(
      [] {
        detect({{"OMPI_COMM_WORLD_SIZE", "four"}});
      },
      ThrowsMessage<InvalidArgument>(HasSubstr("OMPI_COMM_WORLD_SIZE is 'four'")));
}

TEST(Launch, RanksThatDoNotFindEachOtherAreAnError) {
  const Launch mpirun = detect({{"PMI_SIZE", "4"}, {"PMI_RANK", "0"}});
  EXPECT_NO_THROW(check_found(mpirun, 4, "Open MPI v4"));
  EXPECT_THAT([&] { check_found(mpirun, 1, "Open MPI v4"); },
              ThrowsMessage<InvalidArgument>(
                  HasSubstr("started 4 ranks, but MPI found 1: this build uses Open MPI v4")));
  const Launch srun = detect({{"SLURM_PROCID", "3"}, {"SLURM_STEP_NUM_TASKS", "4"}});
  EXPECT_THAT([&] { check_pmi(srun, "Open MPI v4"); },
              ThrowsMessage<InvalidArgument>(HasSubstr("srun --mpi=pmix")));
  EXPECT_THAT([&] { check_found(srun, 1, "Open MPI v4"); },
              ThrowsMessage<InvalidArgument>(HasSubstr("srun --mpi=pmix")));
}

}  // namespace
}  // namespace trireme::comm
