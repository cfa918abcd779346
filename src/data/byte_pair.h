#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sdsclip {

/// CLIP's byte-pair encoding (OpenAI CLIP, `simple_tokenizer.py`). Its symbols are, in this order: 256 for
/// the bytes inside a word, 256 for the last byte of a word (`</w>`), and one per merge.
class BytePairMerges {
 public:
  /// `merges` has one "left right" per line, first merge first. `name` names the list in errors
  /// (`Error(kInput)`).
  BytePairMerges(std::string_view merges, const std::string& name);

  /// Appends the ids of one word: merges the earliest pair until no merge applies.
  void encode(std::string_view word, std::vector<std::int64_t>& ids) const;

  /// The number of symbols.
  [[nodiscard]] std::int32_t size() const { return static_cast<std::int32_t>(symbols_.size()); }

  /// A symbol as vocabularies write it: "Ġ" for the byte 32, "cat</w>".
  [[nodiscard]] const std::string& symbol(std::int32_t id) const {
    return symbols_[static_cast<std::size_t>(id)];
  }

 private:
  using Ids = std::unordered_map<std::string, std::int32_t>;
  void add_merge(std::string_view line, const std::string& where, Ids& ids);
  [[nodiscard]] std::int32_t joined(std::int32_t left, std::int32_t right) const;

  std::vector<std::string> symbols_;
  std::unordered_map<std::uint64_t, std::int32_t> merged_;  // (left, right) to the merged symbol
  std::vector<std::int32_t> byte_ids_;                      // for the 256 bytes inside a word
};

}  // namespace sdsclip
