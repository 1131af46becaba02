#include "launcher/train/data_shapes.h"

#include "core/base/error.h"
#include "launcher/data/split.h"

namespace trireme::launcher {

DataShapes shapes_of(const DataSets& data) {
  return {.train_samples = data.train->size(),
          .eval_samples = data.eval ? data.eval->size() : 0,
          .sample = data.train->feature_shape(),
          .classes = data.train->classes()};
}

DataShapes inspect_data(const DataOptions& data, const DatasetFactories& factories) {
  const DatasetInfo train = inspect(data.train, factories);
  DataShapes shapes{
      .train_samples = train.size, .sample = train.feature_shape, .classes = train.classes};
  if (data.eval) {
    const DatasetInfo eval = inspect(*data.eval, factories);
    check_alike(train, eval);
    shapes.eval_samples = eval.size;
  } else if (data.validation_fraction > 0) {
    shapes.eval_samples = validation_samples(train.size, data.validation_fraction);
    shapes.train_samples -= shapes.eval_samples;
  }
  return shapes;
}

}  // namespace trireme::launcher
