#include "sdsclip/data/tokenizer.h"

#include <algorithm>
#include <utility>

#include "byte_pair.h"
#include "special_tokens.h"
#include "text_cleaning.h"
#include "text_encoder.h"
#include "unicode.h"
#include "word_cache.h"

namespace sdsclip {
namespace {

/// Whether the word pattern ignores case, as `regex` does with IGNORECASE (open_clip), or not (transformers).
/// The text is lower case by then, so only two characters differ.
enum class Case { kIgnored, kKept };
constexpr char32_t kLongS = 0x17F;  // equals "s" if case is ignored
constexpr char32_t kCombiningIota =
    0x0345;  // equals the letter iota if case is ignored, which keeps it out of [^\s\p{L}\p{N}]

/// Whether `text` continues with `ascii` at `at`.
bool continues_with(std::u32string_view text, std::size_t at, std::u32string_view ascii, Case letter_case) {
  if (text.size() - at < ascii.size()) return false;
  for (std::size_t i = 0; i < ascii.size(); ++i) {
    const bool long_s = letter_case == Case::kIgnored && ascii[i] == U's' && text[at + i] == kLongS;
    if (text[at + i] != ascii[i] && !long_s) return false;
  }
  return true;
}

/// The end of the run of accepted characters that starts at `at`.
template <typename Accept>
std::size_t run_end(std::u32string_view text, std::size_t at, Accept accept) {
  while (at < text.size() && accept(text[at])) ++at;
  return at;
}

/// The end of the match of CLIP's word pattern at `at`, or `at` if there is none:
/// `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`.
std::size_t word_end(std::u32string_view text, std::size_t at, Case letter_case) {
  for (const std::u32string_view ending : {U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"}) {
    if (continues_with(text, at, ending, letter_case)) return at + ending.size();
  }
  if (is_letter(text[at])) return run_end(text, at, is_letter);
  if (is_number(text[at])) return at + 1;
  return run_end(text, at, [letter_case](char32_t c) {
    const bool kept_out = letter_case == Case::kIgnored && c == kCombiningIota;
    return !is_white_space(c) && !is_letter(c) && !is_number(c) && !kept_out;
  });
}

class ClipEncoder final : public TextEncoder {
 public:
  ClipEncoder(std::string_view merges, const TokenizerOptions& options, const std::string& name)
      : options_(options), merges_(merges, name) {
    if (options.clean == TextCleaning::kTransformers) {
      add_special(U"<|startoftext|>", options.sot);
      add_special(U"<|endoftext|>", options.eot);
      // transformers treats the padding token as special wherever it appears: with Stable Diffusion 2, "!" is
      // id 0 instead of the word "!".
      if (options.pad < merges_.size()) {
        add_special(to_code_points(merges_.symbol(static_cast<std::int32_t>(options.pad))), options.pad);
      }
    }
  }

  void encode(std::string_view text, std::vector<std::int64_t>& ids) const override {
    if (options_.clean == TextCleaning::kOpenClip) {
      encode_as_open_clip(clean_as_open_clip(to_code_points(text)), ids);
    } else {
      encode_as_transformers(to_code_points(text), ids);
    }
  }

  [[nodiscard]] std::int64_t vocab_size() const override { return merges_.size() + 2; }

 private:
  void add_special(std::u32string text, std::int64_t id) { specials_.push_back({std::move(text), id}); }

  void encode_as_open_clip(std::u32string_view text, std::vector<std::int64_t>& ids) const {
    const SpecialToken specials[] = {{U"<start_of_text>", options_.sot}, {U"<end_of_text>", options_.eot}};
    for (std::size_t at = 0; at < text.size();) {
      std::size_t end = at;
      for (const SpecialToken& special : specials) {
        if (!continues_with(text, at, special.text, Case::kIgnored)) continue;
        end = at + special.text.size();
        if (text.substr(at, end - at) == special.text) {
          ids.push_back(special.id);
        } else {  // with a long s the pattern matches, but it is not a special token: one odd word
          encode_word(text.substr(at, end - at), ids);
        }
      }
      if (end == at) {
        end = word_end(text, at, Case::kIgnored);
        encode_word(text.substr(at, end - at), ids);
      }
      at = std::max(end, at + 1);
    }
  }

  /// Cuts special tokens out of the original text and cleans the parts between them separately.
  void encode_as_transformers(std::u32string_view text, std::vector<std::int64_t>& ids) const {
    cut_at_special_tokens(
        text, specials_, [&](std::u32string_view part) { encode_plain_part(part, ids); },
        [&](std::int64_t id) { ids.push_back(id); });
  }

  void encode_plain_part(std::u32string_view part, std::vector<std::int64_t>& ids) const {
    const std::u32string text = clean_as_transformers(std::u32string(part));
    for (std::size_t at = 0; at < text.size();) {
      // "<|STARTOFTEXT|>", now lower case, matches the pattern; the byte-level step then splits it into these
      // three words.
      std::size_t end = at;
      for (const std::u32string_view name : {U"startoftext", U"endoftext"}) {
        if (!continues_with(text, at, U"<|" + std::u32string(name) + U"|>", Case::kKept)) continue;
        for (const std::u32string_view word :
             {std::u32string_view(U"<|"), name, std::u32string_view(U"|>")}) {
          encode_word(word, ids);
        }
        end = at + name.size() + 4;
      }
      if (end == at) {
        end = word_end(text, at, Case::kKept);
        encode_word(std::u32string_view(text).substr(at, end - at), ids);
      }
      at = std::max(end, at + 1);
    }
  }

  void encode_word(std::u32string_view characters, std::vector<std::int64_t>& ids) const {
    if (characters.empty()) return;
    const std::string word = to_utf8(characters);
    cache_.append(word, ids, [&] { merges_.encode(word, ids); });
  }

  TokenizerOptions options_;
  BytePairMerges merges_;
  std::vector<SpecialToken> specials_;  // transformers only; a longer token comes before its own prefix
  mutable WordCache cache_;
};

}  // namespace

Tokenizer clip_tokenizer(std::string_view merges, const TokenizerOptions& options, const std::string& name) {
  return {std::make_unique<ClipEncoder>(merges, options, name), options, name};
}

}  // namespace sdsclip
