#include "core/cpu/onednn.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <dnnl.hpp>
#include <optional>

#include "core/base/error.h"

namespace trireme::core::onednn {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Dims = memory::dims;

// The library asks OpenMP for the thread count when a primitive is made and again when it runs;
// fewer at the first than at the second would overrun its scratchpad.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(omp_get_max_threads()) {
    if (threads != before_) omp_set_num_threads(threads);
  }
  ~ThreadScope() {
    if (omp_get_max_threads() != before_) omp_set_num_threads(before_);
  }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

template <typename Work>
auto guarded(Work work) {
  try {
    return work();
  } catch (const dnnl::error& error) {
    throw SystemError(
        fmt::format("[onednn] {} (status {})", error.what(), static_cast<int>(error.status)));
  }
}

void check(dnnl_status_t status, const char* call) {
  if (status != dnnl_success)
    throw SystemError(
        fmt::format("[onednn] {} failed (status {})", call, static_cast<int>(status)));
}

constexpr int64_t kAlignment = 64;
int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

int64_t bytes_of(const memory::desc& desc) { return static_cast<int64_t>(desc.get_size()); }

memory::desc f32(const Dims& dims, Tag tag) { return {dims, memory::data_type::f32, tag}; }

memory::data_type data_type_of(DType dtype) {
  return dtype == DType::kBF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

std::optional<dnnl::algorithm> algorithm_of(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kNone:
      return std::nullopt;
    case ActivationKind::kRelu:
      return dnnl::algorithm::eltwise_relu;
    case ActivationKind::kGelu:
      return dnnl::algorithm::eltwise_gelu_erf;
    case ActivationKind::kGeluTanh:
      return dnnl::algorithm::eltwise_gelu_tanh;
    case ActivationKind::kTanh:
      return dnnl::algorithm::eltwise_tanh;
    case ActivationKind::kSigmoid:
      return dnnl::algorithm::eltwise_logistic;
    case ActivationKind::kSilu:
      return dnnl::algorithm::eltwise_swish;
  }
  return std::nullopt;
}

dnnl::primitive_attr attributes(ActivationKind activation, bool accumulate) {
  dnnl::post_ops post_ops;
  if (accumulate) post_ops.append_sum(1.0F);
  if (auto algorithm = algorithm_of(activation)) {
    const float alpha = activation == ActivationKind::kSilu ? 1.0F : 0.0F;  // x sigmoid(alpha x)
#if DNNL_VERSION_MAJOR >= 3
    post_ops.append_eltwise(*algorithm, alpha, 0.0F);
#else
    post_ops.append_eltwise(1.0F, *algorithm, alpha, 0.0F);
#endif
  }
  dnnl::primitive_attr attr;
  attr.set_post_ops(post_ops);
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// A primitive_desc that can move to its next implementation. Version 2 walks on from the op's desc
// and does not keep it.
template <typename Primitive>
struct Candidate {
  std::shared_ptr<void> origin;
  typename Primitive::primitive_desc pd;
};

// Version 3 makes a primitive_desc at one go, version 2 by way of Primitive::desc.
template <typename Primitive, typename... Args>
Candidate<Primitive> describe(const dnnl::engine& engine, const dnnl::primitive_attr& attr,
                              Args&&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return {nullptr, typename Primitive::primitive_desc(engine, std::forward<Args>(args)..., attr)};
#else
  auto desc = std::make_shared<typename Primitive::desc>(std::forward<Args>(args)...);
  return {desc, typename Primitive::primitive_desc(*desc, attr, engine)};
#endif
}
template <typename Primitive, typename... Args>
Candidate<Primitive> describe_backward(const dnnl::engine& engine, const dnnl::primitive_attr& attr,
                                       const dnnl::convolution_forward::primitive_desc& hint,
                                       Args&&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return {nullptr,
          typename Primitive::primitive_desc(engine, std::forward<Args>(args)..., hint, attr)};
#else
  auto desc = std::make_shared<typename Primitive::desc>(std::forward<Args>(args)...);
  return {desc, typename Primitive::primitive_desc(*desc, attr, engine, hint)};
#endif
}

}  // namespace

// A weight (an input that prepare() may reorder, or a result that is reordered after the run) has a
// plain form besides the one that the primitive wants.
struct Primitive::Impl {
  static constexpr int kMaxOperands = 4;
  enum class Weight : uint8_t { kPlain, kPrepared, kResult };

  explicit Impl(int threads)
      : threads(threads), engine(dnnl::engine::kind::cpu, 0), stream(engine) {}

  void operand(int arg, const memory::desc& desc) {
    memories[count] = memory(desc, engine, nullptr);
    args[count] = {arg, memories[count].get()};
    ++count;
  }
  // To be called after all operands.
  void finish(const dnnl::primitive& made, const memory::desc& scratchpad_desc) {
    primitive = made;
    scratchpad = memory(scratchpad_desc, engine, nullptr);
  }
  void reorder_weight(Weight kind, int index, const memory::desc& from, const memory::desc& to) {
    weight = kind;
    weight_index = index;
    reorder_memories = {memory(from, engine, nullptr), memory(to, engine, nullptr)};
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    dnnl::reorder::primitive_desc pd(engine, from, engine, to, attr);
    reorder_scratchpad = memory(pd.scratchpad_desc(), engine, nullptr);
    reorder = dnnl::reorder(pd);
  }

  // Handles are bound only when they change: version 2 zeroes the padding of a blocked memory each
  // time that one is.
  static void bind(const memory& mem, const void* pointer) {
    void* now = nullptr;
    check(dnnl_memory_get_data_handle(mem.get(), &now), "dnnl_memory_get_data_handle");
    if (now != pointer)
      check(dnnl_memory_set_data_handle(mem.get(), const_cast<void*>(pointer)),
            "dnnl_memory_set_data_handle");
  }
  void execute(const dnnl::primitive& what, const dnnl_exec_arg_t* arguments, int number) {
    check(dnnl_primitive_execute(what.get(), stream.get(), number, arguments),
          "dnnl_primitive_execute");
    check(dnnl_stream_wait(stream.get()), "dnnl_stream_wait");
  }
  void run_reorder(const void* from, void* to, void* scratch) {
    bind(reorder_memories[0], from);
    bind(reorder_memories[1], to);
    bind(reorder_scratchpad, scratch);
    const std::array<dnnl_exec_arg_t, 3> arguments{
        {{DNNL_ARG_FROM, reorder_memories[0].get()},
         {DNNL_ARG_TO, reorder_memories[1].get()},
         {DNNL_ARG_SCRATCHPAD, reorder_scratchpad.get()}}};
    execute(reorder, arguments.data(), static_cast<int>(arguments.size()));
  }

  int threads;
  dnnl::engine engine;
  dnnl::stream stream;
  dnnl::primitive primitive;
  std::array<memory, kMaxOperands> memories;
  std::array<dnnl_exec_arg_t, kMaxOperands> args{};
  int count = 0;
  memory scratchpad;

  Weight weight = Weight::kPlain;
  int weight_index = -1;
  dnnl::primitive reorder;
  std::array<memory, 2> reorder_memories;
  memory reorder_scratchpad;
};

Primitive::Primitive(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Primitive::Primitive(Primitive&&) noexcept = default;
Primitive& Primitive::operator=(Primitive&&) noexcept = default;
Primitive::~Primitive() = default;

bool Primitive::wants_prepared() const { return impl_->weight == Impl::Weight::kPrepared; }

void Primitive::prepare(const void* weight, void* prepared) const {
  if (!wants_prepared()) return;
  const ThreadScope scope(impl_->threads);
  impl_->run_reorder(weight, prepared, nullptr);
}

void Primitive::run(std::initializer_list<const void*> operands, void* workspace) const {
  Impl& impl = *impl_;
  const ThreadScope scope(impl.threads);
  std::array<dnnl_exec_arg_t, Impl::kMaxOperands + 1> arguments;
  auto* scratch = static_cast<std::byte*>(workspace);
  const bool reorders_result = impl.weight == Impl::Weight::kResult;
  void* reordered = scratch;
  if (reorders_result) scratch += aligned(bytes_of(impl.reorder_memories[0].get_desc()));

  int bound = 0;
  const void* plain = nullptr;
  const void* const* given = operands.begin();
  for (int i = 0; i < impl.count; ++i) {
    while (*given == nullptr) ++given;  // absent operands were never declared
    const void* pointer = *given++;
    if (reorders_result && i == impl.weight_index) {
      plain = pointer;
      pointer = reordered;
    }
    Impl::bind(impl.memories[i], pointer);
    arguments[bound++] = impl.args[i];
  }
  Impl::bind(impl.scratchpad, scratch);
  arguments[bound++] = {DNNL_ARG_SCRATCHPAD, impl.scratchpad.get()};
  impl.execute(impl.primitive, arguments.data(), bound);
  if (reorders_result) impl.run_reorder(reordered, const_cast<void*>(plain), scratch);
}

namespace {

// Moves to the first implementation that `fits`; false if there is none.
template <typename Primitive, typename Fits>
bool first_that_fits(Candidate<Primitive>& candidate, const Fits& fits) {
  do {
    if (fits(candidate.pd)) return true;
  } while (candidate.pd.next_impl());
  return false;
}

// Tries the weight in the format of the primitive's choice, where `free_format`, then in its plain
// one. `make(weight_desc)` gives a Candidate and may throw dnnl::error.
template <typename Make, typename Fits>
auto choose(bool free_format, const Dims& dims, Tag plain, const Make& make, const Fits& fits,
            memory::data_type type = memory::data_type::f32) {
  if (free_format) {
    try {
      auto candidate = make(memory::desc(dims, type, Tag::any));
      if (first_that_fits(candidate, fits)) return candidate.pd;
    } catch (const dnnl::error&) {
      // No implementation has a format of its own: the plain one is left.
    }
  }
  auto candidate = make(memory::desc(dims, type, plain));
  if (!first_that_fits(candidate, fits))
    throw SystemError("[onednn] no implementation keeps to its workspace cap");
  return candidate.pd;
}

template <typename PrimitiveDesc>
bool scratch_fits(const PrimitiveDesc& pd, const Limits& limits) {
  return bytes_of(pd.scratchpad_desc()) <= limits.workspace_bytes;
}

// An input weight: plain as it comes, or reordered into at most prepared_bytes.
template <typename PrimitiveDesc>
bool weight_fits(const PrimitiveDesc& pd, const memory::desc& plain, const Limits& limits) {
  return scratch_fits(pd, limits) &&
         (pd.weights_desc() == plain || bytes_of(pd.weights_desc()) <= limits.prepared_bytes);
}

Dims weight_dims(const ConvolutionSpec& spec) {
  const int64_t in = spec.c / spec.groups;
  if (spec.groups == 1) return {spec.o, in, spec.kh, spec.kw};
  return {spec.groups, spec.o / spec.groups, in, spec.kh, spec.kw};
}
Tag weight_tag(const ConvolutionSpec& spec) { return spec.groups == 1 ? Tag::ohwi : Tag::gohwi; }
memory::desc image(const ConvolutionSpec& spec) {
  return f32({spec.n, spec.c, spec.h, spec.w}, Tag::nhwc);
}
memory::desc result(const ConvolutionSpec& spec) {
  return f32({spec.n, spec.o, spec.oh, spec.ow}, Tag::nhwc);
}
memory::desc bias(const ConvolutionSpec& spec) {
  return spec.bias ? f32({spec.o}, Tag::a) : memory::desc();
}
Dims strides(const ConvolutionSpec& spec) { return {spec.stride_h, spec.stride_w}; }
Dims dilates(const ConvolutionSpec& spec) { return {spec.dilation_h - 1, spec.dilation_w - 1}; }
Dims pad_low(const ConvolutionSpec& spec) { return {spec.pad_h, spec.pad_w}; }
// What the last window overhangs; less than pad_low where the stride leaves columns over.
Dims pad_high(const ConvolutionSpec& spec) {
  const auto high = [](int64_t out, int64_t stride, int64_t kernel, int64_t dilation, int64_t in,
                       int64_t low) {
    return (out - 1) * stride + (kernel - 1) * dilation + 1 - in - low;
  };
  return {high(spec.oh, spec.stride_h, spec.kh, spec.dilation_h, spec.h, spec.pad_h),
          high(spec.ow, spec.stride_w, spec.kw, spec.dilation_w, spec.w, spec.pad_w)};
}
constexpr auto kConvolution = dnnl::algorithm::convolution_direct;

Candidate<dnnl::convolution_forward> describe_forward(const ConvolutionSpec& spec,
                                                      const dnnl::engine& engine,
                                                      const memory::desc& weight,
                                                      ActivationKind activation) {
  return describe<dnnl::convolution_forward>(
      engine, attributes(activation, false), dnnl::prop_kind::forward_training, kConvolution,
      image(spec), weight, bias(spec), result(spec), strides(spec), dilates(spec), pad_low(spec),
      pad_high(spec));
}

}  // namespace

Primitive make_matmul(const MatmulSpec& spec, const Limits& limits) {
  return guarded([&] {
    const ThreadScope scope(limits.threads);
    auto impl = std::make_unique<Primitive::Impl>(limits.threads);
    const memory::data_type type = data_type_of(spec.operands);
    const memory::desc a({spec.m, spec.k}, type, spec.a_transposed ? Tag::ba : Tag::ab);
    const Tag b_tag = spec.b_transposed ? Tag::ba : Tag::ab;
    // What is prepared is rounded on the way.
    const memory::desc b({spec.k, spec.n},
                         limits.prepared_bytes > 0 ? memory::data_type::f32 : type, b_tag);
    const memory::desc bias = spec.bias ? f32({1, spec.n}, Tag::ab) : memory::desc();
    const memory::desc c = f32({spec.m, spec.n}, Tag::ab);
    const auto attr = attributes(spec.activation, spec.accumulate);
    const auto pd = choose(
        limits.prepared_bytes > 0, {spec.k, spec.n}, b_tag,
        [&](const memory::desc& weight) {
          return describe<dnnl::matmul>(impl->engine, attr, a, weight, bias, c);
        },
        [&](const auto& candidate) { return weight_fits(candidate, b, limits); }, type);
    impl->operand(DNNL_ARG_SRC, a);
    impl->operand(DNNL_ARG_WEIGHTS, pd.weights_desc());
    if (spec.bias) impl->operand(DNNL_ARG_BIAS, bias);
    impl->operand(DNNL_ARG_DST, c);
    if (pd.weights_desc() != b)
      impl->reorder_weight(Primitive::Impl::Weight::kPrepared, 1, b, pd.weights_desc());
    impl->finish(dnnl::matmul(pd), pd.scratchpad_desc());
    return Primitive(std::move(impl));
  });
}

Primitive make_convolution(const ConvolutionSpec& spec, const Limits& limits) {
  return guarded([&] {
    const ThreadScope scope(limits.threads);
    auto impl = std::make_unique<Primitive::Impl>(limits.threads);
    const memory::desc plain = f32(weight_dims(spec), weight_tag(spec));
    const auto pd = choose(
        limits.prepared_bytes > 0, weight_dims(spec), weight_tag(spec),
        [&](const memory::desc& weight) {
          return describe_forward(spec, impl->engine, weight, spec.activation);
        },
        [&](const auto& candidate) { return weight_fits(candidate, plain, limits); });
    impl->operand(DNNL_ARG_SRC, image(spec));
    impl->operand(DNNL_ARG_WEIGHTS, pd.weights_desc());
    if (spec.bias) impl->operand(DNNL_ARG_BIAS, bias(spec));
    impl->operand(DNNL_ARG_DST, result(spec));
    if (pd.weights_desc() != plain)
      impl->reorder_weight(Primitive::Impl::Weight::kPrepared, 1, plain, pd.weights_desc());
    impl->finish(dnnl::convolution_forward(pd), pd.scratchpad_desc());
    return Primitive(std::move(impl));
  });
}

Primitive make_convolution_grad_input(const ConvolutionSpec& spec, const Limits& limits) {
  return guarded([&] {
    const ThreadScope scope(limits.threads);
    auto impl = std::make_unique<Primitive::Impl>(limits.threads);
    const memory::desc plain = f32(weight_dims(spec), weight_tag(spec));
    const auto hint = describe_forward(spec, impl->engine, plain, ActivationKind::kNone).pd;
    const auto attr = attributes(ActivationKind::kNone, false);
    const auto pd = choose(
        limits.prepared_bytes > 0, weight_dims(spec), weight_tag(spec),
        [&](const memory::desc& weight) {
          return describe_backward<dnnl::convolution_backward_data>(
              impl->engine, attr, hint, kConvolution, image(spec), weight, result(spec),
              strides(spec), dilates(spec), pad_low(spec), pad_high(spec));
        },
        [&](const auto& candidate) { return weight_fits(candidate, plain, limits); });
    impl->operand(DNNL_ARG_DIFF_DST, result(spec));
    impl->operand(DNNL_ARG_WEIGHTS, pd.weights_desc());
    impl->operand(DNNL_ARG_DIFF_SRC, image(spec));
    if (pd.weights_desc() != plain)
      impl->reorder_weight(Primitive::Impl::Weight::kPrepared, 1, plain, pd.weights_desc());
    impl->finish(dnnl::convolution_backward_data(pd), pd.scratchpad_desc());
    return Primitive(std::move(impl));
  });
}

Primitive make_convolution_grad_weight(const ConvolutionSpec& spec, const Limits& limits) {
  return guarded([&] {
    const ThreadScope scope(limits.threads);
    auto impl = std::make_unique<Primitive::Impl>(limits.threads);
    const memory::desc plain = f32(weight_dims(spec), weight_tag(spec));
    const auto hint = describe_forward(spec, impl->engine, plain, ActivationKind::kNone).pd;
    const auto attr = attributes(ActivationKind::kNone, false);
    const auto pd = choose(
        true, weight_dims(spec), weight_tag(spec),
        [&](const memory::desc& weight) {
          return describe_backward<dnnl::convolution_backward_weights>(
              impl->engine, attr, hint, kConvolution, image(spec), weight, bias(spec), result(spec),
              strides(spec), dilates(spec), pad_low(spec), pad_high(spec));
        },
        [&](const auto& candidate) {
          const memory::desc got = candidate.diff_weights_desc();
          const int64_t copy = got == plain ? 0 : aligned(bytes_of(got));
          return copy + bytes_of(candidate.scratchpad_desc()) <= limits.workspace_bytes;
        });
    impl->operand(DNNL_ARG_SRC, image(spec));
    impl->operand(DNNL_ARG_DIFF_DST, result(spec));
    impl->operand(DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc());
    if (spec.bias) impl->operand(DNNL_ARG_DIFF_BIAS, bias(spec));
    if (pd.diff_weights_desc() != plain)
      impl->reorder_weight(Primitive::Impl::Weight::kResult, 2, pd.diff_weights_desc(), plain);
    impl->finish(dnnl::convolution_backward_weights(pd), pd.scratchpad_desc());
    return Primitive(std::move(impl));
  });
}

std::string version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

// An instruction set's number has the bits of those that it contains.
bool multiplies_bf16() {
  const auto all = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto wanted = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (all & wanted) == wanted;
}

}  // namespace trireme::core::onednn
