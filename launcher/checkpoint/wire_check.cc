#include "launcher/checkpoint/wire_check.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/refuse.h"

namespace trireme::launcher {
namespace {

namespace pb = google::protobuf;
using Wire = pb::internal::WireFormatLite;

class WireCheck {
 public:
  WireCheck(std::span<const std::byte> payload, const std::map<std::string, int64_t>& at_most,
            const std::string& where)
      : in_(reinterpret_cast<const uint8_t*>(payload.data()), static_cast<int>(payload.size())),
        left_(at_most),
        where_(where) {}

  // Recursion is as deep as the schema, which refers to no message twice.
  void message(const pb::Descriptor& type) {
    uint64_t seen = 0;  // by the field's index; schemas here have few
    while (const uint32_t tag = in_.ReadTag()) {
      const pb::FieldDescriptor* field = type.FindFieldByNumber(Wire::GetTagFieldNumber(tag));
      if (!field)
        refuse(where_, "{} has the unknown field {}: a newer version wrote it, or it is damaged",
               type.name(), Wire::GetTagFieldNumber(tag));
      if (Wire::GetTagWireType(tag) != wire_type(*field)) malformed(type);
      const uint64_t bit = uint64_t{1} << field->index();
      if ((seen & bit) && !is_repeated_message(*field))
        refuse(where_, "{}.{} is there twice", type.name(), field->name());
      seen |= bit;
      value(*field);
    }
    if (!in_.ConsumedEntireMessage()) malformed(type);
    for (int i = 0; i < type.field_count(); ++i)
      if (!type.field(i)->is_repeated() && !(seen >> i & 1))
        refuse(where_, "{}.{} is missing", type.name(), type.field(i)->name());
  }

 private:
  static bool is_repeated_message(const pb::FieldDescriptor& field) {
    return field.is_repeated() && field.message_type() != nullptr;
  }
  static Wire::WireType wire_type(const pb::FieldDescriptor& field) {
    if (field.is_packed()) return Wire::WIRETYPE_LENGTH_DELIMITED;
    return Wire::WireTypeForFieldType(static_cast<Wire::FieldType>(field.type()));
  }
  [[noreturn]] void malformed(const pb::Descriptor& type) const {
    refuse(where_, "{} is malformed at byte {} of the payload", type.name(), in_.CurrentPosition());
  }

  void value(const pb::FieldDescriptor& field) {
    uint64_t number = 0;
    bool read = false;
    switch (wire_type(field)) {
      case Wire::WIRETYPE_VARINT:
        read = in_.ReadVarint64(&number);
        break;
      case Wire::WIRETYPE_FIXED64:
        read = in_.ReadLittleEndian64(&number);
        break;
      case Wire::WIRETYPE_LENGTH_DELIMITED:
        read = delimited(field);
        break;
      default:
        break;
    }
    if (!read) malformed(*field.containing_type());
  }

  bool delimited(const pb::FieldDescriptor& field) {
    int length = 0;
    if (!in_.ReadVarintSizeAsInt(&length)) return false;
    const int left =
        in_.BytesUntilLimit() >= 0 ? in_.BytesUntilLimit() : in_.BytesUntilTotalBytesLimit();
    if (length > left) return false;
    if (const pb::Descriptor* type = field.message_type()) {
      const auto most = left_.find(std::string(type->name()));
      if (most != left_.end() && --most->second < 0)
        refuse(where_, "has too many of {} (launcher/checkpoint/limits.h)", type->name());
      const auto outer = in_.PushLimit(length);
      message(*type);
      in_.PopLimit(outer);
      return true;
    }
    // A varint of one byte becomes eight in memory; only axes are written so, and they are few.
    const bool axes = field.type() == pb::FieldDescriptor::TYPE_UINT64;
    const bool text = field.type() == pb::FieldDescriptor::TYPE_BYTES;
    if (axes && length > kMaxTensorRank * 10)
      refuse(where_, "{}.{} has more than {} axes", field.containing_type()->name(), field.name(),
             kMaxTensorRank);
    if (text && length > kMaxTextBytes)
      refuse(where_, "{}.{} has {} bytes, at most {} are allowed", field.containing_type()->name(),
             field.name(), length, kMaxTextBytes);
    return in_.Skip(length);
  }

  pb::io::CodedInputStream in_;
  std::map<std::string, int64_t> left_;
  const std::string& where_;
};

}  // namespace

void check_wire(const pb::Descriptor& type, std::span<const std::byte> payload,
                const std::map<std::string, int64_t>& at_most, const std::string& where) {
  WireCheck(payload, at_most, where).message(type);
}

}  // namespace trireme::launcher
