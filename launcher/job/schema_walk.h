// Fields of a message by their descriptors, with the errors that name what there is instead.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

namespace trireme::launcher {

// Names live as long as the schema.
std::vector<std::string_view> field_names(const google::protobuf::Descriptor& message);
std::vector<std::string_view> value_names(const google::protobuf::EnumDescriptor& type);

// "train", or "the job" for the outermost message.
std::string message_name(std::string_view path);
// The field of the message that `name` may have been meant as; empty if there is none.
std::string_view closest_field(const google::protobuf::Descriptor& message, std::string_view name);
// `unknown field "sed" of train; did you mean "seed"?`, where "seed" is the closest field.
std::string unknown_field(const google::protobuf::Descriptor& message, std::string_view path,
                          std::string_view name, std::string_view closest);
inline std::string unknown_field(const google::protobuf::Descriptor& message, std::string_view path,
                                 std::string_view name) {
  return unknown_field(message, path, name, closest_field(message, name));
}

// What a value of the field looks like: "a whole number", "one of FP32, BF16".
std::string expected_value(const google::protobuf::FieldDescriptor& field);

// The field that must give way if `field` is set: another case of its oneof, or, in a model, the
// layers beside the ready-made networks. Null if there is none.
const google::protobuf::FieldDescriptor* rival_of(const google::protobuf::Message& message,
                                                  const google::protobuf::FieldDescriptor& field);
// "mlp, lenet5, layer": the cases of the choice that `field` belongs to.
std::string choice_names(const google::protobuf::FieldDescriptor& field);

}  // namespace trireme::launcher
