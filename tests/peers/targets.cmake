# What tests/peers.sh asks our models with.
add_executable(print_logits ${CMAKE_CURRENT_LIST_DIR}/print_logits.cc)
target_link_libraries(print_logits PRIVATE trireme_launcher $<BUILD_INTERFACE:trireme_flags>)
set_target_properties(print_logits PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
