# The golden files travel inside the test binary, which also runs where there are no sources.
foreach(name ops optim language language_bf16)
  set(golden ${CMAKE_CURRENT_SOURCE_DIR}/goldens/${name}.json)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${golden})
  file(READ ${golden} text)
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/goldens/${name}.inc
    CONTENT "R\"golden(@text@)golden\"" @ONLY)
endforeach()
target_include_directories(trireme_test_support PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/goldens)
target_link_libraries(trireme_test_support PRIVATE nlohmann_json::nlohmann_json)
