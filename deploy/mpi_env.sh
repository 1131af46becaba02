# Open MPI settings for ranks on ONE machine; scripts source this. Everything here is a default:
# what the caller has set stays. On clusters use none of it (Slurm and the site know better).
#
# mpirun refuses root unless both are set.
export OMPI_ALLOW_RUN_AS_ROOT=${OMPI_ALLOW_RUN_AS_ROOT:-1}
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=${OMPI_ALLOW_RUN_AS_ROOT_CONFIRM:-1}
# No search for fabrics: MPI_Init takes 100 ms instead of 300.
export OMPI_MCA_pml=${OMPI_MCA_pml:-ob1}
export OMPI_MCA_btl=${OMPI_MCA_btl:-self,vader,tcp}
export OMPI_MCA_btl_tcp_if_include=${OMPI_MCA_btl_tcp_if_include:-lo}
export OMPI_MCA_oob_tcp_if_include=${OMPI_MCA_oob_tcp_if_include:-lo}
# Without ssh or rsh mpirun ends at once, on one machine too, unless told that it is alone.
command -v ssh >/dev/null || command -v rsh >/dev/null || export OMPI_MCA_plm=${OMPI_MCA_plm:-isolated}
# More ranks than cores are allowed, and then yield instead of spinning.
export OMPI_MCA_rmaps_base_oversubscribe=${OMPI_MCA_rmaps_base_oversubscribe:-1}
export OMPI_MCA_hwloc_base_binding_policy=${OMPI_MCA_hwloc_base_binding_policy:-none}
export OMPI_MCA_mpi_yield_when_idle=${OMPI_MCA_mpi_yield_when_idle:-1}
# A failure is one line of ours, without mpirun's paragraph on top.
export OMPI_MCA_orte_execute_quiet=${OMPI_MCA_orte_execute_quiet:-1}
# A large message is one copy where ranks may read each other's memory, and goes through shared memory
# otherwise. Asked here, since vader finds out at the first such message: a container's seccomp filter
# or a strict yama may forbid it.
if ! grep -qs '^Seccomp:[[:space:]]*0' /proc/self/status ||
  grep -qs '[23]' /proc/sys/kernel/yama/ptrace_scope; then
  export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
fi
