#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sdsclip {

/// A piece of a vocabulary.
struct Piece {
  std::string text;
  double score = 0;  ///< logarithm of its probability
};

/// The likeliest pieces of a word, as tokenizers 0.23.3 finds them (`Unigram::encode_optimized`).
///
/// SentencePiece does the same, but adds the scores in float32, so that ties ("www" as "w" "ww" or "ww" "w")
/// fall differently: on one of some 2,000 texts.
class Unigram {
 public:
  /// `byte_ids`: the ids of the pieces for the 256 bytes, or none; what no piece covers becomes those, or
  /// `unknown`.
  Unigram(const std::vector<Piece>& pieces, std::int64_t unknown, std::vector<std::int64_t> byte_ids);

  /// Appends the ids of `word`, UTF-8.
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
  std::size_t longest_ = 0;  // bytes of a piece
  std::int64_t unknown_ = 0;
  double unknown_score_ = 0;
  std::vector<std::int64_t> byte_ids_;
};

}  // namespace sdsclip
