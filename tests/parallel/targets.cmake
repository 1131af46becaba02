# Rewrites are tested on the networks of models, which parallel itself never sees.
if(TARGET trireme_models AND TARGET parallel_tests)
  target_link_libraries(parallel_tests PRIVATE trireme_models)
endif()
