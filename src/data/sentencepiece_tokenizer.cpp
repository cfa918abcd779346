#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <optional>
#include <utility>

#include "precompiled_charsmap.h"
#include "sdsclip/base/error.h"
#include "sdsclip/data/tokenizer.h"
#include "text_cleaning.h"
#include "text_encoder.h"
#include "unicode.h"
#include "unigram.h"
#include "word_cache.h"

namespace sdsclip {
namespace {

constexpr std::string_view kSpace = "\u2581";  // a space in pieces

std::string cleaned(std::string_view text, TextCleaning clean) {
  const std::u32string characters = to_code_points(text);
  switch (clean) {
    case TextCleaning::kCanonicalize:
      return to_utf8(canonicalize(characters));
    case TextCleaning::kWhitespace:
      return to_utf8(clean_whitespace(characters));
    case TextCleaning::kOpenClip:
      return to_utf8(clean_as_open_clip(characters));
    case TextCleaning::kTransformers:
      break;
  }
  return std::string(text);
}

/// Calls `use` with each word of `text` after an U+2581, like tokenizers' `WhitespaceSplit` and `Metaspace`,
/// which also cuts before each further U+2581.
template <typename Use>
void for_each_word(std::string_view text, Use&& use) {
  std::string word;
  const auto finish = [&] {
    if (!word.empty()) use(word);
    word.clear();
  };
  for (const char32_t character : to_code_points(text)) {
    if (is_white_space(character)) {
      finish();
      continue;
    }
    const std::string bytes = to_utf8({&character, 1});
    if (bytes == kSpace) finish();
    if (word.empty() && bytes != kSpace) word = kSpace;
    word += bytes;
  }
  finish();
}

class SentencePieceEncoder final : public TextEncoder {
 public:
  SentencePieceEncoder(const SentencePieceFiles& files, TextCleaning clean, const std::string& name)
      : clean_(clean) {
    const sentencepiece::util::Status loaded = processor_.LoadFromSerializedProto(files.model);
    if (!loaded.ok() || processor_.GetPieceSize() <= 0 || processor_.unk_id() < 0) {
      throw input_error("{}: got {} bytes that are not a SentencePiece model; export the bundle again", name,
                        files.model.size());
    }
    if (!files.charsmap.empty()) charsmap_.emplace(files.charsmap, name + ", its table of characters");
    if (!files.is_pairs) make_unigram();
  }

  void encode(std::string_view text, std::vector<std::int64_t>& ids) const override {
    std::string characters = cleaned(text, clean_);
    if (charsmap_) characters = charsmap_->normalize(characters);
    if (!unigram_) return encode_pairs(characters, ids);
    for_each_word(characters, [&](const std::string& word) {
      cache_.append(word, ids, [&] { unigram_->encode(word, ids); });
    });
  }

  [[nodiscard]] std::int64_t vocab_size() const override { return processor_.GetPieceSize(); }

 private:
  void make_unigram() {
    std::vector<Piece> pieces;
    for (int id = 0; id < processor_.GetPieceSize(); ++id) {
      pieces.push_back({processor_.IdToPiece(id), processor_.GetScore(id)});
    }
    std::vector<std::int64_t> bytes;
    for (int byte = 0; byte < 256; ++byte) {
      const int id = processor_.PieceToId(fmt::format("<0x{:02X}>", byte));
      if (processor_.IsByte(id)) bytes.push_back(id);
    }
    if (bytes.size() != 256) bytes.clear();
    unigram_.emplace(pieces, processor_.unk_id(), std::move(bytes));
  }

  void encode_pairs(const std::string& text, std::vector<std::int64_t>& ids) const {
    std::vector<int> own;
    const sentencepiece::util::Status done = processor_.Encode(text, &own);
    if (!done.ok()) throw runtime_failure("SentencePiece: {}", done.message());
    ids.insert(ids.end(), own.begin(), own.end());
  }

  TextCleaning clean_;
  sentencepiece::SentencePieceProcessor processor_;
  std::optional<PrecompiledCharsmap> charsmap_;
  std::optional<Unigram> unigram_;  // nothing: pairs
  mutable WordCache cache_;
};

}  // namespace

Tokenizer sentencepiece_tokenizer(const SentencePieceFiles& files, const TokenizerOptions& options,
                                  const std::string& name) {
  return {std::make_unique<SentencePieceEncoder>(files, options.clean, name), options, name};
}

}  // namespace sdsclip
