// The table's gradient needs no atomics: dy's rows are ordered by their token, and one block adds
// the rows of one token in the order in which they came.
#include "core/cuda/elementwise.cuh"
#include "core/cuda/function_kernel.h"
#include "core/cuda/matrix_tile.cuh"
#include "core/ops/embedding_rows.h"

namespace trireme::core {
namespace {

__device__ inline float plus(float a, float b) { return a + b; }
__device__ inline float4 plus(float4 a, float4 b) {
  return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}
template <typename V>
__device__ V all_of(float value) {
  if constexpr (sizeof(V) == sizeof(float))
    return value;
  else
    return make_float4(value, value, value, value);
}
// V is float, or float4 where all rows are aligned.
template <typename V>
__device__ V load(const float* row, int64_t i) {
  return reinterpret_cast<const V*>(row)[i];
}

template <typename V>
__device__ V element(const EmbeddingRow& from, int64_t i) {
  if (from.invalid) return all_of<V>(nanf(""));
  V sum = from.token == nullptr ? all_of<V>(0.0f) : load<V>(from.token, i);
  if (from.position != nullptr) sum = plus(sum, load<V>(from.position, i));
  return sum;
}

// Threads lie as tile_over lays them; which rows are read is found once a row.
template <typename V>
__global__ void __launch_bounds__(256) forward(EmbeddingInputs in, V* y, int64_t rows) {
  const int64_t vectors = in.width / static_cast<int64_t>(sizeof(V) / sizeof(float));
  const int64_t first = int64_t{blockIdx.y} * blockDim.x + threadIdx.x;
  const int64_t stride = int64_t{gridDim.y} * blockDim.x;
  for (int64_t row = int64_t{blockIdx.x} * blockDim.y + threadIdx.y; row < rows;
       row += int64_t{gridDim.x} * blockDim.y) {
    const EmbeddingRow from = in.row(row);
    TRIREME_NO_UNROLL
    for (int64_t i = first; i < vectors; i += stride) y[row * vectors + i] = element<V>(from, i);
  }
}

constexpr int kRankThreads = 256;

// Where the rows of one token lie among the sorted row numbers. Only the token's first row has a
// count; a token that the table does not hold has none.
struct Group {
  int32_t begin;
  int32_t count;
};

// The rank of each row is counted: of tokens that are smaller, and of equal ones before it. All
// pairs are compared, which up to 2^16 rows is less work than one pass over dy.
__global__ void __launch_bounds__(kRankThreads)
    rank_rows(const int32_t* tokens, VocabularySlice slice, int64_t rows, int32_t* order,
              Group* groups) {
  TRIREME_SHARED(int32_t, tile, kRankThreads);
  const int64_t own = int64_t{blockIdx.x} * kRankThreads + threadIdx.x;
  const int32_t token = own < rows ? tokens[own] : 0;
  int32_t smaller = 0, before = 0, equal = 0;
  for (int64_t first = 0; first < rows; first += kRankThreads) {
    __syncthreads();  // the previous tile's readers are done
    if (first + threadIdx.x < rows) tile[threadIdx.x] = tokens[first + threadIdx.x];
    __syncthreads();
    const int count = rows - first < kRankThreads ? static_cast<int>(rows - first) : kRankThreads;
    for (int i = 0; i < count; ++i) {
      const int32_t other = tile[i];
      smaller += other < token;
      equal += other == token;
      before += other == token && first + i < own;
    }
  }
  if (own >= rows) return;
  order[smaller + before] = static_cast<int32_t>(own);
  groups[own] = {smaller, before == 0 && slice.holds(token) ? equal : 0};
}

// One token a block in turn, a thread a column (or four).
template <typename V>
__global__ void __launch_bounds__(256)
    add_groups(const float* dy, const int32_t* tokens, VocabularySlice slice, const int32_t* order,
               const Group* groups, float* table, int64_t rows, int64_t width, bool accumulate) {
  const int64_t vectors = width / static_cast<int64_t>(sizeof(V) / sizeof(float));
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const Group group = groups[row];
    if (group.count == 0) continue;
    V* to = reinterpret_cast<V*>(table + (tokens[row] - slice.first) * width);
    for (int64_t i = threadIdx.x; i < vectors; i += blockDim.x) {
      V sum = all_of<V>(0.0f);
      for (int32_t k = 0; k < group.count; ++k)
        sum = plus(sum, load<V>(dy + order[group.begin + k] * width, i));
      to[i] = accumulate ? plus(to[i], sum) : sum;
    }
  }
}

struct Zero {
  __device__ float operator()() const { return 0.0f; }
};

// The samples' rows that stand at one position, in their order.
__global__ void __launch_bounds__(256)
    add_positions(const float* dy, const int32_t* positions, float* table, int64_t samples,
                  int64_t length, int64_t rows, int64_t width, bool accumulate) {
  for_each_of_matrix(rows, width, [&](int64_t p, int64_t i) {
    float sum = accumulate ? table[p * width + i] : 0.0f;
    for (int64_t b = 0; b < samples; ++b) {
      const int64_t s = p - (positions == nullptr ? 0 : positions[b]);
      if (s >= 0 && s < length) sum += dy[(b * length + s) * width + i];
    }
    table[p * width + i] = sum;
  });
}

template <typename V>
void launch_forward(const EmbeddingInputs& in, float* y, int64_t rows, Stream stream) {
  const MatrixTile tile =
      tile_over(rows, in.width / static_cast<int64_t>(sizeof(V) / sizeof(float)));
  launch(forward<V>, tile.grid, tile.block, stream, in, reinterpret_cast<V*>(y), rows);
}

}  // namespace

std::unique_ptr<Kernel> Embedding::cuda_kernel(const NodeTypes& types, const KernelContext&) const {
  return make_function_kernel([binder = EmbeddingBinder(types, options_),
                               rows = types.inputs[0].elements()](const KernelArgs& args) {
    const EmbeddingInputs in = binder(args);
    float* y = args.out<float>(0);
    if (in.width % 4 == 0 && all_aligned16(in.table, in.position_table, y))
      launch_forward<float4>(in, y, rows, args.stream);
    else
      launch_forward<float>(in, y, rows, args.stream);
  });
}

std::unique_ptr<Kernel> EmbeddingGrad::cuda_kernel(const NodeTypes& types,
                                                   const KernelContext&) const {
  return make_function_kernel([slice = VocabularySlice(options_, rows_),
                               rows = types.inputs[1].elements(),
                               width = types.inputs[0].shape[2]](const KernelArgs& args) {
    const float* dy = args.in<float>(0);
    const int32_t* tokens = args.in<int32_t>(1);
    float* table = args.out<float>(0);
    auto* groups = static_cast<Group*>(args.workspace);
    auto* order = reinterpret_cast<int32_t*>(groups + rows);
    launch(rank_rows, blocks_for(rows, kRankThreads, INT32_MAX), dim3(kRankThreads), args.stream,
           tokens, slice, rows, order, groups);
    if (!args.accumulate) elementwise(Zero{}, table, slice.rows * width, args.stream);
    const bool fours = width % 4 == 0 && all_aligned16(dy, table);
    const int64_t vectors = fours ? width / 4 : width;
    const int threads = static_cast<int>(std::clamp<int64_t>((vectors + 31) / 32 * 32, 32, 256));
    launch(fours ? add_groups<float4> : add_groups<float>, blocks_for(rows, 1, 1 << 16),
           dim3(threads), args.stream, dy, tokens, slice, order, groups, table, rows, width,
           args.accumulate);
  });
}

std::unique_ptr<Kernel> PositionEmbeddingGrad::cuda_kernel(const NodeTypes& types,
                                                           const KernelContext&) const {
  return make_function_kernel([shape = types.inputs[0].shape, rows = rows_,
                               has_positions = types.inputs.size() > 1 &&
                                               types.inputs[1].present()](const KernelArgs& args) {
    const int32_t* positions = has_positions ? args.in<int32_t>(1) : nullptr;
    const MatrixTile tile = tile_over(rows, shape[2]);
    launch(add_positions, tile.grid, tile.block, args.stream, args.in<float>(0), positions,
           args.out<float>(0), shape[0], shape[1], rows, shape[2], args.accumulate);
  });
}

}  // namespace trireme::core
