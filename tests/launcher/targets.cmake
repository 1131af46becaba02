# Tests read schemas through protobuf's descriptors, and compute checksums of their own.
if(TARGET launcher_tests)
  target_link_libraries(launcher_tests PRIVATE protobuf::libprotobuf xxHash::xxhash)
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

# The binary itself, on language.
add_test(NAME language COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_SOURCE_DIR}/launcher/generate/language_test.py $<TARGET_FILE:trireme>)
set_tests_properties(language PROPERTIES TIMEOUT 300 ENVIRONMENT "OMP_NUM_THREADS=1")
add_test(NAME layouts_mpirun COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_SOURCE_DIR}/launcher/train/layouts_mpirun_test.py $<TARGET_FILE:trireme> ${MPIEXEC_EXECUTABLE})
set_tests_properties(layouts_mpirun PROPERTIES TIMEOUT 300
  ENVIRONMENT "${trireme_mpi_environment};OMPI_MCA_orte_execute_quiet=1;OMP_NUM_THREADS=1")
add_test(NAME bad_input COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_SOURCE_DIR}/launcher/cli/bad_input_test.py $<TARGET_FILE:trireme> ${MPIEXEC_EXECUTABLE})
set_tests_properties(bad_input PROPERTIES TIMEOUT 300
  ENVIRONMENT "${trireme_mpi_environment};OMPI_MCA_orte_execute_quiet=1;OMP_NUM_THREADS=1")
add_test(NAME initial_parameters COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_SOURCE_DIR}/launcher/train/initial_test.py $<TARGET_FILE:trireme> ${MPIEXEC_EXECUTABLE})
set_tests_properties(initial_parameters PROPERTIES TIMEOUT 300
  ENVIRONMENT "${trireme_mpi_environment};OMPI_MCA_orte_execute_quiet=1;OMP_NUM_THREADS=1")
add_test(NAME determinism_mpirun COMMAND ${Python3_EXECUTABLE}
  ${CMAKE_CURRENT_SOURCE_DIR}/launcher/train/determinism_mpirun_test.py $<TARGET_FILE:trireme> ${MPIEXEC_EXECUTABLE})
set_tests_properties(determinism_mpirun PROPERTIES TIMEOUT 300
  ENVIRONMENT "${trireme_mpi_environment};OMPI_MCA_orte_execute_quiet=1;OMP_NUM_THREADS=1")
