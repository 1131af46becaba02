# The schema's tests read its comments through protobuf's descriptors.
if(TARGET launcher_tests)
  target_link_libraries(launcher_tests PRIVATE protobuf::libprotobuf)
endif()

# The binary itself, under a real mpirun.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME train_mpirun COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_SOURCE_DIR}/launcher/train/mpirun_train_test.py $<TARGET_FILE:trireme> ${MPIEXEC_EXECUTABLE})
set_tests_properties(train_mpirun PROPERTIES TIMEOUT 300
  ENVIRONMENT "${trireme_mpi_environment};OMPI_MCA_orte_execute_quiet=1;OMP_NUM_THREADS=1")
add_test(NAME resume_mpirun COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_SOURCE_DIR}/launcher/train/resume_test.py $<TARGET_FILE:trireme> ${MPIEXEC_EXECUTABLE})
set_tests_properties(resume_mpirun PROPERTIES TIMEOUT 300
  ENVIRONMENT "${trireme_mpi_environment};OMPI_MCA_orte_execute_quiet=1;OMP_NUM_THREADS=1")
