# trireme_lazy_library(NAME LIBRARY) makes the target trireme_NAME that stands for the shared
# LIBRARY and opens it at the first call (cmake/lazy/lazy_library.cc says why). Its functions are
# read from LIBRARY at configure time: those whose names open with NAME's letters.
#
# Off x86-64, where there are no trampolines, the target links LIBRARY itself.
function(trireme_lazy_library name library)
  if(NOT CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
    add_library(trireme_${name} INTERFACE)
    target_link_libraries(trireme_${name} INTERFACE ${library})
    return()
  endif()
  execute_process(COMMAND ${CMAKE_NM} -D --defined-only ${library}
    OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL " [TW] ${name}[A-Z][A-Za-z0-9_]*" functions "${symbols}")
  list(TRANSFORM functions REPLACE "^ [TW] " "")
  list(LENGTH functions LAZY_COUNT)
  if(LAZY_COUNT EQUAL 0)
    message(FATAL_ERROR "${library} exports no ${name}* function")
  endif()
  execute_process(COMMAND ${CMAKE_READELF} -d ${library}
    OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCH "soname: \\[([^]]+)\\]" unused "${dynamic}")
  set(LAZY_SONAME ${CMAKE_MATCH_1})
  cmake_path(GET library PARENT_PATH folder)

  set(LAZY_NAME ${name})
  set(LAZY_FUNCTIONS)
  set(index 0)
  foreach(function ${functions})
    string(APPEND LAZY_FUNCTIONS "    lazy_function ${function}, ${index}\n")
    math(EXPR index "${index} + 1")
  endforeach()
  set(source ${CMAKE_CURRENT_BINARY_DIR}/lazy/${name}.S)
  configure_file(${CMAKE_CURRENT_FUNCTION_LIST_DIR}/lazy/trampolines.S.in ${source} @ONLY)

  add_library(trireme_${name} STATIC
    ${source} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/lazy/lazy_library.cc)
  target_compile_definitions(trireme_${name} PRIVATE LAZY_NAME=${name}
    LAZY_SONAME="${LAZY_SONAME}" LAZY_BUILT_AGAINST="${folder}/${LAZY_SONAME}")
  target_link_libraries(trireme_${name} PUBLIC ${CMAKE_DL_LIBS} PRIVATE $<BUILD_INTERFACE:trireme_flags>)
endfunction()
