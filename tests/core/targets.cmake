# Tests that call the CUDA runtime themselves.
if(TRIREME_WITH_CUDA)
  target_sources(core_tests PRIVATE ${CMAKE_CURRENT_LIST_DIR}/cuda/capture.cc)
  target_link_libraries(core_tests PRIVATE Trireme::cuda)
endif()
