# Read by tests/peers/*.py, against Hugging Face transformers: tests/peers.sh.
foreach(program print_logits print_tokens)
  add_executable(${program} ${CMAKE_CURRENT_LIST_DIR}/${program}.cc)
  target_link_libraries(${program} PRIVATE trireme_launcher $<BUILD_INTERFACE:trireme_flags>)
  set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endforeach()
