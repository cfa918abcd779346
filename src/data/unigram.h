#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sdsclip {

/// A piece of the vocabulary.
struct Piece {
  std::string text;
  double score = 0;  ///< logarithm of its probability
};

/// Splits a word into its most likely pieces, like tokenizers 0.23.3 (`Unigram::encode_optimized`).
/// SentencePiece adds the scores in float32, so ties ("www" as "w" "ww" or "ww" "w") may come out
/// differently: in about one of 2,000 texts.
class Unigram {
 public:
  /// `byte_ids` are the ids of the pieces for the 256 bytes, or empty. Text that no piece covers becomes
  /// bytes, or `unknown` if there are none.
  Unigram(const std::vector<Piece>& pieces, std::int64_t unknown, std::vector<std::int64_t> byte_ids);

  /// Appends the ids of the UTF-8 word `word`.
  void encode(std::string_view word, std::vector<std::int64_t>& ids) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  struct Known {
    std::int64_t id = 0;
    double score = 0;
  };
  struct Step;
  void append_unknown(std::string_view text, std::vector<std::int64_t>& ids) const;

  std::unordered_map<std::string, Known, Hash, std::equal_to<>> pieces_;
  std::size_t longest_ = 0;  // bytes of the longest piece
  std::int64_t unknown_ = 0;
  double unknown_score_ = 0;
  std::vector<std::int64_t> byte_ids_;
};

}  // namespace sdsclip
