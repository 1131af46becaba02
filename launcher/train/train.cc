#include "launcher/train/train.h"

#include "launcher/train/run.h"

namespace trireme::launcher {

ExitCode train(const TrainArguments& arguments, const Extensions& extensions, comm::World& world) {
  return Run(arguments, extensions, world).execute();
}

}  // namespace trireme::launcher
