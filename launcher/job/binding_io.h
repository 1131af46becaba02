// The two directions of a binding: Reader takes fields out of a message, Writer puts them in.
// Both have the same calls, so that one function template lists the fields of an options struct:
//
//   template <typename Io> void bind(Io& io, GroupOptions& o) { io("match", o.match); ... }
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "launcher/job/places.h"
#include "models/model_options.h"

namespace trireme::launcher {

template <typename T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T> || std::same_as<T, std::string>;

class Reader {
 public:
  Reader(const google::protobuf::Message& message, std::string path, const Places& places)
      : message_(message), path_(std::move(path)), places_(places) {
    reflection().ListFields(message_, &given_);
  }

  bool has(std::string_view name) const { return given(name) != nullptr; }

  template <Scalar T>
  void operator()(std::string_view name, T& value) {
    if (const Field* f = given(name)) value = get<T>(f);
  }

  template <Scalar T>
  void operator()(std::string_view name, std::optional<T>& value) {
    if (const Field* f = given(name)) value = get<T>(f);
  }

  template <Scalar T>
  void operator()(std::string_view name, std::vector<T>& values) {
    const Field* f = given(name);
    if (f == nullptr) return;
    values.clear();
    for (int i = 0; i < reflection().FieldSize(message_, f); ++i) {
      if constexpr (std::same_as<T, std::string>)
        values.push_back(reflection().GetRepeatedString(message_, f, i));
      else if constexpr (std::same_as<T, float>)
        values.push_back(reflection().GetRepeatedFloat(message_, f, i));
      else
        values.push_back(reflection().GetRepeatedInt64(message_, f, i));
    }
  }

  // One value for both axes, or two.
  void pair(std::string_view name, int64_t& h, int64_t& w) {
    std::vector<int64_t> values;
    (*this)(name, values);
    if (values.empty()) return;
    h = values.front();
    w = values.back();
  }

  // A message field, listed by `fields(io)`.
  template <typename Fields>
  void message(std::string_view name, Fields fields) {
    const Field* f = given(name);
    if (f == nullptr) return;
    Reader inner(reflection().GetMessage(message_, f), join_path(path_, name), places_);
    fields(inner);
  }

  template <typename T, typename Fields>
  void messages(std::string_view name, std::vector<T>& values, Fields fields) {
    const Field* f = given(name);
    if (f == nullptr) return;
    for (int i = 0; i < reflection().FieldSize(message_, f); ++i) {
      Reader inner(reflection().GetRepeatedMessage(message_, f, i),
                   join_path(path_, name) + "[" + std::to_string(i) + "]", places_);
      fields(inner, values.emplace_back());
    }
  }

  // One case of a oneof. It holds in `value` where `is(value)`; read, it starts from `start`.
  template <typename Variant, typename T, typename Is, typename Fields>
  void choice(std::string_view name, Variant& value, T start, Is, Fields fields) {
    message(name, [&](Reader& inner) {
      fields(inner, start);
      value = std::move(start);
    });
  }

  void place(models::SourcePlace& place) { place.text = places_.of(path_); }

 private:
  using Field = google::protobuf::FieldDescriptor;

  // Null if the message does not have it. (That the schema knows the name is seen by the Writer.)
  const Field* given(std::string_view name) const {
    const auto found = std::ranges::find(
        given_, name, [](const Field* f) -> std::string_view { return f->name(); });
    return found == given_.end() ? nullptr : *found;
  }

  const google::protobuf::Reflection& reflection() const { return *message_.GetReflection(); }

  template <typename T>
  T get(const Field* f) const {
    if constexpr (std::same_as<T, bool>)
      return reflection().GetBool(message_, f);
    else if constexpr (std::is_enum_v<T>)
      return static_cast<T>(reflection().GetEnumValue(message_, f));
    else if constexpr (std::same_as<T, int32_t>)
      return reflection().GetInt32(message_, f);
    else if constexpr (std::same_as<T, int64_t>)
      return reflection().GetInt64(message_, f);
    else if constexpr (std::same_as<T, uint64_t>)
      return reflection().GetUInt64(message_, f);
    else if constexpr (std::same_as<T, float>)
      return reflection().GetFloat(message_, f);
    else if constexpr (std::same_as<T, double>)
      return reflection().GetDouble(message_, f);
    else
      return reflection().GetString(message_, f);
  }

  const google::protobuf::Message& message_;
  std::string path_;
  const Places& places_;
  std::vector<const Field*> given_;
};

class Writer {
 public:
  explicit Writer(google::protobuf::Message& message) : message_(message) {}

  bool has(std::string_view) const { return true; }

  template <Scalar T>
  void operator()(std::string_view name, T& value) {
    const Field* f = field(name);
    if constexpr (std::same_as<T, bool>)
      reflection().SetBool(&message_, f, value);
    else if constexpr (std::is_enum_v<T>)
      reflection().SetEnumValue(&message_, f, static_cast<int>(value));
    else if constexpr (std::same_as<T, int32_t>)
      reflection().SetInt32(&message_, f, value);
    else if constexpr (std::same_as<T, int64_t>)
      reflection().SetInt64(&message_, f, value);
    else if constexpr (std::same_as<T, uint64_t>)
      reflection().SetUInt64(&message_, f, value);
    else if constexpr (std::same_as<T, float>)
      reflection().SetFloat(&message_, f, value);
    else if constexpr (std::same_as<T, double>)
      reflection().SetDouble(&message_, f, value);
    else
      reflection().SetString(&message_, f, value);
  }

  template <Scalar T>
  void operator()(std::string_view name, std::optional<T>& value) {
    if (value) (*this)(name, *value);
  }

  template <Scalar T>
  void operator()(std::string_view name, std::vector<T>& values) {
    const Field* f = field(name);
    for (const T& value : values) {
      if constexpr (std::same_as<T, std::string>)
        reflection().AddString(&message_, f, value);
      else if constexpr (std::same_as<T, float>)
        reflection().AddFloat(&message_, f, value);
      else
        reflection().AddInt64(&message_, f, value);
    }
  }

  void pair(std::string_view name, int64_t& h, int64_t& w) {
    std::vector<int64_t> values = {h};
    if (w != h) values.push_back(w);
    (*this)(name, values);
  }

  template <typename Fields>
  void message(std::string_view name, Fields fields) {
    Writer inner(*reflection().MutableMessage(&message_, field(name)));
    fields(inner);
  }

  template <typename T, typename Fields>
  void messages(std::string_view name, std::vector<T>& values, Fields fields) {
    for (T& value : values) {
      Writer inner(*reflection().AddMessage(&message_, field(name)));
      fields(inner, value);
    }
  }

  template <typename Variant, typename T, typename Is, typename Fields>
  void choice(std::string_view name, Variant& value, T, Is is, Fields fields) {
    if (!is(value)) return;
    message(name, [&](Writer& inner) { fields(inner, held<T>(value)); });
  }

  void place(models::SourcePlace&) {}

 private:
  using Field = google::protobuf::FieldDescriptor;

  const Field* field(std::string_view name) const {
    const Field* found = message_.GetDescriptor()->FindFieldByName(std::string(name));
    ensure(found != nullptr, name);
    return found;
  }

  const google::protobuf::Reflection& reflection() const { return *message_.GetReflection(); }

  // The alternative T of a variant, of an optional variant, or the value itself.
  template <typename T, typename Variant>
  static T& held(Variant& value) {
    if constexpr (std::same_as<Variant, T>)
      return value;
    else if constexpr (requires { value.has_value(); })
      return std::get<T>(*value);
    else
      return std::get<T>(value);
  }

  google::protobuf::Message& message_;
};

}  // namespace trireme::launcher
