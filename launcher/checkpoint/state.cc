#include "launcher/checkpoint/state.h"

#include <algorithm>
#include <variant>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kChunkElements = int64_t{4} << 20;

constexpr std::pair<core::StateBuffer, TensorRole> kRoles[] = {
    {core::StateBuffer::kParameters, TensorRole::kParameter},
    {core::StateBuffer::kMoment1, TensorRole::kMoment1},
    {core::StateBuffer::kMoment2, TensorRole::kMoment2},
    {core::StateBuffer::kAverage, TensorRole::kAverage}};

TensorRole role_of(core::StateBuffer buffer) {
  return std::ranges::find(kRoles, buffer, &std::pair<core::StateBuffer, TensorRole>::first)
      ->second;
}

core::StateBuffer buffer_of(TensorRole role) {
  return std::ranges::find(kRoles, role, &std::pair<core::StateBuffer, TensorRole>::second)->first;
}

// Those of a checkpoint.
std::vector<core::StateBuffer> saved_buffers(const core::SessionPlan& plan) {
  std::vector<core::StateBuffer> buffers = plan.kept();
  buffers.insert(buffers.begin(), core::StateBuffer::kParameters);
  return buffers;
}

const TensorSpec* find(const std::vector<TensorSpec>& tensors, const TensorSpec& like) {
  const auto found = std::ranges::find_if(tensors, [&](const TensorSpec& tensor) {
    return tensor.role == like.role && tensor.name == like.name;
  });
  return found == tensors.end() ? nullptr : &*found;
}

// What `mine` has and `theirs` has not, or has otherwise.
void compare(const std::vector<TensorSpec>& mine, const std::vector<TensorSpec>& theirs,
             const char* missing, bool shapes, std::vector<std::string>& differences) {
  for (const TensorSpec& tensor : mine) {
    const TensorSpec* other = find(theirs, tensor);
    if (other == nullptr)
      differences.push_back(fmt::format("{} {}", missing, tensor.key()));
    else if (shapes && other->shape != tensor.shape)
      differences.push_back(fmt::format("{} is {} there and {} in the job", tensor.key(),
                                        other->shape.str(), tensor.shape.str()));
  }
}

// A box of a parameter as a whole, and its first element in the part that lies here.
struct LocalBox {
  Box box;
  int64_t first = 0;
};

// Of a part whose ranges lie one behind the other, without a dimension outside of them.
std::vector<LocalBox> ranges_of(const core::FlatParameter& parameter) {
  const core::Slice& slice = parameter.slice;
  const int64_t extent = slice.logical[slice.dim];
  const Box whole = whole_box(slice.logical);
  const int64_t step = whole.elements() / extent;
  std::vector<LocalBox> boxes;
  int64_t first = 0;
  for (const auto& [begin, end] : slice.ranges) {
    LocalBox local{whole, first * step};
    local.box.origin[slice.dim] = begin;
    local.box.extent[slice.dim] = std::min(end, extent) - begin;
    if (local.box.extent[slice.dim] > 0) boxes.push_back(local);
    first += end - begin;
  }
  return boxes;
}

std::vector<LocalBox> local_boxes(const core::FlatParameter& parameter) {
  const core::Slice& slice = parameter.slice;
  if (slice.is_whole()) return {{whole_box(parameter.shape), 0}};
  int64_t outer = 1;
  for (int dim = 0; dim < slice.dim; ++dim) outer *= slice.logical[dim];
  const bool padded = slice.ranges.back().second > slice.logical[slice.dim];
  if (outer == 1 || (slice.ranges.size() == 1 && !padded)) return ranges_of(parameter);
  std::vector<LocalBox> boxes;
  core::for_each_run(slice, parameter.shape, [&](int64_t whole, int64_t local, int64_t count) {
    for (const Box& box : boxes_of_range(slice.logical, whole, whole + count)) {
      boxes.push_back({box, local});
      local += box.elements();
    }
  });
  return boxes;
}

// Of a run of the flat buffers, the parts that are kept here.
void add_held(const core::Session& session, const Piece& piece, const core::StateRange& range,
              std::vector<HeldBox>& held) {
  for (const core::ElementRange& part : session.held(range)) {
    int64_t first = part.begin;
    for (const Box& box :
         boxes_of_range(piece.box, part.begin - range.first, part.end - range.first)) {
      held.push_back({{piece.tensor, box}, {range.buffer, first, box.elements()}});
      first += box.elements();
    }
  }
}

// A piece as words, for the way to the other ranks.
constexpr int64_t kPieceWords = 2 + 2 * core::Shape::kMaxRank;

void append(const Piece& piece, std::vector<int64_t>& words) {
  words.push_back(piece.tensor);
  words.push_back(piece.box.rank);
  words.insert(words.end(), piece.box.origin.begin(), piece.box.origin.end());
  words.insert(words.end(), piece.box.extent.begin(), piece.box.extent.end());
}

Piece piece_of(const int64_t* words) {
  Piece piece{static_cast<int>(words[0]), {.rank = static_cast<int>(words[1])}};
  std::copy_n(words + 2, core::Shape::kMaxRank, piece.box.origin.begin());
  std::copy_n(words + 2 + core::Shape::kMaxRank, core::Shape::kMaxRank, piece.box.extent.begin());
  return piece;
}

}  // namespace

std::vector<TensorSpec> state_tensors(const core::SessionPlan& plan) {
  std::vector<TensorSpec> tensors;
  for (const core::StateBuffer buffer : saved_buffers(plan))
    for (const core::WholeParameter& parameter : plan.whole)
      if (buffer == core::StateBuffer::kParameters || parameter.trained)
        tensors.push_back(
            {.name = parameter.name, .role = role_of(buffer), .shape = parameter.shape});
  return tensors;
}

std::vector<HeldBox> held_boxes(const core::Session& session) {
  const std::vector<TensorSpec> tensors = state_tensors(session.plan());
  std::vector<HeldBox> held;
  for (int i = 0; i < std::ssize(tensors); ++i)
    if (const core::FlatParameter* mine = session.plan().layout.look_up(tensors[i].name))
      for (const LocalBox& local : local_boxes(*mine))
        add_held(session, {i, local.box},
                 {buffer_of(tensors[i].role), mine->offset + local.first, local.box.elements()},
                 held);
  return held;
}

core::StateRange state_range(const std::vector<HeldBox>& held, const Piece& piece) {
  const auto same = std::ranges::equal_range(held, piece.tensor, {},
                                             [](const HeldBox& h) { return h.piece.tensor; });
  const auto found = std::ranges::find_if(
      same, [&](const HeldBox& one) { return intersect(one.piece.box, piece.box) == piece.box; });
  ensure(found != same.end(), "what a rank writes is held there");
  return {.buffer = found->range.buffer,
          .first = found->range.first + position(piece.box.origin, found->piece.box),
          .elements = piece.box.elements()};
}

Holdings gather_holdings(comm::Communicator& group, const std::vector<HeldBox>& held) {
  std::vector<int64_t> mine{std::ssize(held)};
  for (const HeldBox& one : held) append(one.piece, mine);
  int64_t longest = std::ssize(mine);
  group.all_reduce(std::span(&longest, 1), core::ReduceOp::kMax, {}, "checkpoint");
  mine.resize(static_cast<size_t>(longest));
  std::vector<int64_t> all(static_cast<size_t>(longest * group.size()));
  group.all_gather(mine.data(), all.data(), longest, core::DType::kI64, {}, "checkpoint");
  Holdings holdings(static_cast<size_t>(group.size()));
  for (int rank = 0; rank < group.size(); ++rank) {
    const int64_t* words = all.data() + rank * longest;
    for (int64_t i = 0; i < words[0]; ++i)
      holdings[rank].push_back(piece_of(words + 1 + i * kPieceWords));
  }
  return holdings;
}

void check_same_tensors(const CheckpointReader& checkpoint,
                        const std::vector<TensorSpec>& tensors) {
  const std::vector<TensorSpec>& saved = checkpoint.manifest().plan.tensors;
  std::vector<std::string> differences;
  compare(tensors, saved, "lacks", true, differences);
  compare(saved, tensors, "has beyond the job", false, differences);
  if (differences.empty()) return;
  const size_t all = differences.size();
  if (all > 3) differences.resize(3);
  fail(
      "{}: is of another job: it {}{}; train this one in another folder (--run-dir), or undo the "
      "change of its model, optimizer or average",
      checkpoint.folder().string(), fmt::join(differences, "; "),
      all > 3 ? fmt::format("; and {} more", all - 3) : "");
}

void fill(core::Session& session, core::StateBuffer buffer, const ReadTensor& read) {
  const std::vector<TensorSpec> tensors = state_tensors(session.plan());
  std::vector<float> values;
  for (const HeldBox& held : held_boxes(session)) {
    const TensorSpec& tensor = tensors[held.piece.tensor];
    if (held.range.buffer != buffer) continue;
    core::StateRange range{.buffer = buffer, .first = held.range.first};
    for (int64_t begin = 0; begin < held.range.elements; begin += kChunkElements)
      for (const Box& box : boxes_of_range(held.piece.box, begin,
                                           std::min(held.range.elements, begin + kChunkElements))) {
        range.elements = box.elements();
        values.resize(static_cast<size_t>(range.elements));
        read(tensor, box, values.data());
        session.write_state(range, values);
        range.first += range.elements;
      }
  }
}

void load_state(CheckpointReader& checkpoint, core::Session& session) {
  for (const core::StateBuffer buffer : saved_buffers(session.plan()))
    fill(session, buffer, [&](const TensorSpec& spec, const Box& box, float* out) {
      checkpoint.read(checkpoint.find(spec.name, spec.role), box, out);
    });
}

}  // namespace trireme::launcher
