#include "comm/mpi_communicator.h"

#include <algorithm>
#include <cstring>

#include "comm/mpi_types.h"
#include "core/base/error.h"

namespace trireme::comm {
namespace {

constexpr int kTag = 0;  // pairs match in order, on a communicator of their own

// What an operation keeps between two polls.
struct Progress {
  MPI_Request request = MPI_REQUEST_NULL;
  MpiBlock block;
  int64_t piece = 0;  // of a reduction that is cut into pieces
};
static_assert(sizeof(Progress) <= sizeof(Operation::state));

Progress& progress_of(Operation& operation) {
  return *reinterpret_cast<Progress*>(operation.state.data());
}

std::byte* at(void* base, int64_t elements, DType dtype) {
  return static_cast<std::byte*>(base) + elements * core::size_of(dtype);
}

const std::byte* at(const void* base, int64_t elements, DType dtype) {
  return static_cast<const std::byte*>(base) + elements * core::size_of(dtype);
}

int rank_in(MPI_Comm comm) {
  int rank = 0;
  check(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  return rank;
}

int size_of_group(MPI_Comm comm) {
  int size = 0;
  check(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  return size;
}

class MpiCommunicator final : public EngineCommunicator {
 public:
  // On the comm thread; takes over `comm`.
  MpiCommunicator(MPI_Comm comm, const MpiOps& ops, int64_t largest, std::shared_ptr<Engine> engine)
      : EngineCommunicator(rank_in(comm), size_of_group(comm), std::move(engine)),
        comm_(comm),
        ops_(ops),
        largest_(largest) {}

  ~MpiCommunicator() override {
    retire();
    if (engine().failed()) return;  // peers may be gone: let the job's end free it
    engine().run([this] { MPI_Comm_free(&comm_); });
  }

  std::string_view transport() const override { return "mpi"; }
  std::unique_ptr<Communicator> split(int color, int key) override;
  std::unique_ptr<Communicator> host_group();
  bool advance(Operation& operation) override;

 private:
  template <typename MakeComm>
  std::unique_ptr<Communicator> make(const MakeComm& make_comm);
  // Both start a call or its next piece; false if there is nothing left to start.
  bool start(Operation& operation, Progress& progress);
  int start_whole(Operation& operation, Progress& progress);
  int start_all_reduce(const CollectiveCall& call, Progress& progress);
  int start_reduce_scatter(Operation& operation, Progress& progress);
  int start_reduce_scatter_piece(const CollectiveCall& call, Progress& progress);
  void finish(Operation& operation, Progress& progress);

  int64_t pieces(const CollectiveCall& call) const;
  bool scatter_in_place(const CollectiveCall& call) const {
    return call.recv == at(call.send, rank() * call.count, call.dtype);
  }

  MPI_Comm comm_;
  MpiOps ops_;
  int64_t largest_;
};

template <typename MakeComm>
std::unique_ptr<Communicator> MpiCommunicator::make(const MakeComm& make_comm) {
  engine().drain();  // what follows blocks, also the calls of other streams
  std::unique_ptr<Communicator> group;
  engine().run([&] {
    MPI_Comm comm = MPI_COMM_NULL;
    make_comm(&comm);
    if (comm == MPI_COMM_NULL) return;
    group = std::make_unique<MpiCommunicator>(comm, ops_, largest_, shared_engine());
  });
  return group;
}

std::unique_ptr<Communicator> MpiCommunicator::split(int color, int key) {
  return make([&](MPI_Comm* comm) {
    comm::check(MPI_Comm_split(comm_, color < 0 ? MPI_UNDEFINED : color, key, comm),
                "MPI_Comm_split");
  });
}

std::unique_ptr<Communicator> MpiCommunicator::host_group() {
  return make([&](MPI_Comm* comm) {
    comm::check(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank(), MPI_INFO_NULL, comm),
                "MPI_Comm_split_type");
  });
}

bool MpiCommunicator::advance(Operation& operation) {
  Progress& progress = progress_of(operation);
  if (operation.step == 0) {
    progress = Progress{};
    operation.step = 1;
    start(operation, progress);
  }
  while (true) {
    int done = 0;
    const int status = MPI_Test(&progress.request, &done, MPI_STATUS_IGNORE);
    if (status != MPI_SUCCESS) comm::check(status, describe(operation.call, size()));
    if (done == 0) return false;
    if (!start(operation, progress)) break;
  }
  finish(operation, progress);
  return true;
}

// Reductions beyond `largest_` go in pieces; a reduce_scatter's piece is one root's part.
int64_t MpiCommunicator::pieces(const CollectiveCall& call) const {
  const int64_t cuts = (call.count + largest_ - 1) / largest_;
  if (call.kind == CollectiveKind::kAllReduce) return cuts;
  if (call.kind == CollectiveKind::kReduceScatter && call.count > largest_ / size())
    return cuts * size();
  return 1;
}

bool MpiCommunicator::start(Operation& operation, Progress& progress) {
  if (progress.piece == pieces(operation.call)) return false;
  const int status = start_whole(operation, progress);
  if (status != MPI_SUCCESS) comm::check(status, describe(operation.call, size()));
  ++progress.piece;
  operation.more_to_start = progress.piece < pieces(operation.call);
  return true;
}

int MpiCommunicator::start_whole(Operation& operation, Progress& progress) {
  const CollectiveCall& call = operation.call;
  if (call.kind == CollectiveKind::kAllReduce) return start_all_reduce(call, progress);
  if (call.kind == CollectiveKind::kReduceScatter) return start_reduce_scatter(operation, progress);
  progress.block = make_block(call.count, call.dtype, largest_);
  const int count = progress.block.count;
  const MPI_Datatype type = progress.block.type;
  MPI_Request* request = &progress.request;
  switch (call.kind) {
    case CollectiveKind::kAllGather: {
      const bool in_place = call.send == at(call.recv, rank() * call.count, call.dtype);
      return MPI_Iallgather(in_place ? MPI_IN_PLACE : call.send, count, type, call.recv, count,
                            type, comm_, request);
    }
    case CollectiveKind::kBroadcast:
      if (call.peer == rank() && call.send != call.recv)
        std::memcpy(call.recv, call.send, call.count * core::size_of(call.dtype));
      return MPI_Ibcast(call.recv, count, type, call.peer, comm_, request);
    case CollectiveKind::kAllToAll:
      return MPI_Ialltoall(call.send, count, type, call.recv, count, type, comm_, request);
    case CollectiveKind::kSend:
      return MPI_Isend(call.send, count, type, call.peer, kTag, comm_, request);
    default:
      return MPI_Irecv(call.recv, count, type, call.peer, kTag, comm_, request);
  }
}

int MpiCommunicator::start_all_reduce(const CollectiveCall& call, Progress& progress) {
  const int64_t begin = progress.piece * largest_;
  const int count = static_cast<int>(std::min(largest_, call.count - begin));
  const void* send = call.send == call.recv ? MPI_IN_PLACE : at(call.send, begin, call.dtype);
  return MPI_Iallreduce(send, at(call.recv, begin, call.dtype), count, mpi_type(call.dtype),
                        ops_.of(call.dtype, call.op), comm_, &progress.request);
}

// MPI's in-place form leaves the result at the buffer's start, and buffers must not overlap: in
// place the result goes through the stream's scratch.
int MpiCommunicator::start_reduce_scatter(Operation& operation, Progress& progress) {
  const CollectiveCall& call = operation.call;
  if (pieces(call) > 1) return start_reduce_scatter_piece(call, progress);
  void* recv = call.recv;
  if (scatter_in_place(call)) {
    const auto bytes = static_cast<size_t>(call.count * core::size_of(call.dtype));
    if (operation.scratch->size() < bytes) operation.scratch->resize(bytes);
    recv = operation.scratch->data();
  }
  return MPI_Ireduce_scatter_block(call.send, recv, static_cast<int>(call.count),
                                   mpi_type(call.dtype), ops_.of(call.dtype, call.op), comm_,
                                   &progress.request);
}

int MpiCommunicator::start_reduce_scatter_piece(const CollectiveCall& call, Progress& progress) {
  const int root = static_cast<int>(progress.piece % size());
  const int64_t begin = progress.piece / size() * largest_;
  const int count = static_cast<int>(std::min(largest_, call.count - begin));
  const bool in_place = root == rank() && scatter_in_place(call);
  const void* send = at(call.send, root * call.count + begin, call.dtype);
  return MPI_Ireduce(in_place ? MPI_IN_PLACE : send, at(call.recv, begin, call.dtype), count,
                     mpi_type(call.dtype), ops_.of(call.dtype, call.op), root, comm_,
                     &progress.request);
}

void MpiCommunicator::finish(Operation& operation, Progress& progress) {
  const CollectiveCall& call = operation.call;
  free_block(progress.block);
  if (call.kind == CollectiveKind::kReduceScatter && pieces(call) == 1 && scatter_in_place(call))
    std::memcpy(call.recv, operation.scratch->data(), call.count * core::size_of(call.dtype));
}

}  // namespace

std::string mpi_library() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  std::string version(text.data(), length);
  version = version.substr(0, version.find_first_of(",\n"));
  std::replace(version.begin(), version.end(), '\t', ' ');
  version.erase(std::unique(version.begin(), version.end(),
                            [](char a, char b) { return a == ' ' && b == ' '; }),
                version.end());
  return version;
}

void mpi_init(Engine& engine) {
  engine.run([] {
    int provided = MPI_THREAD_SINGLE;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    if (provided < MPI_THREAD_FUNNELED)
      throw SystemError("[mpi] the library gives no MPI_THREAD_FUNNELED");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  });
}

void mpi_finalize(Engine& engine) {
  engine.run([] { check(MPI_Finalize(), "MPI_Finalize"); });
}

void mpi_abort(Engine& engine, int code) {
  engine.post([code] { MPI_Abort(MPI_COMM_WORLD, code); });
}

std::unique_ptr<Communicator> mpi_world(const std::shared_ptr<Engine>& engine,
                                        int64_t largest_count) {
  std::unique_ptr<Communicator> world;
  engine->run([&] {
    MPI_Comm comm = MPI_COMM_NULL;
    check(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup");
    world = std::make_unique<MpiCommunicator>(comm, MpiOps(), largest_count, engine);
  });
  return world;
}

std::unique_ptr<Communicator> mpi_host_group(Communicator& world) {
  return dynamic_cast<MpiCommunicator&>(world).host_group();
}

}  // namespace trireme::comm
