# `cmake --install`: the program, the libraries, their headers, the example jobs, and a package that
# find_package(Trireme) finds: target Trireme::trireme.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

add_library(trireme_all INTERFACE)
set_target_properties(trireme_all PROPERTIES EXPORT_NAME trireme)
set(libraries)
set(TRIREME_INSTALLED_NAMES)
foreach(folder core comm models parallel launcher)
  if(TARGET trireme_${folder})
    target_link_libraries(trireme_all INTERFACE trireme_${folder})
    list(APPEND libraries trireme_${folder})
    list(APPEND TRIREME_INSTALLED_NAMES ${folder})
    install(DIRECTORY ${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/trireme
      FILES_MATCHING PATTERN "*.h" PATTERN "*.cuh")
  endif()
endforeach()
set(support trireme_all)
if(TRIREME_WITH_CUDA)
  list(APPEND support trireme_cuda trireme_nccl_headers
    trireme_cublas trireme_cublasLt trireme_cudnn trireme_nccl)
endif()
install(TARGETS ${libraries} ${support} EXPORT TriremeTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET trireme)
  install(TARGETS trireme RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/jobs)
  install(DIRECTORY jobs DESTINATION ${CMAKE_INSTALL_DATADIR}/trireme)
endif()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/trireme)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Trireme)
set(TRIREME_CUDA_WORDS without)
if(TRIREME_WITH_CUDA)
  set(TRIREME_CUDA_WORDS with)
endif()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/TriremeConfig.cmake.in
  ${PROJECT_BINARY_DIR}/TriremeConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/TriremeConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(EXPORT TriremeTargets NAMESPACE Trireme:: DESTINATION ${package})
install(FILES ${PROJECT_BINARY_DIR}/TriremeConfig.cmake ${PROJECT_BINARY_DIR}/TriremeConfigVersion.cmake
  DESTINATION ${package})
