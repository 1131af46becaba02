# The control plane of real processes: killed, stopped, orphaned.
target_sources(comm_tests PRIVATE comm/control/fake_job.cc)
target_link_libraries(comm_tests PRIVATE nlohmann_json::nlohmann_json)

add_executable(control_suite comm/control/control_suite.cc)
target_link_libraries(control_suite PRIVATE trireme_comm $<BUILD_INTERFACE:trireme_flags>)
set_target_properties(control_suite PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)

foreach(how "kill;2" "kill;0" "stop;2" "stop;0" "fail;0" "orphan;0" "quiet;0")
  list(GET how 0 mode)
  list(GET how 1 rank)
  add_test(NAME comm_mpi_control_${mode}_${rank}
    COMMAND ${CMAKE_COMMAND} -E env ${trireme_mpi_environment} OMPI_MCA_orte_execute_quiet=1
      ${CMAKE_CURRENT_SOURCE_DIR}/comm/control/control_failures.sh ${mode} ${rank}
      $<TARGET_FILE:control_suite> ${MPIEXEC_EXECUTABLE})
  set_tests_properties(comm_mpi_control_${mode}_${rank} PROPERTIES TIMEOUT 120)
endforeach()
