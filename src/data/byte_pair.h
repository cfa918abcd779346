#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sdsclip {

/// The byte-pair encoding of CLIP: 256 symbols for the bytes inside a word, 256 for the last byte of a word
/// (`</w>`), then one for each merge, in this order (OpenAI CLIP, `simple_tokenizer.py`).
class BytePairMerges {
 public:
  /// `merges`: one "left right" a line, first merge first. `name` stands for the list in errors
  /// (`Error(kInput)`).
  BytePairMerges(std::string_view merges, const std::string& name);

  /// The ids of one word (at least one byte): the pair with the earliest merge is joined until no merge
  /// applies.
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view word) const;

  /// How many symbols there are.
  [[nodiscard]] std::int32_t size() const { return static_cast<std::int32_t>(symbols_.size()); }

  /// A symbol as vocabularies write it, such as "Ġ" for the byte 32 or "cat</w>".
  [[nodiscard]] const std::string& symbol(std::int32_t id) const {
    return symbols_[static_cast<std::size_t>(id)];
  }

 private:
  using Ids = std::unordered_map<std::string, std::int32_t>;
  void add_merge(std::string_view line, const std::string& where, Ids& ids);
  [[nodiscard]] std::int32_t joined(std::int32_t left, std::int32_t right) const;

  std::vector<std::string> symbols_;
  std::unordered_map<std::uint64_t, std::int32_t> merged_;  // (left, right) to the symbol that they become
  std::vector<std::int32_t> byte_ids_;                      // of the 256 bytes inside a word
};

}  // namespace sdsclip
