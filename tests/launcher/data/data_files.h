// Files that tests make on the fly: IDX, gzip'ed or not, whole or broken.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace trireme::launcher {

using Bytes = std::vector<uint8_t>;

// A folder of its own for each test, removed with it.
class DataFiles : public testing::Test {
 protected:
  DataFiles() {
    std::string pattern = (std::filesystem::temp_directory_path() / "trireme-data-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~DataFiles() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  std::string write(const std::string& name, const Bytes& bytes) const {
    std::ofstream(path(name), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<int64_t>(bytes.size()));
    return path(name);
  }

 private:
  std::filesystem::path folder_;
};

inline void append_big_endian(Bytes& bytes, uint32_t value) {
  for (int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<uint8_t>(value >> shift));
}

inline Bytes idx_header(uint32_t magic, const std::vector<uint32_t>& dims) {
  Bytes bytes;
  append_big_endian(bytes, magic);
  for (uint32_t dim : dims) append_big_endian(bytes, dim);
  return bytes;
}

// u8 elements 7 i mod 251: no two neighbours alike, no period of a row.
inline Bytes idx_images(const std::vector<uint32_t>& dims) {
  Bytes bytes = idx_header(0x800 + static_cast<uint32_t>(dims.size()), dims);
  size_t count = 1;
  for (uint32_t dim : dims) count *= dim;
  for (size_t i = 0; i < count; ++i) bytes.push_back(static_cast<uint8_t>(7 * i % 251));
  return bytes;
}

inline Bytes idx_labels(const Bytes& labels) {
  Bytes bytes = idx_header(0x801, {static_cast<uint32_t>(labels.size())});
  bytes.insert(bytes.end(), labels.begin(), labels.end());
  return bytes;
}

inline Bytes gzipped(const Bytes& bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes out(deflateBound(&stream, bytes.size()) + 64);
  stream.next_in = const_cast<uint8_t*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline Bytes joined(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
inline Bytes first_bytes(Bytes bytes, size_t count) {
  bytes.resize(count);
  return bytes;
}

// The message of the InvalidArgument with the code for bad data that `act` throws.
inline std::string bad_data_message(const std::function<void()>& act,
                                    ExitCode code = ExitCode::kBadData) {
  try {
    act();
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(error.code(), code);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "not one line";
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace trireme::launcher
