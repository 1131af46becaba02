#include "comm/mpi_types.h"

#include "comm/reduce.h"
#include "core/base/error.h"

namespace trireme::comm {
namespace {

template <DType dtype, ReduceOp op>
void reduce_half(void* in, void* inout, int* count, MPI_Datatype*) {
  const void* inputs[] = {in, inout};
  reduce_in_order(inputs, inout, 0, *count, dtype, op);
}

MPI_Op make_op(MPI_User_function* function) {
  MPI_Op op = MPI_OP_NULL;
  check(MPI_Op_create(function, 1, &op), "MPI_Op_create");
  return op;
}

}  // namespace

void check(int status, const std::string& what, std::source_location where) {
  if (status == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(status, text.data(), &length);
  throw SystemError(fmt::format("[mpi] {}: {}", what, std::string(text.data(), length)), where);
}

MPI_Datatype mpi_type(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return MPI_FLOAT;
    case DType::kF64:
      return MPI_DOUBLE;
    case DType::kF16:
    case DType::kBF16:
      return MPI_UINT16_T;
    case DType::kI32:
      return MPI_INT32_T;
    case DType::kI64:
      return MPI_INT64_T;
    case DType::kU8:
      return MPI_UINT8_T;
    case DType::kNone:
      break;
  }
  return MPI_DATATYPE_NULL;
}

MpiOps::MpiOps()
    : half_{make_op(reduce_half<DType::kF16, ReduceOp::kSum>),
            make_op(reduce_half<DType::kF16, ReduceOp::kMax>),
            make_op(reduce_half<DType::kF16, ReduceOp::kMin>),
            make_op(reduce_half<DType::kBF16, ReduceOp::kSum>),
            make_op(reduce_half<DType::kBF16, ReduceOp::kMax>),
            make_op(reduce_half<DType::kBF16, ReduceOp::kMin>)} {}

MPI_Op MpiOps::of(DType dtype, ReduceOp op) const {
  if (dtype == DType::kF16) return half_[static_cast<int>(op)];
  if (dtype == DType::kBF16) return half_[3 + static_cast<int>(op)];
  return op == ReduceOp::kSum ? MPI_SUM : op == ReduceOp::kMax ? MPI_MAX : MPI_MIN;
}

MpiBlock make_block(int64_t count, DType dtype, int64_t largest) {
  const MPI_Datatype base = mpi_type(dtype);
  if (count <= largest) return {static_cast<int>(count), base, false};
  MPI_Datatype chunk = MPI_DATATYPE_NULL, whole = MPI_DATATYPE_NULL;
  check(MPI_Type_contiguous(static_cast<int>(largest), base, &chunk), "MPI_Type_contiguous");
  const int64_t chunks = count / largest;
  int lengths[] = {static_cast<int>(chunks), static_cast<int>(count % largest)};
  MPI_Aint offsets[] = {0, static_cast<MPI_Aint>(chunks * largest * core::size_of(dtype))};
  MPI_Datatype types[] = {chunk, base};
  check(MPI_Type_create_struct(2, lengths, offsets, types, &whole), "MPI_Type_create_struct");
  check(MPI_Type_commit(&whole), "MPI_Type_commit");
  check(MPI_Type_free(&chunk), "MPI_Type_free");
  return {1, whole, true};
}

void free_block(MpiBlock& block) {
  if (block.derived) check(MPI_Type_free(&block.type), "MPI_Type_free");
  block.derived = false;
}

}  // namespace trireme::comm
