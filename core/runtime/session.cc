#include "core/runtime/session.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/kernels/optimizer.h"
#include "core/program/build.h"
#include "core/random/initializer.h"
#include "core/random/philox.h"

namespace trireme::core {
namespace {

int64_t largest(const SessionPlan& plan, int64_t Program::*bytes) {
  return std::max(plan.train.*bytes, plan.eval ? (*plan.eval).*bytes : int64_t{0});
}

int64_t sums_of(const Graph& graph) {
  return static_cast<int64_t>(graph.losses().size() + graph.metrics().size());
}

}  // namespace

// One set of arenas for all programs.
struct Session::Arenas {
  Arenas(Device& device, const SessionPlan& plan)
      : state(device, plan.layout, plan.sharding, plan.kept()),
        slots(device, largest(plan, &Program::slot_bytes)),
        scratch(device, largest(plan, &Program::scratch_bytes)),
        gathered(device, largest(plan, &Program::gathered_bytes)),
        leaves(device, largest(plan, &Program::leaf_bytes)),
        control(device, largest(plan, &Program::control_bytes)),
        exact(device, largest(plan, &Program::exact_bytes)),
        step(device, sizeof(StepState)),
        sum_of_squares(device, sizeof(double)) {}

  ArenaBases bases() const {
    ArenaBases bases{};
    const auto set = [&](Arena arena, void* first) { bases[static_cast<size_t>(arena)] = first; };
    set(Arena::kParameters, state.data(StateBuffer::kParameters));
    set(Arena::kGradients, state.data(StateBuffer::kGradients));
    set(Arena::kSlot, slots.data());
    set(Arena::kScratch, scratch.data());
    set(Arena::kGathered, gathered.data());
    set(Arena::kLeaves, leaves.data());
    set(Arena::kControl, control.data());
    set(Arena::kExact, exact.data());
    set(Arena::kNorm, sum_of_squares.data());
    return bases;
  }

  // Null where the program does not sum exactly.
  int64_t* exact_sum_of_squares(const Program& program) const {
    if (program.exact_bytes == 0) return nullptr;
    auto* first = static_cast<std::byte*>(exact.data());
    return reinterpret_cast<int64_t*>(first + exact_norm(program.graph).sums.offset);
  }

  FlatState state;
  Buffer slots, scratch, gathered, leaves, control, exact, step, sum_of_squares;
};

Session::Session(Device& device, Transport& transport, SessionPlan plan)
    : device_(device), plan_(std::move(plan)), arenas_(std::make_unique<Arenas>(device, plan_)) {
  host_step_ = {new (device_.allocate_host(sizeof(StepState))) StepState, FreeHost{&device_}};
  if (scales_loss()) set_loss_scale(plan_.control.scaling.initial, 0, host_step_.get());
  host_control_ = {static_cast<double*>(device_.allocate_host(arenas_->control.bytes())),
                   FreeHost{&device_}};
  KernelContext context = device_.kernel_context();
  if (plan_.train.exact_bytes > 0)
    exact_norm_ = std::make_unique<ExactNormKernel>(plan_.norm_ranges.value(), context);
  norm_ = plan_.norm_ranges
              ? make_norm_kernel(device.kind(), *plan_.norm_ranges, context)
              : make_norm_kernel(device.kind(), plan_.layout.trained_elements, context);
  control_ = make_control_kernel(device.kind(), plan_.control, context);
  update_ = make_update_kernel(device.kind(), plan_.optimizer, plan_.ranges, context);
  if (plan_.average) average_.emplace(device.kind(), *plan_.average, plan_.ranges, context);
  const UpdateTools tools{.norm = norm_.get(),
                          .exact_norm = exact_norm_.get(),
                          .exact_sum = arenas_->exact_sum_of_squares(plan_.train),
                          .control = control_.get(),
                          .update = update_.get(),
                          .average = average_ ? &*average_ : nullptr,
                          .sum_of_squares = static_cast<double*>(arenas_->sum_of_squares.data()),
                          .moment1 = arenas_->state.data(StateBuffer::kMoment1),
                          .moment2 = arenas_->state.data(StateBuffer::kMoment2),
                          .averages = arenas_->state.data(StateBuffer::kAverage)};
  auto* step = static_cast<StepState*>(arenas_->step.data());
  train_ = std::make_unique<Executor>(plan_.train, device, transport, plan_.seed, arenas_->bases(),
                                      step, plan_.sample_offset, tools);
  if (plan_.eval)
    eval_ = std::make_unique<Executor>(*plan_.eval, device, transport, plan_.seed, arenas_->bases(),
                                       step, 0, UpdateTools{});
  running_ = train_.get();
  result_.sums.reserve(static_cast<size_t>(arenas_->control.bytes()) / sizeof(double));
}

Session::~Session() = default;

// By pieces: the host holds no second copy of a parameter that may be a tenth of all memory.
void Session::initialize() {
  constexpr int64_t kPiece = int64_t{1} << 18;
  std::vector<float> values;
  for (const FlatParameter& parameter : plan_.layout.parameters) {
    const uint64_t key = random_key(plan_.seed, "init", parameter.name);
    for_each_run(
        parameter.slice, parameter.shape, [&](int64_t logical, int64_t local, int64_t count) {
          for (int64_t done = 0; done < count; done += kPiece) {
            const int64_t now = std::min(kPiece, count - done);
            values.resize(static_cast<size_t>(now));
            fill(parameter.init, key, logical + done, values);
            write_state({StateBuffer::kParameters, parameter.offset + local + done, now}, values);
          }
        });
  }
}

void Session::run(Executor& executor, InputSource& source) {
  running_.store(&executor, std::memory_order_relaxed);
  passes_.fetch_add(1, std::memory_order_relaxed);
  executor.run(source);
}

const PassResult& Session::train_step(InputSource& source, const Votes& votes) {
  const Stream compute = device_.stream(StreamRole::kCompute);
  const CommunicationTimes before = communication_of(device_);
  host_step_->first_sample = host_step_->attempted_steps * plan_.global_batch;
  std::memcpy(host_control_.get(), &votes, sizeof(Votes));
  // The votes lie behind the sums, which the first micro-batch replaces.
  auto* vote = static_cast<double*>(arenas_->control.data()) + 2 * sums_of(plan_.train.graph);
  device_.copy_in(arenas_->step.data(), host_step_.get(), sizeof(StepState), compute);
  device_.copy_in(vote, host_control_.get(), sizeof(Votes), compute);
  if (!prepared_for_train_) train_->prepare();
  run(*train_, source);
  train_->prepare();  // for the next step, so that the host waits once for both
  prepared_for_train_ = true;
  prepared_for_eval_ = false;
  collect(plan_.train.graph, true);
  result_.communication = communication_of(device_) - before;
  ++host_step_->attempted_steps;
  return result_;
}

const PassResult& Session::evaluate(InputSource& source) {
  ensure(eval_ != nullptr, "the session has an eval program");
  if (!prepared_for_eval_) eval_->prepare();
  prepared_for_eval_ = true;
  run(*eval_, source);
  return collect(plan_.eval->graph, false);
}

const PassResult& Session::collect(const Graph& graph, bool train) {
  const Stream compute = device_.stream(StreamRole::kCompute);
  const int64_t sums = sums_of(graph);
  device_.copy_out(host_control_.get(), arenas_->control.data(),
                   (2 * sums + kVotes) * size_of(DType::kF64), compute);
  if (train) device_.copy_out(host_step_.get(), arenas_->step.data(), sizeof(StepState), compute);
  device_.synchronize(compute);
  result_.sums.clear();
  const double* const control = host_control_.get();
  for (int64_t i = 0; i < sums; ++i) result_.sums.push_back({control[2 * i], control[2 * i + 1]});
  const double* const votes = control + 2 * sums;
  result_.votes = {.stop = votes[0], .requeue = votes[1], .save_done = votes[2]};
  result_.step = *host_step_;
  return result_;
}

std::vector<float> Session::read(const StateRange& range) const {
  std::vector<float> values(static_cast<size_t>(range.elements));
  arenas_->state.read(range, values.data());
  return values;
}

std::vector<float> Session::parameter(const std::string& name) const {
  const FlatParameter& parameter = plan_.layout.find(name);
  return read({StateBuffer::kParameters, parameter.offset, parameter.elements});
}

std::vector<float> Session::gradient(const std::string& name) const {
  const FlatParameter& parameter = plan_.layout.find(name);
  if (!parameter.trained) fail("[gradient] parameter '{}' is frozen: it has none", name);
  return read({StateBuffer::kGradients, parameter.offset, parameter.elements});
}

std::vector<float> Session::parameters() const {
  return read({StateBuffer::kParameters, 0, plan_.layout.total_elements});
}

void Session::set_parameter(const std::string& name, std::span<const float> values) {
  const FlatParameter& parameter = plan_.layout.find(name);
  if (static_cast<int64_t>(values.size()) != parameter.elements)
    fail("[parameters] '{}' has {} elements, got {}", name, parameter.elements, values.size());
  write_state({StateBuffer::kParameters, parameter.offset, parameter.elements}, values);
}

std::vector<ElementRange> Session::held(const StateRange& range) const {
  std::vector<ElementRange> ranges;
  for (const ShardMap::Piece& piece : arenas_->state.held(range)) ranges.push_back(piece.range);
  return ranges;
}

void Session::read_state(std::span<const StateRange> ranges, float* out) const {
  for (const StateRange& range : ranges) {
    arenas_->state.read(range, out);
    out += range.elements;
  }
}

void Session::write_state(const StateRange& range, std::span<const float> values) {
  arenas_->state.write(range, values);
  prepared_for_train_ = prepared_for_eval_ = false;
}

StepCounters Session::counters() const {
  StepCounters counters{host_step_->attempted_steps, host_step_->applied_steps,
                        host_step_->non_finite_steps};
  if (scales_loss()) {
    counters.loss_scale = host_step_->loss_scale;
    counters.good_steps = host_step_->good_steps;
  }
  return counters;
}

void Session::set_counters(const StepCounters& counters) {
  host_step_->attempted_steps = counters.attempted;
  host_step_->applied_steps = counters.applied;
  host_step_->non_finite_steps = static_cast<int32_t>(counters.non_finite);
  if (scales_loss() && counters.loss_scale > 0)
    set_loss_scale(counters.loss_scale, counters.good_steps, host_step_.get());
}

std::string Session::where() const { return running_.load(std::memory_order_relaxed)->where(); }

SessionPlace Session::place() const {
  return {passes_.load(std::memory_order_relaxed),
          running_.load(std::memory_order_relaxed)->place()};
}

int64_t Session::arena_bytes() const {
  int64_t total = train_->bytes() + (eval_ ? eval_->bytes() : 0);
  for (const Buffer* buffer : {&arenas_->slots, &arenas_->scratch, &arenas_->gathered,
                               &arenas_->leaves, &arenas_->control, &arenas_->exact})
    total += buffer->bytes();
  return total + arenas_->state.bytes();
}

}  // namespace trireme::core
