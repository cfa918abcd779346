#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// Whose cleaning of the text before it is cut into tokens.
enum class TextCleaning {
  kOpenClip,      ///< open_clip's `lower`: ftfy, HTML entities, whitespace, lower case
  kTransformers,  ///< transformers' `CLIPTokenizer`: NFC, whitespace, lower case of each character
  kWhitespace,    ///< open_clip's `whitespace`: ftfy, HTML entities, whitespace
  kCanonicalize   ///< open_clip's `canonicalize`: the same, without punctuation, in lower case
};

/// What to do with a text of more than `context_length` tokens, start and end included.
enum class Overflow {
  kTruncate,  ///< keep the first ones, the last kept one becomes `eot` (open_clip, transformers)
  kError      ///< `Error(kInput)` that names the text (OpenAI's CLIP)
};

/// The tokenizer part of a bundle.
struct TokenizerOptions {
  static constexpr std::int64_t kNone = -1;

  TextCleaning clean = TextCleaning::kOpenClip;  ///< as the model's source library does
  int context_length = 77;                       ///< ids a text, 2 or more
  std::int64_t sot = 49406;                      ///< id of the start of the text, or `kNone`
  std::int64_t eot = 49407;                      ///< id of its end
  std::int64_t pad = 0;                          ///< id that fills the rest
  Overflow overflow = Overflow::kTruncate;       ///< of too long a text
};

class TextEncoder;

/// Text to ids. Safe to use from several threads at once.
class Tokenizer {
 public:
  Tokenizer(std::unique_ptr<const TextEncoder> encoder, const TokenizerOptions& options,
            const std::string& name);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Exactly `context_length` ids: `sot`, the text's, `eot`, and `pad` to the end. `text` is UTF-8; throws
  /// `Error(kInput)` where it is not, has more than 1 MiB or HTML entities nested without end, and on too many
  /// tokens with `Overflow::kError`.
  [[nodiscard]] std::vector<std::int64_t> encode(std::string_view text) const;

  /// The text's own ids, of any number, without `sot`, `eot` and `pad`.
  [[nodiscard]] std::vector<std::int64_t> encode_without_padding(std::string_view text) const;

  [[nodiscard]] const TokenizerOptions& options() const { return options_; }
  [[nodiscard]] std::int64_t vocab_size() const;

 private:
  std::unique_ptr<const TextEncoder> encoder_;
  TokenizerOptions options_;
};

/// CLIP's byte-pair encoding, id for id that of the library that `options.clean` names:
/// open_clip 3.3.0 `SimpleTokenizer` with ftfy 6.3.1, or transformers 5.24.0 `CLIPTokenizer` (tokenizers
/// 0.23.3).
///
/// `merges`: the text of a merges list, one "left right" a line, first merge first, no header. `name`
/// stands for it in errors. Throws `Error(kInput)` on a malformed list and on options that do not fit it.
///
/// Limits, all of them on text that captions hardly ever hold:
/// - ftfy also undoes mojibake (text decoded with the wrong encoding, such as "sÃ³" for "só"). We do not:
/// such
///   text keeps its characters. Everything else that ftfy does is done.
/// - Character properties and case come from ICU 72 (Unicode 15.0), and Python 3.11 has Unicode 14.0, `regex`
///   and tokenizers later versions; so characters newer than 14.0 may be split or lowered differently.
/// - transformers takes the padding token for special wherever it stands in a text: with `pad` 0 (Stable
///   Diffusion 2) each "!" becomes id 0. So do we, with `TextCleaning::kTransformers`.
Tokenizer clip_tokenizer(std::string_view merges, const TokenizerOptions& options,
                         const std::string& name = "merges");

/// The files of a SentencePiece tokenizer, as `export_clip.py` writes them.
struct SentencePieceFiles {
  std::string model;      ///< a SentencePiece model that leaves its input as it is
  std::string charsmap;   ///< its table of character replacements; empty: none
  bool is_pairs = false;  ///< pieces are joined pair by pair (Gemma), not chosen for the likeliest text (T5)
};

/// A SentencePiece tokenizer, id for id that of open_clip 3.3.0's `HFTokenizer` with transformers 5.24.0
/// (tokenizers 0.23.3); the limits of `clip_tokenizer` on cleaning hold here too. `name` stands for the model
/// in errors. Throws `Error(kInput)` on a file that is none and on options that do not fit it.
Tokenizer sentencepiece_tokenizer(const SentencePieceFiles& files, const TokenizerOptions& options,
                                  const std::string& name);

}  // namespace sdsclip
