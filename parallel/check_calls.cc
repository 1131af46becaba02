#include "parallel/check_calls.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/sim/check_programs.h"
#include "parallel/group_members.h"

namespace trireme::parallel {
namespace {

using core::CallScript;
using core::CheckedWorld;

// The first rank of `rank`'s line along an axis.
int first_along(const Mesh& mesh, Axis axis, int rank) {
  int stride = 1;
  for (int before = 0; before < static_cast<int>(axis); ++before)
    stride *= mesh.size(static_cast<Axis>(before));
  return rank - mesh.coordinate(rank, axis) * stride;
}

// A group that is the whole world shares its communicator (MeshGroups), where all collectives
// keep one order.
CallScript by_communicator(const CallScript& script, const Mesh& mesh) {
  constexpr std::pair<Group, Axis> kShared[] = {{kDataGroup, Axis::kData},
                                                {kTensorGroup, Axis::kTensor}};
  CallScript shared = script;
  for (const auto& [group, axis] : kShared)
    if (mesh.size(axis) == mesh.world())
      for (core::ScriptCall& call : shared.calls)
        if (call.group == group) call.group = kWorldGroup;
  return shared;
}

// Lays the groups of a mesh over the ranks' scripts.
class WorldChecker {
 public:
  WorldChecker(const Mesh& mesh, const std::vector<const CallScript*>& scripts) : mesh_(mesh) {
    for (const CallScript* script : scripts) {
      const auto found = scripts_.find(script);
      world_.scripts.push_back(
          found != scripts_.end()
              ? &found->second
              : &scripts_.emplace(script, by_communicator(*script, mesh)).first->second);
    }
  }

  void run() {
    const std::vector<int> tied = tied_stages();
    const int ranks = mesh_.world();
    world_.groups.assign(ranks, std::vector<int>(kGroups, -1));
    for (int number = 0; number < kGroups; ++number)
      for (int rank = 0; rank < ranks; ++rank)
        if (world_.groups[rank][number] < 0) add_group(static_cast<Group>(number), rank, tied);
    fold();
    core::check_programs(world_);
  }

 private:
  std::vector<int> tied_stages() const {
    std::vector<bool> ties(mesh_.size(Axis::kPipeline));
    for (int rank = 0; rank < mesh_.world(); ++rank)
      if (uses(*world_.scripts[rank], kTieGroup))
        ties[mesh_.coordinate(rank, Axis::kPipeline)] = true;
    std::vector<int> stages;
    for (size_t stage = 0; stage < ties.size(); ++stage)
      if (ties[stage]) stages.push_back(static_cast<int>(stage));
    return stages;
  }

  void add_group(Group number, int rank, const std::vector<int>& tied) {
    std::vector<int> ranks = group_members(mesh_, number, rank, tied);
    for (int member : ranks)
      world_.groups[member][number] = static_cast<int>(world_.members.size());
    if (!ranks.empty())
      world_.members.push_back({number, std::string(name_of(number)), std::move(ranks)});
  }

  // Along the data and the tensor axis groups are alike: where calls are too, one rank stands for
  // its line.
  void fold() {
    std::map<const CallScript*, uint64_t> orders;
    for (const auto& [given, script] : scripts_) orders[&script] = core::order_hash(script);
    for (int rank = 0; rank < mesh_.world(); ++rank) world_.stand_ins.push_back(rank);
    for (const Axis axis : {Axis::kData, Axis::kTensor}) {
      const bool alike = std::ranges::all_of(world_.stand_ins, [&](int rank) {
        return orders.at(world_.scripts[rank]) ==
               orders.at(world_.scripts[first_along(mesh_, axis, rank)]);
      });
      if (!alike) continue;
      for (int& stand_in : world_.stand_ins) stand_in = first_along(mesh_, axis, stand_in);
    }
  }

  const Mesh& mesh_;
  std::map<const CallScript*, CallScript> scripts_;  // by what was given
  CheckedWorld world_;
};

std::string bytes_of(const Mesh& mesh, const RankScripts& scripts) {
  std::string bytes;
  for (int axis = 0; axis < kAxes; ++axis)
    bytes += fmt::format("{}\n", mesh.size(static_cast<Axis>(axis)));
  append(scripts.train, bytes);
  if (scripts.eval) append(*scripts.eval, bytes);
  return bytes;
}

// `rank`: whose they are; `mesh`: as rank 0 has it.
RankScripts read(std::string_view bytes, int rank, const Mesh& mesh) {
  for (int axis = 0; axis < kAxes; ++axis) {
    const size_t end = bytes.find('\n');
    const std::string_view size = bytes.substr(0, end);
    const std::string own = fmt::format("{}", mesh.size(static_cast<Axis>(axis)));
    if (end == std::string_view::npos || size != own)
      fail("[programs] rank {} runs with {} {}, rank 0 with {}", rank,
           name_of(static_cast<Axis>(axis)), size, own);
    bytes.remove_prefix(end + 1);
  }
  RankScripts scripts{.train = core::read_script(bytes), .eval = {}};
  if (!bytes.empty()) scripts.eval = core::read_script(bytes);
  return scripts;
}

// By rank: the first with the same scripts, and their size.
struct Alike {
  std::vector<int> first;
  std::vector<int64_t> bytes;
};
Alike find_alike(comm::Communicator& world, const std::string& bytes) {
  const std::array<int64_t, 2> mine{static_cast<int64_t>(core::hash_of(bytes)),
                                    static_cast<int64_t>(bytes.size())};
  std::vector<int64_t> all(mine.size() * static_cast<size_t>(world.size()));
  world.all_gather(std::span<const int64_t>(mine), std::span(all), {}, "hash of the programs");
  Alike alike;
  std::map<int64_t, int> firsts;
  for (int rank = 0; rank < world.size(); ++rank) {
    alike.first.push_back(firsts.try_emplace(all[2 * rank], rank).first->second);
    alike.bytes.push_back(all[2 * rank + 1]);
  }
  return alike;
}

// On rank 0: the scripts' bytes of the first of each class.
std::map<int, std::string> gather(comm::Communicator& world, const Alike& alike,
                                  const std::string& bytes) {
  constexpr auto kName = "programs";
  const int self = world.rank();
  std::map<int, std::string> gathered;
  if (self == 0) gathered[0] = bytes;
  for (int rank = 1; rank < world.size(); ++rank) {
    if (alike.first[rank] != rank) continue;
    if (self == rank) world.send(bytes.data(), std::ssize(bytes), core::DType::kU8, 0, {}, kName);
    if (self != 0) continue;
    std::string& theirs = gathered[rank];
    theirs.resize(static_cast<size_t>(alike.bytes[rank]));
    world.recv(theirs.data(), alike.bytes[rank], core::DType::kU8, rank, {}, kName);
  }
  return gathered;
}

void check_gathered(const Mesh& mesh, const Alike& alike,
                    const std::map<int, std::string>& gathered) {
  std::map<int, RankScripts> classes;
  for (const auto& [rank, bytes] : gathered) classes.emplace(rank, read(bytes, rank, mesh));
  std::vector<const RankScripts*> ranks;
  for (int first : alike.first) ranks.push_back(&classes.at(first));
  check_calls(mesh, ranks);
}

// Rank 0's failure, thrown by all.
void tell(comm::Communicator& world, std::string text) {
  std::vector<int64_t> length{std::ssize(text)};
  world.broadcast(std::span(length), 0, {}, "verdict on the programs");
  if (length[0] == 0) return;
  text.resize(static_cast<size_t>(length[0]));
  world.broadcast(text.data(), text.data(), length[0], core::DType::kU8, 0, {},
                  "verdict on the programs");
  throw InvalidArgument(text);
}

}  // namespace

void check_calls(const Mesh& mesh, std::span<const RankScripts* const> ranks) {
  std::vector<const CallScript*> train, eval;
  for (const RankScripts* rank : ranks) {
    train.push_back(&rank->train);
    if (rank->eval) eval.push_back(&*rank->eval);
  }
  WorldChecker(mesh, train).run();
  if (eval.empty()) return;
  for (size_t rank = 0; rank < ranks.size(); ++rank)
    if (!ranks[rank]->eval) fail("[programs] rank {} has no evaluation, where others have", rank);
  WorldChecker(mesh, eval).run();
}

void check_calls(comm::Communicator& world, const Mesh& mesh, const core::SessionPlan& plan) {
  if (world.size() == 1) return;
  const std::string bytes = bytes_of(mesh, scripts_of(plan));
  const Alike alike = find_alike(world, bytes);
  const std::map<int, std::string> gathered = gather(world, alike, bytes);
  std::string failure;
  if (world.rank() == 0) {
    try {
      check_gathered(mesh, alike, gathered);
    } catch (const Error& error) {
      failure = fmt::format("{}; all ranks must run the same job", error.what());
    }
  }
  tell(world, std::move(failure));
}

}  // namespace trireme::parallel
