# The schema's tests read its comments through protobuf's descriptors.
if(TARGET launcher_tests)
  target_link_libraries(launcher_tests PRIVATE protobuf::libprotobuf)
endif()
