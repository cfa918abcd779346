#include "sdsclip/data/tokenizer.h"

#include "fuzz.h"

using namespace sdsclip;

namespace {

constexpr std::string_view kMerges = "a t</w>\nc at</w>\nt h\nth e</w>\n";

Tokenizer tokenizer(TextCleaning clean) {
  TokenizerOptions options;
  options.clean = clean;
  options.context_length = 16;
  options.sot = 512 + 4;
  options.eot = options.sot + 1;
  return clip_tokenizer(kMerges, options, "merges.txt");
}

constexpr std::string_view kPieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##s\nc\n##at\n";

Tokenizer wordpiece(std::string_view pieces) {
  const TokenizerOptions options{
      .clean = TextCleaning::kWhitespace, .context_length = 16, .sot = 2, .eot = 0, .pad = 0};
  return wordpiece_tokenizer(pieces, options, "vocab.txt");
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  return {"the cat sat",
          "Ein Ma\xc3\x9f \xe7\x8c\xab &lt;b&gt; &amp;amp; don't 123 !!",
          "e\xcc\x81\xcc\x82 \xef\xbc\xa1 \xf0\x9f\x98\x80",
          "a b\na tt\n",
          std::string(kPieces),
          "[SEP] the cats[MASK]"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Tokenizer kOpenClip = tokenizer(TextCleaning::kOpenClip);
  static const Tokenizer kTransformers = tokenizer(TextCleaning::kTransformers);
  fuzz::read(data, size, [](std::string_view text) { static_cast<void>(kOpenClip.encode(text)); });
  static const Tokenizer kWordPiece = wordpiece(kPieces);
  fuzz::read(data, size, [](std::string_view text) { static_cast<void>(kWordPiece.encode(text)); });
  fuzz::read(data, size,
             [](std::string_view text) { static_cast<void>(wordpiece(text).encode("the cats")); });
  fuzz::read(data, size, [](std::string_view text) { static_cast<void>(kTransformers.encode(text)); });
  return fuzz::read(data, size, [](std::string_view merges) { clip_tokenizer(merges, {}, "merges.txt"); });
}
