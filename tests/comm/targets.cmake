# Cases shared by every transport.
target_sources(comm_tests PRIVATE comm/suite.cc)
