#include "launcher/data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <vector>

#include "tests/launcher/data/data_files.h"

namespace trireme::launcher {
namespace {

class Idx : public DataFiles {
 protected:
  IdxOptions options(const Bytes& images, const Bytes& labels) const {
    return {write("images", images), write("labels", labels), 10, {}};
  }
  // Opens the dataset; what it says with the folder's name taken out.
  std::string complaint(const IdxOptions& options) const {
    return shortened(bad_data_message([&] { IdxDataset dataset(options); }));
  }
  std::string shortened(std::string text) const {
    const std::string folder = path("");
    for (size_t at; (at = text.find(folder)) != std::string::npos;) text.erase(at, folder.size());
    return text;
  }
};

// The features and label of one sample.
std::pair<std::vector<float>, int32_t> read(const Dataset& dataset, int64_t index) {
  std::vector<float> features(dataset.feature_shape().elements());
  int32_t label = -1;
  dataset.read(index, {features, label});
  return {features, label};
}

const Bytes kImages = idx_images({5, 3, 2});
const Bytes kLabels = idx_labels({0, 9, 3, 3, 1});

TEST_F(Idx, ReadsPlainAndPackedAlike) {
  const IdxDataset plain(options(kImages, kLabels));
  const IdxDataset packed(
      {write("images.gz", gzipped(kImages)), write("labels.gz", gzipped(kLabels)), 10, {}});
  for (const IdxDataset* dataset : {&plain, &packed}) {
    EXPECT_EQ(dataset->size(), 5);
    EXPECT_EQ(dataset->feature_shape(), (core::Shape{3, 2, 1}));
    EXPECT_EQ(dataset->classes(), 10);
    for (int64_t n : {4, 0, 2}) {
      const auto [features, label] = read(*dataset, n);
      EXPECT_EQ(label, kLabels[8 + n]);
      for (int64_t i = 0; i < 6; ++i)
        EXPECT_EQ(features[i], static_cast<float>(kImages[16 + 6 * n + i] / 255.0));
    }
  }
  EXPECT_EQ(plain.identity(), packed.identity());
  EXPECT_EQ(shortened(plain.name()), "images");
}

TEST_F(Idx, NormalisesByChannel) {
  IdxOptions rgb = options(idx_images({4, 2, 3, 3}), idx_labels({1, 2, 3, 4}));
  rgb.normalization = {{0.5f, 0.25f, 0.1f}, {0.5f, 2, 0.3f}};
  const IdxDataset dataset(rgb);
  EXPECT_EQ(dataset.feature_shape(), (core::Shape{2, 3, 3}));
  const auto [features, label] = read(dataset, 3);
  for (int64_t i = 0; i < 18; ++i) {
    const double mean = rgb.normalization.mean[i % 3], stddev = rgb.normalization.stddev[i % 3];
    const double pixel = static_cast<double>(7 * (3 * 18 + i) % 251) / 255;
    EXPECT_NEAR(features[i], (pixel - mean) / stddev, 1e-6);
  }
  rgb.normalization = {{0.5f}, {}};
  EXPECT_EQ(read(IdxDataset(rgb), 0).first[4], static_cast<float>(28 / 255.0 - 0.5));
}

TEST_F(Idx, OneImageOfOnePixel) {
  const IdxDataset dataset(options(idx_images({1, 1, 1}), idx_labels({7})));
  EXPECT_EQ(read(dataset, 0), std::make_pair(std::vector<float>{0}, 7));
}

// Larger than one chunk of packed bytes and one step of unpacking.
TEST_F(Idx, PackedFilesOfSeveralChunksAndMembers) {
  Bytes images = idx_header(0x803, {3001, 31, 29});
  uint32_t state = 1;
  while (images.size() < 16 + 3001 * 31 * 29)
    images.push_back(static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24));
  const Bytes head(images.begin(), images.begin() + 1000000);
  const Bytes tail(images.begin() + 1000000, images.end());
  const IdxOptions both{write("images.gz", joined(gzipped(head), gzipped(tail))),
                        write("labels", idx_labels(Bytes(3001, 2))),
                        10,
                        {}};
  const IdxDataset dataset(both);
  for (int64_t n : {0, 1112, 3000}) {
    const std::vector<float> features = read(dataset, n).first;
    for (int64_t i = 0; i < 31 * 29; ++i)
      ASSERT_EQ(features[i], static_cast<float>(images[16 + n * 31 * 29 + i] / 255.0));
  }
}

TEST_F(Idx, InspectReadsHeadersOnly) {
  const Bytes packed = gzipped(idx_images({5, 40, 50}));
  // Cut in the middle of the data: the header is still there.
  const IdxOptions cut{
      write("images.gz", first_bytes(packed, packed.size() / 2)), write("labels", kLabels), 7, {}};
  const DatasetInfo info = inspect(cut);
  EXPECT_EQ(info.size, 5);
  EXPECT_EQ(info.feature_shape, (core::Shape{40, 50, 1}));
  EXPECT_EQ(info.classes, 7);
  const IdxOptions uneven = options(kImages, idx_labels({1, 2}));
  EXPECT_EQ(shortened(bad_data_message([&] { inspect(uneven); })),
            "[idx] labels: expects 5 labels, as many as images has images, got 2");
}

TEST_F(Idx, IdentityTellsDataApart) {
  const std::string base = IdxDataset(options(kImages, kLabels)).identity();
  Bytes other = kImages;
  other[16 + 7] ^= 1;
  EXPECT_NE(IdxDataset(options(other, kLabels)).identity(), base);
  EXPECT_NE(IdxDataset(options(kImages, idx_labels({0, 9, 3, 3, 2}))).identity(), base);
  IdxOptions scaled = options(kImages, kLabels);
  scaled.normalization.mean = {0.5f};
  EXPECT_NE(IdxDataset(scaled).identity(), base);
  EXPECT_EQ(base.find('\n'), std::string::npos);
}

struct BadFile {
  const char* what;
  Bytes images;
  const char* message;
};

TEST_F(Idx, BadImagesEachSayWhatIsWrong) {
  Bytes crc = gzipped(kImages);
  crc[crc.size() - 8] ^= 0xff;
  Bytes length = gzipped(kImages);
  length[length.size() - 4] ^= 0xff;
  Bytes flipped = gzipped(kImages);
  flipped[14] ^= 0xff;
  const uint32_t kMax = 0xffffffffu;
  const BadFile table[] = {
      {"empty", {}, "[data] images: expects a data file, got an empty file"},
      {"one byte", {0}, "[idx] images: expects a magic number of 4 bytes, got 1 bytes in all"},
      {"no IDX", Bytes{'P', 'K', 3, 4, 5, 6},
       "[idx] images: expects images with the magic number 0x00000803 or 0x00000804, got "
       "0x504b0304, which is no IDX file's"},
      {"labels", kLabels,
       "[idx] images: expects images with the magic number 0x00000803 or 0x00000804, got "
       "0x00000801 (u8 of rank 1): are images and labels swapped?"},
      {"floats", idx_header(0xd03, {1, 1, 1}),
       "[idx] images: expects images with the magic number 0x00000803 or 0x00000804, got "
       "0x00000d03 (f32 of rank 3)"},
      {"rank 5", idx_header(0x805, {1, 1, 1, 1, 1}),
       "[idx] images: expects images with the magic number 0x00000803 or 0x00000804, got "
       "0x00000805 (u8 of rank 5)"},
      {"little endian", Bytes{3, 8, 0, 0, 0, 0, 0, 1},
       "[idx] images: expects images with the magic number 0x00000803 or 0x00000804, got "
       "0x03080000, which is no IDX file's"},
      {"header cut", first_bytes(kImages, 14),
       "[idx] images: expects 3 dimensions of 4 bytes each, got 10 bytes after the magic number"},
      {"no image", idx_header(0x803, {0, 28, 28}),
       "[idx] images: expects dimensions of at least 1, got (0, 28, 28)"},
      {"flat images", idx_header(0x803, {5, 28, 0}),
       "[idx] images: expects dimensions of at least 1, got (5, 28, 0)"},
      {"product past 2^96", idx_header(0x804, {kMax, kMax, kMax, kMax}),
       "[idx] images: expects fewer than 2^62 elements, got dimensions (4294967295, 4294967295, "
       "4294967295, 4294967295)"},
      {"product of 2^62", idx_header(0x803, {1u << 31, 1u << 31, 1}),
       "[idx] images: expects fewer than 2^62 elements, got dimensions (2147483648, 2147483648, "
       "1)"},
      {"product that wraps to 0", idx_header(0x804, {1u << 31, 1u << 31, 4, 1}),
       "[idx] images: expects fewer than 2^62 elements, got dimensions (2147483648, 2147483648, 4, "
       "1)"},
      {"huge", joined(idx_header(0x803, {1u << 30, 1u << 15, 1u << 15}), Bytes(7)),
       "[idx] images: dimensions (1073741824, 32768, 32768) expect a file of 1152921504606846992 "
       "bytes, got 23: truncated by 1152921504606846969 bytes"},
      {"truncated", first_bytes(kImages, kImages.size() - 1),
       "[idx] images: dimensions (5, 3, 2) expect a file of 46 bytes, got 45: truncated by 1 "
       "bytes"},
      {"oversized", joined(kImages, {1, 2, 3}),
       "[idx] images: dimensions (5, 3, 2) expect a file of 46 bytes, got 49: 3 bytes too many"},
      {"packed huge", gzipped(joined(idx_header(0x803, {1u << 30, 1u << 15, 1u << 15}), Bytes(7))),
       "[idx] images: dimensions (1073741824, 32768, 32768) expect 1152921504606846976 bytes of "
       "data, got 7: truncated"},
      {"packed truncated before packing", gzipped(first_bytes(kImages, 30)),
       "[idx] images: dimensions (5, 3, 2) expect 30 bytes of data, got 14: truncated"},
      {"packed oversized", gzipped(joined(kImages, {1})),
       "[idx] images: dimensions (5, 3, 2) expect 30 bytes of data, got more"},
      {"packed nothing", gzipped({}),
       "[idx] images: expects a magic number of 4 bytes, got 0 bytes in all"},
      {"gzip truncated in the data", first_bytes(gzipped(kImages), 30),
       "[gzip] images: truncated: expects more compressed data, got the end of the file"},
      {"gzip truncated in the checksum", first_bytes(gzipped(kImages), gzipped(kImages).size() - 3),
       "[gzip] images: truncated: expects more compressed data, got the end of the file"},
      {"gzip magic alone", Bytes{0x1f, 0x8b},
       "[gzip] images: truncated: expects more compressed data, got the end of the file"},
      {"gzip checksum", crc, "[gzip] images: corrupt: incorrect data check"},
      {"gzip length", length, "[gzip] images: corrupt: incorrect length check"},
      {"gzip header", Bytes{0x1f, 0x8b, 99, 99, 99, 99},
       "[gzip] images: corrupt: unknown compression method"},
      {"gzip with trailing bytes", joined(gzipped(kImages), {0, 0}),
       "[gzip] images: expects the file to end with its gzip data, got further bytes"},
      {"gzip with a broken second member", joined(gzipped(kImages), {0x1f, 0}),
       "[gzip] images: corrupt: incorrect header check"},
  };
  for (const BadFile& bad : table)
    EXPECT_EQ(complaint(options(bad.images, kLabels)), bad.message) << bad.what;
  EXPECT_NE(complaint(options(flipped, kLabels)), "nothing was thrown");
}

TEST_F(Idx, BadLabelsEachSayWhatIsWrong) {
  const BadFile table[] = {
      {"images", kImages,
       "[idx] labels: expects labels with the magic number 0x00000801, got 0x00000803 (u8 of rank "
       "3): are images and labels swapped?"},
      {"too few", idx_labels({1, 2, 3}),
       "[idx] labels: expects 5 labels, as many as images has images, got 3"},
      {"too many", idx_labels({1, 2, 3, 4, 5, 6}),
       "[idx] labels: expects 5 labels, as many as images has images, got 6"},
      {"first class too many", idx_labels({1, 2, 10, 200, 5}),
       "[idx] labels: label 2 expects a class from 0 to 9, got 10"},
      {"last label", idx_labels({1, 2, 0, 0, 255}),
       "[idx] labels: label 4 expects a class from 0 to 9, got 255"},
      {"truncated", first_bytes(kLabels, 11),
       "[idx] labels: dimensions (5) expect a file of 13 bytes, got 11: truncated by 2 bytes"},
  };
  for (const BadFile& bad : table)
    EXPECT_EQ(complaint(options(kImages, bad.images)), bad.message) << bad.what;
}

TEST_F(Idx, WhatIsNoFileSaysSo) {
  const IdxOptions good = options(kImages, kLabels);
  IdxOptions bad = good;
  bad.images = path("absent");
  EXPECT_EQ(complaint(bad), "[data] absent: cannot be opened: No such file or directory");
  bad.images = path("folder");
  std::filesystem::create_directory(bad.images);
  EXPECT_EQ(complaint(bad), "[data] folder: expects a data file, got a directory");
  bad.images = path("pipe");
  ASSERT_EQ(::mkfifo(bad.images.c_str(), 0600), 0);
  EXPECT_EQ(complaint(bad),
            "[data] pipe: expects a data file, got something that is no regular file");
  bad = good;
  bad.labels = path("absent");
  EXPECT_EQ(complaint(bad), "[data] absent: cannot be opened: No such file or directory");
}

TEST_F(Idx, AFileCutShortWhileInUseSaysSo) {
  const IdxDataset dataset(options(kImages, kLabels));
  std::filesystem::resize_file(path("images"), 16 + 6 * 4 + 2);
  EXPECT_EQ(shortened(bad_data_message([&] { read(dataset, 4); })),
            "[idx] images: expects 6 bytes from row 4 on, got 2: was the file changed?");
  EXPECT_EQ(read(dataset, 3).second, 3);
}

TEST_F(Idx, BadOptionsAreTheJobsFault) {
  const auto complaint = [&](auto change) {
    IdxOptions bad = options(idx_images({1, 2, 2, 3}), idx_labels({0}));
    change(bad);
    return bad_data_message([&] { IdxDataset dataset(bad); }, ExitCode::kUsage);
  };
  EXPECT_EQ(complaint([](IdxOptions& o) { o.classes = 0; }),
            "[idx] classes expects at least 1, got 0");
  EXPECT_EQ(
      complaint([](IdxOptions& o) {
        o.normalization.mean = {1, 2};
      }),
      "[data] normalization.mean expects one value or one for each of 3 channels, got 2 values");
  EXPECT_EQ(complaint([](IdxOptions& o) {
              o.normalization.stddev = {1, 2, 0};
            }),
            "[data] normalization.stddev expects values above 0, got 0");
  EXPECT_EQ(complaint([](IdxOptions& o) { o.normalization.mean = {NAN}; }),
            "[data] normalization.mean expects finite values, got nan");
}

}  // namespace
}  // namespace trireme::launcher
