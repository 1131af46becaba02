// One value of a field that is no message: numbers, words and text, checked and stored.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "launcher/job/diagnostics.h"
#include "launcher/job/token_stream.h"

namespace trireme::launcher {

// Reads the value at `tokens` into `field` of `message` (added at the end if it is repeated).
// A value that does not fit is reported under `path` and skipped; returns whether it was stored.
bool read_scalar(TokenStream& tokens, google::protobuf::Message& message,
                 const google::protobuf::FieldDescriptor& field, const std::string& path,
                 Diagnostics& diagnostics);

// Whether text may be a value: UTF-8 on one line, without control characters.
bool is_plain_text(std::string_view text);

}  // namespace trireme::launcher
