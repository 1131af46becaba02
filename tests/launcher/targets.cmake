# Tests read schemas through protobuf's descriptors, and compute checksums of their own.
if(TARGET launcher_tests)
  target_link_libraries(launcher_tests PRIVATE protobuf::libprotobuf xxHash::xxhash)
endif()

# A script that runs the binary itself, alone and under a real mpirun.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
function(trireme_launch_test name script)
  add_test(NAME ${name} COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/launcher/${script}
    $<TARGET_FILE:trireme> ${MPIEXEC_EXECUTABLE})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300
    ENVIRONMENT "${trireme_mpi_environment};OMPI_MCA_orte_execute_quiet=1;OMP_NUM_THREADS=1")
endfunction()

trireme_launch_test(train_mpirun train/mpirun_train_test.py)
trireme_launch_test(resume_mpirun train/resume_test.py)
trireme_launch_test(layouts_mpirun train/layouts_mpirun_test.py)
trireme_launch_test(determinism_mpirun train/determinism_mpirun_test.py)
trireme_launch_test(initial_parameters train/initial_test.py)
trireme_launch_test(moving_average train/average_test.py)
trireme_launch_test(bad_input cli/bad_input_test.py)
trireme_launch_test(language generate/language_test.py)
