// Language: windows of tokens, each with the tokens that follow as its labels.
//
//   tokens  (S) i32: tokens [n S, n S + S) of a file
//   labels  (S) i32: tokens [n S + 1, n S + S + 1)
//
// A window lies within one file; what is left at a file's end, fewer than S + 1 tokens, is not
// read.
#pragma once

#include <string>
#include <vector>

#include "launcher/data/dataset.h"
#include "launcher/data/options.h"
#include "launcher/data/token_file.h"

namespace trireme::launcher {

class TokenDataset : public Dataset {
 public:
  // Opens the files and checks their sizes; tokens are checked as they are read.
  // Throws InvalidArgument (kBadData) in one line for what TokenFile refuses, and for a file that
  // is shorter than one window.
  explicit TokenDataset(const TokensOptions& options);
  explicit TokenDataset(const TextOptions& options);

  int64_t size() const override { return first_window_.back(); }
  core::Shape feature_shape() const override { return {context_}; }
  int64_t classes() const override { return vocabulary_; }
  core::DType feature_type() const override { return core::DType::kI32; }
  core::Shape label_shape() const override { return {context_}; }
  void read(int64_t index, Sample out) const override;
  std::string name() const override;
  // A hash of the sizes and of 64 windows spread over the files.
  std::string identity() const override { return identity_; }

 private:
  TokenDataset(const std::vector<std::string>& patterns, TokenContent content, int64_t vocabulary,
               int64_t context);
  void add(TokenFile file);
  std::string make_identity() const;

  int64_t vocabulary_, context_;
  std::vector<TokenFile> files_;
  std::vector<int64_t> first_window_{0};  // of each file, and the number of all
  std::string identity_;
};

}  // namespace trireme::launcher
