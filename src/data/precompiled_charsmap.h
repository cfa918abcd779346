#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// SentencePiece's table of character replacements (NFKC and more), applied as tokenizers 0.23.3 does
/// (`Precompiled`), which is not quite what SentencePiece itself does: a grapheme of fewer than six bytes is
/// replaced as a whole by what its shortest known beginning stands for, any other character by character.
class PrecompiledCharsmap {
 public:
  /// `blob`: the table as a SentencePiece model holds it. Throws `Error(kInput)` that names `name`.
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
