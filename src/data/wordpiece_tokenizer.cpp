#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "sdsclip/base/error.h"
#include "sdsclip/data/tokenizer.h"
#include "special_tokens.h"
#include "text_cleaning.h"
#include "text_encoder.h"
#include "unicode.h"

namespace sdsclip {
namespace {

constexpr std::size_t kLongestWord = 100;  // characters; a longer word is unknown
constexpr std::string_view kInner = "##";  // stands before a piece that does not begin a word
constexpr std::string_view kUnknown = "[UNK]", kStart = "[CLS]", kEnd = "[SEP]", kPad = "[PAD]",
                           kMask = "[MASK]";

/// The blocks of CJK ideographs, each of whose characters is a word. tokenizers leaves out U+2B820 to
/// U+2B91F.
bool is_ideograph(char32_t c) {
  return (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

bool is_dropped(char32_t c) {
  if (c == U'\t' || c == U'\n' || c == U'\r') return false;
  return c == 0 || c == 0xFFFD || is_other_of_unicode_8(c);
}

/// tokenizers' `BertNormalizer` in lower case: no control characters and no accents, ideographs apart.
std::u32string normalized(std::u32string_view text) {
  std::u32string kept;
  kept.reserve(text.size());
  for (const char32_t character : text) {
    if (is_dropped(character)) continue;
    if (is_ideograph(character)) {
      kept += {U' ', character, U' '};
    } else {
      kept.push_back(character);
    }
  }
  kept = nfd_of_unicode_9(std::move(kept));
  std::erase_if(kept, is_nonspacing_mark_of_unicode_8);
  return lower_characters(kept);
}

/// Calls `use` with each word of `text`: tokenizers' `BertPreTokenizer`.
template <typename Use>
void for_each_word(std::u32string_view text, Use&& use) {
  std::size_t start = 0;
  const auto finish = [&](std::size_t end) {
    if (end > start) use(text.substr(start, end - start));
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool is_mark = is_ascii_punctuation(text[at]) || is_punctuation_of_unicode_8(text[at]);
    if (!is_mark && !is_white_space(text[at])) continue;
    finish(at);
    if (is_mark) use(text.substr(at, 1));
    start = at + 1;
  }
  finish(text.size());
}

class WordPieceEncoder final : public TextEncoder {
 public:
  WordPieceEncoder(std::string_view vocabulary, const TokenizerOptions& options, const std::string& name) {
    for (std::size_t at = 0; at < vocabulary.size();) {
      const std::size_t end = std::min(vocabulary.find('\n', at), vocabulary.size());
      add_piece(vocabulary.substr(at, end - at), name);
      at = end + 1;
    }
    unknown_ = id_of(kUnknown, name);
    const std::int64_t start = id_of(kStart, name);
    if (start != options.sot) {
      throw input_error("{}:{}: got [CLS], whose id is then {}, expected {}, the bundle's tokenizer.sot",
                        name, start + 1, start, options.sot);
    }
    for (const std::string_view special : {kUnknown, kStart, kEnd, kPad, kMask}) {
      const std::int64_t own = id_of(special, name);
      // open_clip may put another id in place of [SEP]'s.
      specials_.push_back({to_code_points(special), special == kEnd ? options.eot : own});
    }
  }

  void encode(std::string_view text, std::vector<std::int64_t>& ids) const override {
    cut_at_special_tokens(
        clean_whitespace(to_code_points(text)), specials_,
        [&](std::u32string_view part) {
          for_each_word(normalized(part), [&](std::u32string_view word) { encode_word(word, ids); });
        },
        [&](std::int64_t id) { ids.push_back(id); });
  }

  [[nodiscard]] std::int64_t vocab_size() const override { return size_; }

 private:
  using Ids = std::unordered_map<std::u32string, std::int64_t>;

  void add_piece(std::string_view piece, const std::string& name) {
    const std::string where = fmt::format("{}:{}", name, size_ + 1);
    if (piece.empty()) throw input_error("{}: got an empty line, expected a piece", where);
    const std::u32string characters = code_points_of(piece, where);
    longest_ = std::max(longest_, characters.size());
    const auto [other, is_new] = pieces_.emplace(characters, size_);
    if (!is_new) {
      throw input_error("{}: got '{}', which line {} is too; expected each piece once", where, piece,
                        other->second + 1);
    }
    if (piece.starts_with(kInner)) inner_.emplace(characters.substr(kInner.size()), size_);
    ++size_;
  }

  static std::u32string code_points_of(std::string_view piece, const std::string& where) {
    try {
      return to_code_points(piece);
    } catch (const Error& error) {
      throw input_error("{}: {}", where, error.what());
    }
  }

  [[nodiscard]] std::int64_t id_of(std::string_view piece, const std::string& name) const {
    const auto found = pieces_.find(to_code_points(piece));
    if (found == pieces_.end()) {
      throw input_error("{}: none of its {} lines is {}, expected BERT's vocabulary; export the bundle again",
                        name, size_, piece);
    }
    return found->second;
  }

  /// The longest piece at each place, from the left; a word of which a part is no piece is unknown.
  void encode_word(std::u32string_view word, std::vector<std::int64_t>& ids) const {
    const std::size_t before = ids.size();
    for (std::size_t at = 0; at < word.size();) {
      const auto [id, length] = word.size() > kLongestWord ? Match{} : longest_piece(word, at);
      if (length == 0) {
        ids.resize(before);
        ids.push_back(unknown_);
        return;
      }
      ids.push_back(id);
      at += length;
    }
  }

  struct Match {
    std::int64_t id = 0;
    std::size_t length = 0;  // 0: none
  };

  [[nodiscard]] Match longest_piece(std::u32string_view word, std::size_t at) const {
    const Ids& pieces = at == 0 ? pieces_ : inner_;
    std::u32string part(word.substr(at, longest_));
    for (; !part.empty(); part.pop_back()) {
      const auto found = pieces.find(part);
      if (found != pieces.end()) return {found->second, part.size()};
    }
    return {};
  }

  std::int64_t size_ = 0;
  std::size_t longest_ = 0;
  std::int64_t unknown_ = 0;
  Ids pieces_;  // as the vocabulary writes them
  Ids inner_;   // those within words, without "##"
  std::vector<SpecialToken> specials_;
};

}  // namespace

Tokenizer wordpiece_tokenizer(std::string_view vocabulary, const TokenizerOptions& options,
                              const std::string& name) {
  return {std::make_unique<WordPieceEncoder>(vocabulary, options, name), options, name};
}

}  // namespace sdsclip
