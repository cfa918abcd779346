#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// Which library's text cleaning comes before tokenization.
enum class TextCleaning {
  kOpenClip,      ///< open_clip's `lower`: ftfy, HTML entities, whitespace, lower case
  kTransformers,  ///< transformers' `CLIPTokenizer`: NFC, whitespace, lower case of each character
  kWhitespace,    ///< open_clip's `whitespace`: ftfy, HTML entities, whitespace
  kCanonicalize   ///< open_clip's `canonicalize`: like `whitespace`, then lower case without punctuation
};

/// What happens to a text of more than `context_length` tokens, start and end included.
enum class Overflow {
  kTruncate,  ///< keep the first ids; the last one kept becomes `eot` (open_clip, transformers)
  kError      ///< throw `Error(kInput)` that names the text (OpenAI's CLIP)
};

/// The tokenizer section of a bundle.
struct TokenizerOptions {
  static constexpr std::int64_t kNone = -1;

  TextCleaning clean = TextCleaning::kOpenClip;  ///< that of the model's source library
  int context_length = 77;                       ///< ids per text, 2 or more
  std::int64_t sot = 49406;                      ///< start-of-text id, or `kNone`
  std::int64_t eot = 49407;                      ///< end-of-text id
  std::int64_t pad = 0;                          ///< id that fills the rest
  Overflow overflow = Overflow::kTruncate;       ///< what happens to a text that is too long
};

class TextEncoder;

/// Turns texts into token ids. Several threads may use it at once.
class Tokenizer {
 public:
  Tokenizer(std::unique_ptr<const TextEncoder> encoder, const TokenizerOptions& options,
            const std::string& name);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Returns exactly `context_length` ids: `sot`, the text's ids, `eot`, then `pad`. Throws `Error(kInput)`
  /// if `text` is not UTF-8, has more than 1 MiB, has HTML entities nested too deep, or has too many tokens
  /// with `Overflow::kError`.
  [[nodiscard]] std::vector<std::int64_t> encode(std::string_view text) const;

  /// The text's own ids, without `sot`, `eot` and `pad`; they may be more than `context_length`.
  [[nodiscard]] std::vector<std::int64_t> encode_without_padding(std::string_view text) const;

  [[nodiscard]] const TokenizerOptions& options() const { return options_; }
  [[nodiscard]] std::int64_t vocab_size() const;

 private:
  std::unique_ptr<const TextEncoder> encoder_;
  TokenizerOptions options_;
};

/// CLIP's byte-pair encoding, id for id like the library that `options.clean` names: open_clip 3.3.0
/// `SimpleTokenizer` with ftfy 6.3.1, or transformers 5.24.0 `CLIPTokenizer` (tokenizers 0.23.3).
///
/// `merges` is the text of a merges list: one "left right" per line, first merge first, no header. `name`
/// names the list in errors. Throws `Error(kInput)` if the list is malformed or the options do not fit it.
///
/// Known differences, all on text that is rare in captions:
/// - ftfy also repairs mojibake (text decoded with the wrong encoding, such as "sÃ³" for "só"). This
///   tokenizer does not; it does everything else that ftfy does.
/// - Character properties and case come from ICU 72 (Unicode 15.0). Python 3.11 has Unicode 14.0; `regex` and
///   tokenizers have later versions. Characters newer than 14.0 may be split or lowered differently.
/// - transformers treats the padding token as special wherever it appears in a text: with `pad` 0 (Stable
///   Diffusion 2) each "!" becomes id 0. `TextCleaning::kTransformers` does the same.
Tokenizer clip_tokenizer(std::string_view merges, const TokenizerOptions& options,
                         const std::string& name = "merges");

/// The files of a SentencePiece tokenizer, as `export_clip.py` writes them.
struct SentencePieceFiles {
  std::string model;      ///< a SentencePiece model without normalization
  std::string charsmap;   ///< the model's table of character replacements; empty: none
  bool is_pairs = false;  ///< pieces are merged pair by pair (Gemma) instead of by likelihood (T5)
};

/// A SentencePiece tokenizer, id for id like open_clip 3.3.0's `HFTokenizer` with transformers 5.24.0
/// (tokenizers 0.23.3). The differences that `clip_tokenizer` lists for cleaning apply here too. `name` names
/// the model in errors. Throws `Error(kInput)` if a file is malformed or the options do not fit it.
Tokenizer sentencepiece_tokenizer(const SentencePieceFiles& files, const TokenizerOptions& options,
                                  const std::string& name);

/// BERT's WordPiece in lower case, id for id that of open_clip 3.3.0's `HFTokenizer` with transformers 5.24.0
/// (tokenizers 0.23.3) and its cleaning `whitespace`; the limits of `clip_tokenizer` on cleaning hold here
/// too.
///
/// `vocabulary`: BERT's vocab.txt, one piece a line, the line's number from 0 its id; [PAD], [UNK], [CLS],
/// [SEP] and [MASK] are among them, and `sot` is the id of [CLS]. A text may hold these tokens too; [SEP] is
/// then `eot`. `name` stands for the vocabulary in errors. Throws `Error(kInput)` on a malformed one.
Tokenizer wordpiece_tokenizer(std::string_view vocabulary, const TokenizerOptions& options,
                              const std::string& name);

}  // namespace sdsclip
