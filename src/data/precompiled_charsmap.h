#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// SentencePiece's table of character replacements (NFKC and more), applied like tokenizers 0.23.3
/// (`Precompiled`), which differs slightly from SentencePiece. A grapheme of fewer than six bytes is replaced
/// as a whole by the replacement of its shortest known prefix; other text is replaced character by character.
class PrecompiledCharsmap {
 public:
  /// `blob` is the table in a SentencePiece model. Throws `Error(kInput)` that names `name`.
  PrecompiledCharsmap(std::string_view blob, const std::string& name);

  /// `text` is UTF-8.
  [[nodiscard]] std::string normalize(std::string_view text) const;

 private:
  [[nodiscard]] const char* find(std::string_view characters) const;
  void append_grapheme(std::string_view grapheme, std::string& out) const;

  std::vector<std::uint32_t> trie_;  // a double array, as Darts-clone writes it
  std::string replacements_;         // each ends with NUL
};

}  // namespace sdsclip
