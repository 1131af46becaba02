// Job text into a message, going on after each error so that all are found in one pass.
//
// google::protobuf::TextFormat stops at the first error, so this is written on its tokenizer and
// on reflection. The syntax is text format's, without what a job has no use for: extensions,
// <...> for braces, text in several pieces, numbers for enum values.
//
// After an error the parser goes on at the next field. A "}" that was forgotten is put where a
// field stands that belongs to a message further out.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "launcher/job/diagnostics.h"
#include "launcher/job/places.h"
#include "launcher/job/token_stream.h"

namespace trireme::launcher {

class Parser {
 public:
  // All are borrowed. Every field that is found is recorded in `places`, even if its value is bad.
  Parser(TokenStream& tokens, Places& places, Diagnostics& diagnostics)
      : tokens_(tokens), places_(places), diagnostics_(diagnostics) {}

  // The fields of `root`, to the end of the text.
  void parse(google::protobuf::Message& root);

  // One value for `field` of `message`, whose path is `path`, and nothing after it: a scalar, a
  // list [a, b] if the field is repeated, or a message between braces.
  void parse_single(google::protobuf::Message& message,
                    const google::protobuf::FieldDescriptor& field, const std::string& path);

 private:
  using Message = google::protobuf::Message;
  using Field = google::protobuf::FieldDescriptor;
  struct Open {  // a message whose "}" is still to come
    const google::protobuf::Descriptor* type;
    bool brace_assumed;
  };

  void parse_fields(Message& message, const std::string& path);
  void parse_field(Message& message, const std::string& path);
  void parse_known(Message& message, const Field& field, const std::string& path);
  void accept_colon(const Field& field, const std::string& path);
  void parse_value(Message& message, const Field& field, const std::string& path, Origin origin);
  void parse_list(Message& message, const Field& field, const std::string& path);
  void parse_element(Message& message, const Field& field, const std::string& path, Origin origin);
  void parse_message(Message& message, const std::string& path);
  void close_message(const std::string& path, Origin opened);

  // Why the field may not be set a second time, or beside another; empty if it may.
  std::string conflict(const Message& message, const Field& field, const std::string& path) const;
  bool open_brace(const google::protobuf::Descriptor& type, const std::string& path);
  bool unwind_to_owner(const std::string& path);
  void stray_token(const std::string& path);
  void report(const std::string& message_path, Origin origin, std::string text);

  TokenStream& tokens_;
  Places& places_;
  Diagnostics& diagnostics_;
  std::vector<Open> open_;
  size_t unwind_to_ = kNowhere;  // the number of open messages at which parsing goes on
  int closings_assumed_ = 0;     // "}" that were put in and may still turn up
  static constexpr size_t kNowhere = static_cast<size_t>(-1);
};

}  // namespace trireme::launcher
