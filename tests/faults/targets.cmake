# What the fault campaign needs: libraries to preload and programs that get stuck.
foreach(shim inject clock)
  add_library(fault_${shim} SHARED ${CMAKE_CURRENT_LIST_DIR}/${shim}.cc)
  target_compile_features(fault_${shim} PRIVATE cxx_std_20)
  target_compile_options(fault_${shim} PRIVATE -Wall -Wextra -Werror)
  target_link_libraries(fault_${shim} PRIVATE ${CMAKE_DL_LIBS})
  set_target_properties(fault_${shim} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endforeach()
foreach(program stuck_trainer checkpoint_judge)
  add_executable(${program} ${CMAKE_CURRENT_LIST_DIR}/${program}.cc)
  target_link_libraries(${program} PRIVATE trireme_launcher $<BUILD_INTERFACE:trireme_flags>)
  set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endforeach()

# The short set. Not under sanitizers, beside whose run time a preloaded library comes first.
if(NOT TRIREME_SANITIZE)
  add_test(NAME faults COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/campaign.py --short
    --build ${PROJECT_BINARY_DIR} --mpiexec ${MPIEXEC_EXECUTABLE} --seed 1)
  set_tests_properties(faults PROPERTIES TIMEOUT 400 RUN_SERIAL TRUE
    ENVIRONMENT "${trireme_mpi_environment};OMPI_MCA_orte_execute_quiet=1;OMP_NUM_THREADS=1")
endif()
