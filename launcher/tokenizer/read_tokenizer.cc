#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launcher/data/errors.h"
#include "launcher/tokenizer/tokenizer.h"

namespace trireme::launcher {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Files spell a byte as a printable character: those of Latin-1 that print as themselves, the
// others, in order, as U+0100 and on. Source: bytes_to_unicode of GPT-2's encoder.py.
class ByteAlphabet {
 public:
  ByteAlphabet() {
    char32_t next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
      byte_of_[prints ? static_cast<char32_t>(byte) : next++] = static_cast<char>(byte);
    }
  }

  // The bytes that a token's spelling stands for; nothing if it has a character of no byte's.
  std::optional<std::string> bytes_of(std::string_view spelling) const {
    std::string bytes;
    for (size_t i = 0; i < spelling.size();) {
      const auto lead = static_cast<unsigned char>(spelling[i++]);
      char32_t character = lead;
      if (lead >= 0xC0 && lead < 0xE0 && i < spelling.size())  // all are below U+0800
        character = (lead & 0x1Fu) << 6 | (static_cast<unsigned char>(spelling[i++]) & 0x3Fu);
      const auto found = byte_of_.find(character);
      if (found == byte_of_.end()) return std::nullopt;
      bytes += found->second;
    }
    return bytes;
  }

 private:
  std::unordered_map<char32_t, char> byte_of_;
};

class Reader {
 public:
  explicit Reader(const fs::path& folder) : folder_(folder) {}

  TokenizerFiles read() {
    try {
      if (fs::exists(folder_ / "tokenizer.json"))
        read_tokenizer_json();
      else
        read_vocabulary_and_merges();
    } catch (const json::exception& error) {
      refuse("is damaged: {}", error.what());
    }
    return std::move(files_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    bad_data("[tokenizer] {}: {}", file_.string(),
             fmt::format(format, std::forward<Args>(args)...));
  }

  std::string text_of(const char* name) {
    file_ = folder_ / name;
    std::ifstream stream(file_, std::ios::binary);
    if (!stream)
      refuse(
          "cannot be opened; a tokenizer's folder has tokenizer.json, or vocab.json and "
          "merges.txt");
    std::ostringstream text;
    text << stream.rdbuf();
    return std::move(text).str();
  }

  void read_vocabulary_and_merges() {
    files_.patterns = {kGpt2Pattern};
    read_vocabulary(json::parse(text_of("vocab.json")));
    std::istringstream lines(text_of("merges.txt"));
    for (std::string line; std::getline(lines, line);)
      if (!line.empty() && !line.starts_with("#version")) add_merge(line);
    constexpr const char* kEnd = "<|endoftext|>";
    if (const auto end = files_.vocabulary.find(kEnd); end != files_.vocabulary.end())
      files_.added[kEnd] = end->second;
  }

  void read_tokenizer_json() {
    const json whole = json::parse(text_of("tokenizer.json"));
    const json& model = whole.at("model");
    if (model.value("type", "BPE") != "BPE" || model.value("byte_fallback", false))
      refuse("its model is no byte-level BPE, the only kind that is known");
    for (const char* part : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
      if (model.contains(part) && !model[part].is_null() && model[part] != "")
        refuse("its model has a {}, which is not known", part);
    if (whole.contains("normalizer") && !whole["normalizer"].is_null())
      refuse("it normalizes text ({}), which is not known",
             whole["normalizer"].value("type", "of no type"));
    files_.whole_first = model.value("ignore_merges", false);
    read_vocabulary(model.at("vocab"));
    for (const json& merge : model.at("merges"))
      if (merge.is_string())
        add_merge(merge.get<std::string>());
      else
        add_merge(merge.at(0).get<std::string>(), merge.at(1).get<std::string>());
    read_splits(whole.at("pre_tokenizer"));
    if (!is_byte_level_) refuse("nothing in it turns text into bytes (ByteLevel)");
    for (const json& token : whole.value("added_tokens", json::array())) read_added(token);
  }

  void read_vocabulary(const json& vocabulary) {
    for (const auto& [spelling, number] : vocabulary.items())
      files_.vocabulary[alphabet_.bytes_of(spelling).value_or(spelling)] = number_of(number);
  }

  int32_t number_of(const json& number) const {
    constexpr int64_t kMost = 1 << 24;
    if (!number.is_number_integer() || number.get<int64_t>() < 0 || number.get<int64_t>() >= kMost)
      refuse("expects numbers of tokens in [0, {}), got {}", kMost, number.dump());
    return number.get<int32_t>();
  }

  void add_merge(const std::string& line) {
    const size_t blank = line.find(' ');
    if (blank == std::string::npos) refuse("expects merges of two parts, got '{}'", line);
    add_merge(line.substr(0, blank), line.substr(blank + 1));
  }

  void add_merge(const std::string& left, const std::string& right) {
    files_.merges.emplace_back(alphabet_.bytes_of(left).value_or(left),
                               alphabet_.bytes_of(right).value_or(right));
  }

  void read_splits(const json& how) {
    const std::string type = how.at("type");
    if (type == "Sequence") {
      for (const json& one : how.at("pretokenizers")) read_splits(one);
    } else if (type == "Split") {
      if (how.at("behavior") != "Isolated" || how.value("invert", false) ||
          !how.at("pattern").contains("Regex"))
        refuse("it splits text in a way that is not known: {}", how.dump());
      files_.patterns.push_back(how["pattern"]["Regex"]);
    } else if (type == "ByteLevel") {
      is_byte_level_ = true;
      files_.leading_blank = how.value("add_prefix_space", true);
      if (how.value("use_regex", true)) files_.patterns.emplace_back(kGpt2Pattern);
    } else {
      refuse("it splits text in a way that is not known: {}", type);
    }
  }

  void read_added(const json& token) {
    const std::string content = token.at("content");
    for (const char* flag : {"single_word", "lstrip", "rstrip"})
      if (token.value(flag, false)) refuse("'{}' has {}, which is not known", content, flag);
    if (content.empty()) refuse("an added token is empty");
    files_.added[content] = number_of(token.at("id"));
  }

  fs::path folder_, file_;
  ByteAlphabet alphabet_;
  TokenizerFiles files_;
  bool is_byte_level_ = false;
};

}  // namespace

TokenizerFiles read_tokenizer(const fs::path& folder) { return Reader(folder).read(); }

}  // namespace trireme::launcher
