#include "sdsclip/data/tokenizer.h"

#include <gtest/gtest.h>

#include <thread>

#include "support/expect_error.h"

namespace sdsclip {
namespace {

using Ids = std::vector<std::int64_t>;

// The whole comparison with open_clip and transformers is tests/parity/test_tokenizer.py; here a vocabulary
// that is small enough to work out by hand. The byte "!" has the id 0 and "a" 64; at the end of a word 256 is
// added.
constexpr std::string_view kMerges =
    "c a\n"       // 512
    "ca t</w>\n"  // 513
    "s t\n"       // 514
    "' s</w>\n"   // 515
    "Ã ©</w>\n";  // 516: the two bytes of é at the end of a word

constexpr std::int64_t kSot = 517;
constexpr std::int64_t kEot = 518;

TokenizerOptions small_vocabulary(TextCleaning clean = TextCleaning::kOpenClip) {
  return {.clean = clean, .context_length = 8, .sot = kSot, .eot = kEot, .pad = kEot};
}

std::int64_t inner(char c) {
  return c - '!';
}
std::int64_t last(char c) {
  return inner(c) + 256;
}

Ids encoded(std::string_view text, TextCleaning clean = TextCleaning::kOpenClip) {
  return clip_tokenizer(kMerges, small_vocabulary(clean)).encode_without_padding(text);
}

TEST(ClipTokenizer, JoinsTheEarliestMergeFirst) {
  EXPECT_EQ(encoded("cat"), (Ids{513}));
  EXPECT_EQ(encoded("cats"), (Ids{512, inner('t'), last('s')}));
  EXPECT_EQ(encoded("caca"), (Ids{512, inner('c'), last('a')}));
  EXPECT_EQ(encoded("stst"), (Ids{514, inner('s'), last('t')}));
}

TEST(ClipTokenizer, SplitsWordsAsClipDoes) {
  EXPECT_EQ(encoded("cat's"), (Ids{513, 515}));
  EXPECT_EQ(encoded("12"), (Ids{last('1'), last('2')}));
  EXPECT_EQ(encoded("a!?b"), (Ids{last('a'), inner('!'), last('?'), last('b')}));
  EXPECT_EQ(encoded(" \t\n "), Ids{});
}

TEST(ClipTokenizer, LowersAndComposes) {
  EXPECT_EQ(encoded("CAT"), (Ids{513}));
  EXPECT_EQ(encoded("e\u0301"), (Ids{516}));
  EXPECT_EQ(encoded("É", TextCleaning::kTransformers), (Ids{516}));
}

TEST(ClipTokenizer, OnlyOpenClipReadsEntitiesAndStraightensQuotes) {
  EXPECT_EQ(encoded("&eacute;"), (Ids{516}));
  EXPECT_EQ(encoded("&amp;eacute;"), (Ids{516}));
  EXPECT_EQ(encoded("cat\u2019s"), (Ids{513, 515}));
  EXPECT_EQ(encoded("\uFF43\uFF41\uFF54"), (Ids{513}));  // full-width letters
  EXPECT_NE(encoded("&eacute;", TextCleaning::kTransformers), (Ids{516}));
  EXPECT_NE(encoded("cat\u2019s", TextCleaning::kTransformers), (Ids{513, 515}));
}

TEST(ClipTokenizer, RemovesControlCharactersAndTerminalEscapes) {
  EXPECT_EQ(encoded(std::string_view("c\0a\x1b[31mt\x7f", 9)), (Ids{513}));
  EXPECT_EQ(encoded("cat\u2028cat"), (Ids{513, 513}));
}

TEST(ClipTokenizer, KnowsItsSpecialTokensInText) {
  EXPECT_EQ(encoded("<start_of_text>cat<end_of_text>"), (Ids{kSot, 513, kEot}));
  EXPECT_EQ(encoded("<|startoftext|>cat<|endoftext|>", TextCleaning::kTransformers), (Ids{kSot, 513, kEot}));
}

TEST(ClipTokenizer, TakesThePaddingTokenForSpecialAsTransformersDoes) {
  TokenizerOptions options = small_vocabulary(TextCleaning::kTransformers);
  options.pad = 0;  // "!", as Stable Diffusion 2 pads
  EXPECT_EQ(clip_tokenizer(kMerges, options).encode_without_padding("cat!!"), (Ids{513, 0, 0}));
  options.clean = TextCleaning::kOpenClip;
  EXPECT_EQ(clip_tokenizer(kMerges, options).encode_without_padding("cat!"), (Ids{513, last('!')}));
}

TEST(ClipTokenizer, PadsToTheContextLength) {
  TokenizerOptions options = small_vocabulary();
  options.pad = 0;
  EXPECT_EQ(clip_tokenizer(kMerges, options).encode("cat"), (Ids{kSot, 513, kEot, 0, 0, 0, 0, 0}));
  EXPECT_EQ(clip_tokenizer(kMerges, options).encode(""), (Ids{kSot, kEot, 0, 0, 0, 0, 0, 0}));
}

TEST(ClipTokenizer, CutsLongTextAndEndsItWithEot) {
  EXPECT_EQ(clip_tokenizer(kMerges, small_vocabulary()).encode("cat cat cat cat cat cat"),
            (Ids{kSot, 513, 513, 513, 513, 513, 513, kEot}));
  EXPECT_EQ(clip_tokenizer(kMerges, small_vocabulary()).encode("cat cat cat cat cat cat cat"),
            (Ids{kSot, 513, 513, 513, 513, 513, 513, kEot}));
}

TEST(ClipTokenizer, RefusesLongTextWhereAsked) {
  TokenizerOptions options = small_vocabulary();
  options.overflow = Overflow::kError;
  const Tokenizer tokenizer = clip_tokenizer(kMerges, options);
  EXPECT_NO_THROW((void)tokenizer.encode("cat cat cat cat cat cat"));
  testing::expect_error(ExitCode::kInput, {"cat cat", "9 tokens", "at most 8"},
                        [&] { (void)tokenizer.encode("cat cat cat cat cat cat cat"); });
}

TEST(ClipTokenizer, RefusesTextThatIsNotUtf8) {
  for (const std::string_view text :
       {"ab\xff", "ab\xc3", "ab\xc0\x80", "ab\xed\xa0\x80", "ab\xf5\x80\x80\x80"}) {
    testing::expect_error(ExitCode::kInput, {"byte 2", "UTF-8"}, [&] { (void)encoded(text); });
  }
}

TEST(ClipTokenizer, TakesALongWordInReasonableTime) {
  EXPECT_EQ(encoded(std::string(300000, 'x')).size(), 300000U);
}

TEST(ClipTokenizer, NamesTheLineOfABadMerge) {
  const auto with_merges = [](std::string_view merges) {
    return [merges] { (void)clip_tokenizer(merges, small_vocabulary(), "merges.txt"); };
  };
  testing::expect_error(ExitCode::kInput, {"merges.txt:2", "two symbols"}, with_merges("c a\ncat\n"));
  testing::expect_error(ExitCode::kInput, {"merges.txt:1", "'xy'", "earlier merge"}, with_merges("xy z\n"));
  testing::expect_error(ExitCode::kInput, {"merges.txt:3", "a second time"}, with_merges("a b\nc a\na b\n"));
  testing::expect_error(ExitCode::kInput, {"merges.txt", "no merge"}, with_merges(""));
}

TEST(ClipTokenizer, RefusesOptionsThatDoNotFit) {
  TokenizerOptions options = small_vocabulary();
  options.eot = 600;
  testing::expect_error(ExitCode::kInput, {"600", "519"}, [&] { clip_tokenizer(kMerges, options); });
  options = small_vocabulary();
  options.context_length = 1;
  testing::expect_error(ExitCode::kInput, {"context_length", "1"}, [&] { clip_tokenizer(kMerges, options); });
}

TEST(ClipTokenizer, GivesTheSameIdsFromSeveralThreads) {
  const Tokenizer tokenizer = clip_tokenizer(kMerges, small_vocabulary());
  const Ids expected = tokenizer.encode("a cat's stack");
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (int& count : wrong) {
    threads.emplace_back([&tokenizer, &expected, &count] {
      for (int i = 0; i < 500; ++i) {
        (void)tokenizer.encode("word " + std::to_string(i));
        count += tokenizer.encode("a cat's stack") != expected;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

// BERT's WordPiece; the whole comparison is tests/parity/test_wordpiece.py.
constexpr std::string_view kPieces =
    "[PAD]\n"   // 0
    "[UNK]\n"   // 1
    "[CLS]\n"   // 2
    "[SEP]\n"   // 3
    "[MASK]\n"  // 4
    "un\n"      // 5
    "##aff\n"   // 6
    "##able\n"  // 7
    "##a\n"     // 8
    "cafe\n"    // 9
    ",\n"       // 10
    "猫\n"      // 11
    "[\n"       // 12
    "]\n"       // 13
    "aff\n";    // 14
constexpr std::int64_t kUnk = 1;

TokenizerOptions wordpiece_options(std::int64_t eot = 3) {
  return {.clean = TextCleaning::kWhitespace, .context_length = 6, .sot = 2, .eot = eot, .pad = 0};
}

Ids pieces_of(std::string_view text) {
  return wordpiece_tokenizer(kPieces, wordpiece_options(), "vocab.txt").encode_without_padding(text);
}

TEST(WordPieceTokenizer, TakesTheLongestPieceFromTheLeft) {
  EXPECT_EQ(pieces_of("unaffable"), (Ids{5, 6, 7}));
  EXPECT_EQ(pieces_of("aff una"), (Ids{14, 5, 8}));
}

TEST(WordPieceTokenizer, TakesAWordWithAPartThatIsNoPieceForUnknown) {
  EXPECT_EQ(pieces_of("unaffy un"), (Ids{kUnk, 5}));
}

TEST(WordPieceTokenizer, TakesAWordOfMoreThanAHundredCharactersForUnknown) {
  EXPECT_EQ(pieces_of("un" + std::string(98, 'a')).size(), 99U);
  EXPECT_EQ(pieces_of("un" + std::string(99, 'a')), (Ids{kUnk}));
}

TEST(WordPieceTokenizer, LowersAndStripsAccentsAndControlCharacters) {
  EXPECT_EQ(pieces_of("CAF\u00c9"), (Ids{9}));
  EXPECT_EQ(pieces_of("ca\u200bfe\u0301"), (Ids{9}));
  EXPECT_EQ(pieces_of("ca\ufffdfe"), (Ids{9}));
}

TEST(WordPieceTokenizer, TakesEachPunctuationMarkAndIdeographForAWord) {
  EXPECT_EQ(pieces_of("un,,un"), (Ids{5, 10, 10, 5}));
  EXPECT_EQ(pieces_of("un猫猫un"), (Ids{5, 11, 11, 5}));
}

TEST(WordPieceTokenizer, KnowsItsSpecialTokensInText) {
  EXPECT_EQ(pieces_of("un[MASK]un[UNK][CLS][PAD][SEP]"), (Ids{5, 4, 5, kUnk, 2, 0, 3}));
  EXPECT_EQ(pieces_of("[mask]"), (Ids{12, kUnk, 13}));
}

TEST(WordPieceTokenizer, PutsTheEndThatTheBundleSaysForEverySeparator) {
  const Tokenizer tokenizer = wordpiece_tokenizer(kPieces, wordpiece_options(0), "vocab.txt");
  EXPECT_EQ(tokenizer.encode("un[SEP]un"), (Ids{2, 5, 0, 5, 0, 0}));
  EXPECT_EQ(tokenizer.encode("un un un un un"), (Ids{2, 5, 5, 5, 5, 0}));
}

TEST(WordPieceTokenizer, NamesTheLineOfABadVocabulary) {
  const auto with = [](const std::string& pieces) {
    return [pieces] { (void)wordpiece_tokenizer(pieces, wordpiece_options(), "vocab.txt"); };
  };
  const std::string whole(kPieces);
  testing::expect_error(ExitCode::kInput, {"vocab.txt:16", "'un'", "line 6"}, with(whole + "un\n"));
  testing::expect_error(ExitCode::kInput, {"vocab.txt:16", "empty line"}, with(whole + "\n"));
  testing::expect_error(ExitCode::kInput, {"vocab.txt:16", "byte 1", "UTF-8"}, with(whole + "a\xff\n"));
  testing::expect_error(ExitCode::kInput, {"vocab.txt:4", "[CLS]", "2"}, with("x\n" + whole));
  testing::expect_error(ExitCode::kInput, {"vocab.txt", "4 lines", "[MASK]"},
                        with("[PAD]\n[UNK]\n[CLS]\n[SEP]"));
  testing::expect_error(ExitCode::kInput, {"vocab.txt", "0 lines", "[UNK]"}, with(""));
}

}  // namespace
}  // namespace sdsclip
