# Language, warnings and the helper that makes one library a folder.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(TRIREME_CCACHE ccache)
if(TRIREME_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${TRIREME_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${TRIREME_CCACHE})
endif()

add_library(trireme_flags INTERFACE)
# Designated initialisers leave the other members at their defaults on purpose.
# No contraction into fma unless the source says so: the same bits from every instruction set.
# Nobody reads errno or traps after mathematics, and a loop with sqrt only vectorises without.
target_compile_options(trireme_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Werror -Wno-missing-field-initializers -ffp-contract=off
    -fno-math-errno -fno-trapping-math>
  # A register that spills is a warning of ptxas, so an error.
  $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings -Xptxas=--warn-on-spills --fmad=false
    -Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers>)
# gcc 13 sees accesses out of bounds in fmt 9's own tables, where there are none.
target_compile_options(trireme_flags INTERFACE
  $<$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<VERSION_GREATER_EQUAL:$<CXX_COMPILER_VERSION>,13>>:-Wno-array-bounds;-Wno-stringop-overflow>)
target_include_directories(trireme_flags INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
if(TRIREME_SANITIZE)
  # Left out: what AddressSanitizer sees anyway, and checks of casts that we do not make; they take
  # the compiler minutes.
  # -Wno-maybe-uninitialized: gcc 12 sees ghosts in std::regex once it is instrumented.
  target_compile_options(trireme_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${TRIREME_SANITIZE} -fno-sanitize=vptr,object-size -fno-omit-frame-pointer -fno-sanitize-recover=all>
    $<$<BOOL:$<TARGET_PROPERTY:QUICKLY_SANITIZED>>:-O0 -g0 -fno-sanitize=undefined>)
  target_link_options(trireme_flags INTERFACE -fsanitize=${TRIREME_SANITIZE})
  # The other builds check format strings while they compile.
  target_compile_definitions(trireme_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:FMT_CONSTEVAL=>)
endif()

# trireme_library(NAME SOURCES...) makes trireme_NAME with the house's flags.
function(trireme_library name)
  add_library(trireme_${name} STATIC ${ARGN})
  target_link_libraries(trireme_${name} PRIVATE $<BUILD_INTERFACE:trireme_flags>)
  target_include_directories(trireme_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include/trireme>)
  target_compile_features(trireme_${name} PUBLIC cxx_std_20)
  set_target_properties(trireme_${name} PROPERTIES EXPORT_NAME ${name})
endfunction()

# For code whose templates (JSON, CLI11, tests) would cost the compiler of a sanitized build minutes:
# compiled as it stands, with AddressSanitizer alone. The parsers have UBSan in the fuzz preset; what
# trains keeps its -O1 and every check.
function(trireme_sanitize_quickly target)
  set_target_properties(${target} PROPERTIES QUICKLY_SANITIZED ON)
endfunction()

# Where sanitizers make every header dear, the dearest are compiled once a target. The other builds
# do without, so that each file still proves that it includes what it uses.
function(trireme_precompile target)
  if(TRIREME_SANITIZE)
    target_precompile_headers(${target} PRIVATE ${ARGN}
      <algorithm> <filesystem> <functional> <map> <memory> <optional> <random> <span> <string>
      <variant> <vector> <fmt/format.h> <fmt/ranges.h>)
  endif()
endfunction()
