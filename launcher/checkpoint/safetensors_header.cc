#include "launcher/checkpoint/safetensors_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/refuse.h"

namespace trireme::launcher {
namespace {

using Json = nlohmann::json;
constexpr char kMetadata[] = "__metadata__";
static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

// Bytes of an element; 0 for a type that the format does not have, or packs below a byte.
int64_t element_bytes(std::string_view dtype) {
  constexpr std::pair<std::string_view, int64_t> kTypes[] = {
      {"F32", 4},     {"F16", 2},     {"BF16", 2},        {"F64", 8},        {"I64", 8},
      {"I32", 4},     {"I16", 2},     {"I8", 1},          {"U8", 1},         {"BOOL", 1},
      {"U16", 2},     {"U32", 4},     {"U64", 8},         {"C64", 8},        {"F8_E4M3", 1},
      {"F8_E5M2", 1}, {"F8_E8M0", 1}, {"F8_E4M3FNUZ", 1}, {"F8_E5M2FNUZ", 1}};
  for (const auto& [name, bytes] : kTypes)
    if (dtype == name) return bytes;
  return 0;
}

// What a hostile name may do to a terminal, and to a line's length.
std::string shown(const std::string& name) {
  std::string text = name.substr(0, kMaxNameBytes);
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return text;
}

// Receives the parser's events; a document tree of a hostile text would be many times its size.
// Levels: 0 nothing, 1 the header, 2 a tensor or the metadata, 3 a tensor's list of numbers.
class HeaderEvents final : public nlohmann::json_sax<Json> {
 public:
  HeaderEvents(int64_t data_bytes, const std::string& where, SafetensorsTypes types)
      : data_bytes_(data_bytes), where_(where), types_(types) {}

  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    if (level_ >= 2) bad("holds an object where none belongs");
    if (++level_ == 2) seen_.clear(), shape_.clear(), offsets_.clear();
    return true;
  }
  bool key(string_t& key) override {
    if (level_ == 1) {
      if (!names_.insert(key).second) refuse(where_, "tensor '{}' is there twice", shown(key));
      name_ = key;
      if (std::ssize(key) > kMaxNameBytes)
        bad(fmt::format("its name has {} bytes, at most {} are allowed", key.size(),
                        kMaxNameBytes));
    } else {
      if (!seen_.insert(key).second) bad("has a field twice");
      if (!in_metadata() && key != "dtype" && key != "shape" && key != "data_offsets")
        bad("expects dtype, shape and data_offsets, got another field");
      field_ = key;
    }
    return true;
  }
  bool end_object() override {
    if (--level_ == 1 && !in_metadata()) finish_tensor();
    return true;
  }
  bool start_array(std::size_t) override {
    if (level_ != 2 || in_metadata() || field_ == "dtype") bad("holds a list where none belongs");
    ++level_;
    return true;
  }
  bool end_array() override {
    --level_;
    return true;
  }
  bool string(string_t& value) override {
    if (level_ != 2 || (!in_metadata() && field_ != "dtype"))
      bad("holds a text where none belongs");
    if (in_metadata())
      header_.metadata[field_] = value;
    else if (types_ == SafetensorsTypes::kF32 && value != "F32")
      bad("expects dtype F32, got another");
    else if (element_bytes(value) == 0)
      bad("has a dtype that this program does not know");
    else
      dtype_ = value;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (level_ != 3) bad("holds a number where none belongs");
    auto& list = field_ == "shape" ? shape_ : offsets_;
    if (std::ssize(list) == kMaxTensorRank)
      bad(fmt::format("has more than {} {}", kMaxTensorRank,
                      field_ == "shape" ? "axes" : "offsets"));
    if (value > uint64_t{1} << 62) bad(fmt::format("holds a number that is too large: {}", value));
    list.push_back(static_cast<int64_t>(value));
    return true;
  }
  bool number_integer(number_integer_t) override { bad("holds a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    bad("holds a number that is not whole");
  }
  bool null() override { bad("holds a null"); }
  bool boolean(bool) override { bad("holds true or false"); }
  bool binary(binary_t&) override { bad("holds bytes"); }
  bool parse_error(std::size_t at, const std::string&, const Json::exception&) override {
    refuse(where_, "the header is not a JSON object: it is malformed at byte {}", at);
  }

 private:
  bool in_metadata() const { return name_ == kMetadata; }

  [[noreturn]] void bad(std::string_view what) const {
    if (level_ < 1 || name_.empty()) refuse(where_, "the header {}", what);
    refuse(where_, "tensor '{}': {}", shown(name_), what);
  }

  void finish_tensor() {
    if (seen_.size() != 3) bad("expects dtype, shape and data_offsets");
    if (offsets_.size() != 2) bad(fmt::format("expects two data_offsets, got {}", offsets_.size()));
    const int64_t begin = offsets_[0], end = offsets_[1];
    if (end < begin || end > data_bytes_)
      bad(fmt::format("its bytes [{}, {}) are not within the file's {}", begin, end, data_bytes_));
    core::Shape shape;
    try {
      shape = core::Shape(shape_);
    } catch (const InvalidArgument& error) {  // a product past 2^62
      bad(error.what());
    }
    const int64_t size = element_bytes(dtype_);
    if ((end - begin) % size != 0 || shape.elements() != (end - begin) / size)
      bad(fmt::format("shape {} does not fit {} bytes", shape.str(), end - begin));
    header_.entries.push_back({name_, shape, begin, end, dtype_});
  }

  int64_t data_bytes_;
  const std::string& where_;
  SafetensorsTypes types_;
  SafetensorsHeader header_;
  int level_ = 0;
  std::string name_, field_, dtype_;
  std::set<std::string> names_, seen_;
  std::vector<int64_t> shape_, offsets_;
};

void check_order(const SafetensorsHeader& header, int64_t data_bytes, const std::string& where) {
  int64_t expected = 0;
  for (const SafetensorsEntry& entry : header.entries) {
    if (entry.begin != expected)
      refuse(where, "tensor '{}' begins at byte {}, expected {}: tensors overlap or leave a gap",
             shown(entry.name), entry.begin, expected);
    expected = entry.end;
  }
  if (expected != data_bytes)
    refuse(where, "holds {} bytes of tensors, its header describes {}", data_bytes, expected);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, int64_t data_bytes,
                                           const std::string& where, SafetensorsTypes types) {
  // The format wants the object at once: a file must not be of another kind too.
  if (!text.starts_with('{')) refuse(where, "the header is not a JSON object");
  HeaderEvents events(data_bytes, where, types);
  Json::sax_parse(text, &events);
  SafetensorsHeader header = events.take();
  std::ranges::stable_sort(header.entries, {},
                           [](const auto& entry) { return std::pair(entry.begin, entry.end); });
  check_order(header, data_bytes, where);
  return header;
}

std::string make_safetensors_header(const SafetensorsHeader& header) {
  using Ordered = nlohmann::ordered_json;
  std::string text = "{";
  const auto put = [&](const std::string& key, const Ordered& value) {
    text += fmt::format("{}{}:{}", text.size() > 1 ? "," : "", Ordered(key).dump(), value.dump());
  };
  if (!header.metadata.empty()) put(kMetadata, header.metadata);
  // An object of many keys searches all of them for each new one; one tensor a time does not.
  for (const SafetensorsEntry& entry : header.entries) {
    const auto dims = entry.shape.dims();
    put(entry.name, {{"dtype", entry.dtype},
                     {"shape", std::vector<int64_t>(dims.begin(), dims.end())},
                     {"data_offsets", {entry.begin, entry.end}}});
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');  // tensors start 8-byte aligned
  const uint64_t length = text.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + text;
}

}  // namespace trireme::launcher
