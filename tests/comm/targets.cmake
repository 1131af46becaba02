# Cases shared by every transport.
target_sources(comm_tests PRIVATE comm/suite.cc)

# The same cases over real MPI. A distributed test that cannot start fails.
add_executable(mpi_suite comm/mpi_suite.cc comm/mpi_timing.cc comm/suite.cc)
target_link_libraries(mpi_suite PRIVATE trireme_comm MPI::MPI_CXX $<BUILD_INTERFACE:trireme_flags>)
target_compile_definitions(mpi_suite PRIVATE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
set_target_properties(mpi_suite PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)

# Open MPI as root and with more ranks than cores; other libraries ignore these.
set(trireme_mpi_environment
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_pml=ob1
  OMPI_MCA_btl=self,vader,tcp OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo
  OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
  OMPI_MCA_mpi_yield_when_idle=1)

# trireme_mpi_test(NAME RANKS COMMAND...): COMMAND under mpirun.
function(trireme_mpi_test name ranks)
  add_test(NAME ${name} COMMAND ${MPIEXEC_EXECUTABLE} -np ${ranks} ${ARGN})
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "${trireme_mpi_environment}" TIMEOUT 300)
endfunction()

foreach(ranks 1 2 3 4)
  trireme_mpi_test(comm_mpi_${ranks} ${ranks} $<TARGET_FILE:mpi_suite> --expect ${ranks})
endforeach()
trireme_mpi_test(comm_mpi_pieces 3 $<TARGET_FILE:mpi_suite> --expect 3 --pieces)

# A rank that fails ends the job, with its code, and a launch that is none says so.
foreach(mode abort throw launch)
  add_test(NAME comm_mpi_${mode} COMMAND ${CMAKE_COMMAND} -E env ${trireme_mpi_environment}
    ${CMAKE_CURRENT_SOURCE_DIR}/comm/mpi_failures.sh ${mode} $<TARGET_FILE:mpi_suite>
    ${MPIEXEC_EXECUTABLE})
  set_tests_properties(comm_mpi_${mode} PROPERTIES TIMEOUT 120)
endforeach()

# The same cases over real NCCL, for a machine with a GPU (bench/gpu_suite.sh runs it).
if(TRIREME_WITH_CUDA)
  add_executable(nccl_suite comm/nccl_suite.cc comm/suite.cc)
  target_link_libraries(nccl_suite PRIVATE trireme_comm $<BUILD_INTERFACE:trireme_flags>)
  set_target_properties(nccl_suite PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endif()

include(${CMAKE_CURRENT_LIST_DIR}/control/targets.cmake)
