#include "launcher/train/data_shapes.h"

#include "core/base/error.h"
#include "launcher/data/split.h"

namespace trireme::launcher {

namespace {

DataShapes shapes_of(const DatasetInfo& train) {
  return {.train_samples = train.size,
          .sample = train.feature_shape,
          .classes = train.classes,
          .sample_type = train.feature_type,
          .labels = train.label_shape};
}

}  // namespace

DataShapes shapes_of(const DataSets& data) {
  DataShapes shapes = shapes_of(data.train->info());
  if (data.eval) shapes.eval_samples = data.eval->size();
  return shapes;
}

DataShapes inspect_data(const DataOptions& data, const DatasetFactories& factories) {
  const DatasetInfo train = inspect(data.train, factories);
  DataShapes shapes = shapes_of(train);
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
