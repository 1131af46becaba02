// Manifests that no writer makes: an encoded one, changed as text or as wire bytes, in an envelope
// that is right again.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include <memory>
#include <string>

#include "core/base/error.h"
#include "launcher/checkpoint/envelope.h"
#include "small_checkpoint.h"

namespace trireme::launcher {

inline std::string payload_of(const std::string& file) {
  const auto payload = open_envelope(bytes_of(file), "test");
  return {reinterpret_cast<const char*>(payload.data()), payload.size()};
}

// manifest.pb.h is manifest.cc's alone; the schema is found by its name.
inline std::unique_ptr<google::protobuf::Message> parse_payload(const std::string& payload) {
  namespace pb = google::protobuf;
  const pb::Descriptor* type =
      pb::DescriptorPool::generated_pool()->FindMessageTypeByName("trireme.checkpoint.Manifest");
  std::unique_ptr<pb::Message> message(
      pb::MessageFactory::generated_factory()->GetPrototype(type)->New());
  ensure(message->ParseFromString(payload), "the payload parses");
  return message;
}

// With the first `from` of its text replaced by `to`.
inline std::string edited(const std::string& file, const std::string& from, const std::string& to) {
  const auto message = parse_payload(payload_of(file));
  std::string text;
  google::protobuf::TextFormat::PrintToString(*message, &text);
  const size_t at = text.find(from);
  ensure(at != std::string::npos, "the text to replace is there: " + from);
  text.replace(at, from.size(), to);
  ensure(google::protobuf::TextFormat::ParseFromString(text, message.get()),
         "the replaced text parses: " + to);
  return close_envelope(message->SerializeAsString());
}

}  // namespace trireme::launcher
