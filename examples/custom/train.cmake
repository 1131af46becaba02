# Trains the job under mpirun and wants at least 95 % of the evaluation samples right.
file(REMOVE_RECURSE ${RUN_DIR})
execute_process(COMMAND ${MPIEXEC} -np ${RANKS} ${PROGRAM} train ${JOB} --run-dir ${RUN_DIR} --device cpu
  OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
message("${output}")
string(REGEX MATCHALL "accuracy [01]\\.[0-9]+" accuracies "${output}")
list(POP_BACK accuracies last)
if(NOT status EQUAL 0 OR NOT last MATCHES "accuracy (1|0\\.9[5-9])")
  message(FATAL_ERROR "status ${status}, last: ${last}")
endif()
