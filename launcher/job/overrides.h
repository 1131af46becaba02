// --set PATH=VALUE: fields of a job replaced from the command line.
//
//   train.seed=2                      a scalar
//   model.mlp.hidden=[64, 64]         a list, whole; one value makes a list of one
//   model.layer[2].conv2d.kernel=3    inside an element that is there
//   optimizer.sgd.lr=0.1              another case of a choice: the one in the file is dropped
//   data.train.idx.images=a b.gz      text needs no quotes
//   model.lenet5={}                   a message, whole
#pragma once

#include <google/protobuf/message.h>

#include <string_view>

#include "launcher/job/diagnostics.h"
#include "launcher/job/places.h"

namespace trireme::launcher {

// Applies one --set to `job`. Errors go to `diagnostics`, under the text of the --set.
void apply_set(std::string_view set, google::protobuf::Message& job, Places& places,
               Diagnostics& diagnostics);

}  // namespace trireme::launcher
