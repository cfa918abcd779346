#include "unicode.h"

#include <unicode/brkiter.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

icu::UnicodeString to_icu(std::u32string_view text) {
  return icu::UnicodeString::fromUTF32(reinterpret_cast<const UChar32*>(text.data()),
                                       static_cast<int32_t>(text.size()));
}

std::u32string from_icu(const icu::UnicodeString& text) {
  std::u32string result(static_cast<std::size_t>(text.countChar32()), U'\0');
  UErrorCode status = U_ZERO_ERROR;
  text.toUTF32(reinterpret_cast<UChar32*>(result.data()), static_cast<int32_t>(result.size()), status);
  return result;
}

void check(UErrorCode status) {
  if (U_FAILURE(status)) throw runtime_failure("Unicode library: {}", u_errorName(status));
}

std::u32string normalized(const icu::Normalizer2& form, std::u32string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::UnicodeString result = form.normalize(to_icu(text), status);
  check(status);
  return from_icu(result);
}

/// A form of normalization; `instance` is ICU's function for it.
const icu::Normalizer2& form(const icu::Normalizer2* (*instance)(UErrorCode&)) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* const found = instance(status);
  check(status);
  return *found;
}

const icu::Normalizer2& form_c() {
  return form(icu::Normalizer2::getNFCInstance);
}

/// The characters of ICU's set pattern. `[:age=9.0:]` are those that Unicode 9.0 has.
icu::UnicodeSet set_of(const char* pattern) {
  UErrorCode status = U_ZERO_ERROR;
  icu::UnicodeSet set(icu::UnicodeString(pattern, -1, US_INV), status);
  check(status);
  set.freeze();
  return set;
}

/// Below the first combining character, text is its own form C.
bool is_plain(std::u32string_view text) {
  constexpr char32_t kFirstCombining = 0x300;
  return std::all_of(text.begin(), text.end(), [](char32_t c) { return c < kFirstCombining; });
}

/// Whether the first character of the decomposition is a mark that attaches to the character before it.
bool is_mark(char32_t character) {
  return u_getIntPropertyValue(static_cast<UChar32>(character), UCHAR_LEAD_CANONICAL_COMBINING_CLASS) != 0;
}

/// Decomposes every long run of marks in `text` and puts it in canonical order, which changes no normal form.
/// ICU orders marks by insertion, so 50,000 marks on one letter would take seconds. A run ends at a character
/// for which `known` is false.
template <typename Known>
std::u32string with_sorted_marks(std::u32string text, Known known) {
  constexpr std::size_t kLongRun = 32;
  std::u32string result;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && is_mark(text[end]) && known(text[end])) ++end;
    if (end - at <= kLongRun) {
      end = std::max(end, at + 1);
      result.append(text, at, end - at);
    } else {
      std::u32string marks;
      for (; at < end; ++at) {
        icu::UnicodeString parts;
        const bool divides = form_c().getDecomposition(static_cast<UChar32>(text[at]), parts) != 0;
        marks += divides ? from_icu(parts) : std::u32string(1, text[at]);
      }
      std::stable_sort(marks.begin(), marks.end(), [](char32_t a, char32_t b) {
        return u_getCombiningClass(static_cast<UChar32>(a)) < u_getCombiningClass(static_cast<UChar32>(b));
      });
      result += marks;
    }
    at = end;
  }
  return result;
}

std::u32string normalized_by_unicode_9(const icu::Normalizer2& form, std::u32string text) {
  static const icu::UnicodeSet known = set_of("[:age=9.0:]");
  const auto is_known = [](char32_t c) { return known.contains(static_cast<UChar32>(c)) != 0; };
  return normalized(icu::FilteredNormalizer2(form, known), with_sorted_marks(std::move(text), is_known));
}

bool has_category(char32_t character, std::uint32_t mask) {
  return (U_GET_GC_MASK(static_cast<UChar32>(character)) & mask) != 0;
}

}  // namespace

std::u32string to_code_points(std::string_view utf8) {
  std::u32string text;
  text.reserve(utf8.size());
  const std::uint8_t* const bytes = reinterpret_cast<const std::uint8_t*>(utf8.data());
  for (std::size_t at = 0; at < utf8.size();) {
    const std::size_t start = at;
    UChar32 character = 0;
    U8_NEXT(bytes, at, utf8.size(), character);
    if (character < 0) {
      throw input_error("text: byte {} is not UTF-8 (got 0x{:02x}); convert the text to UTF-8", start,
                        bytes[start]);
    }
    text.push_back(static_cast<char32_t>(character));
  }
  return text;
}

std::string to_utf8(std::u32string_view text) {
  std::string utf8;
  utf8.reserve(text.size());
  for (const char32_t character : text) {
    char bytes[U8_MAX_LENGTH];
    int32_t size = 0;
    U8_APPEND_UNSAFE(bytes, size, static_cast<UChar32>(character));
    utf8.append(bytes, static_cast<std::size_t>(size));
  }
  return utf8;
}

std::u32string nfc(std::u32string text) {
  if (is_plain(text)) return text;
  return normalized(form_c(), with_sorted_marks(std::move(text), [](char32_t) { return true; }));
}

std::u32string nfc_of_unicode_9(std::u32string text) {
  return is_plain(text) ? text : normalized_by_unicode_9(form_c(), std::move(text));
}

std::u32string nfd_of_unicode_9(std::u32string text) {
  return normalized_by_unicode_9(form(icu::Normalizer2::getNFDInstance), std::move(text));
}

std::u32string nfkc(char32_t character) {
  return normalized(form(icu::Normalizer2::getNFKCInstance), {&character, 1});
}

std::u32string lower_text(const std::u32string& text) {
  return from_icu(to_icu(text).toLower(icu::Locale::getRoot()));
}

std::u32string lower_characters(const std::u32string& text) {
  constexpr char32_t kCapitalIWithDot = 0x130;  // the only character that becomes two
  std::u32string result;
  result.reserve(text.size());
  for (const char32_t character : text) {
    if (character == kCapitalIWithDot) {
      result += U"i\u0307";
    } else {
      result.push_back(static_cast<char32_t>(u_tolower(static_cast<UChar32>(character))));
    }
  }
  return result;
}

char32_t from_windows_1252(char32_t character) {
  constexpr char32_t kCharacters[32] = {0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021,
                                        0x2C6,  0x2030, 0x160,  0x2039, 0x152,  0x8D,   0x17D,  0x8F,
                                        0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                        0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};
  return character >= 0x80 && character <= 0x9F ? kCharacters[character - 0x80] : character;
}

std::vector<std::string_view> graphemes(std::string_view utf8) {
  std::vector<std::string_view> result;
  const bool is_ascii =
      std::all_of(utf8.begin(), utf8.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (is_ascii && utf8.find('\r') == std::string_view::npos) {
    for (std::size_t at = 0; at < utf8.size(); ++at) result.push_back(utf8.substr(at, 1));
    return result;
  }
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  check(status);
  UText text = UTEXT_INITIALIZER;
  utext_openUTF8(&text, utf8.data(), static_cast<int64_t>(utf8.size()), &status);
  check(status);
  breaks->setText(&text, status);
  check(status);
  for (int32_t start = breaks->first(), end = breaks->next(); end != icu::BreakIterator::DONE;
       start = end, end = breaks->next()) {
    result.push_back(utf8.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start)));
  }
  utext_close(&text);
  return result;
}

bool is_letter(char32_t character) {
  return has_category(character, U_GC_L_MASK);
}

bool is_number(char32_t character) {
  return has_category(character, U_GC_N_MASK);
}

bool is_decimal_digit(char32_t character) {
  return has_category(character, U_GC_ND_MASK);
}

bool is_white_space(char32_t character) {
  return u_isUWhiteSpace(static_cast<UChar32>(character)) != 0;
}

bool is_python_space(char32_t character) {
  return is_white_space(character) || (character >= 0x1C && character <= 0x1F);
}

bool is_ascii_punctuation(char32_t c) {
  return (c >= U'!' && c <= U'/') || (c >= U':' && c <= U'@') || (c >= U'[' && c <= U'`') ||
         (c >= U'{' && c <= U'~');
}

bool is_other_of_unicode_8(char32_t character) {
  static const icu::UnicodeSet set = set_of("[[[:Cc:][:Cf:][:Co:]]&[:age=8.0:]]");
  return set.contains(static_cast<UChar32>(character)) != 0;
}

bool is_punctuation_of_unicode_8(char32_t character) {
  // U+166D (Canadian syllabics' chi sign) and U+111C9 (Sharada sandhi mark) are of other categories since.
  static const icu::UnicodeSet set = set_of("[[[:P:]&[:age=8.0:]]\\u166D\\U000111C9]");
  return set.contains(static_cast<UChar32>(character)) != 0;
}

bool is_nonspacing_mark_of_unicode_8(char32_t character) {
  // U+1734 (Hanunoo pamudpod) is a spacing mark since. U+1885 and U+1886 (Mongolian baludas), U+A9BD (Javanese
  // keret) and U+111C9 (Sharada sandhi mark) were of other categories then.
  static const icu::UnicodeSet set =
      set_of("[[[[:Mn:]&[:age=8.0:]]\\u1734]-[\\u1885\\u1886\\uA9BD\\U000111C9]]");
  return set.contains(static_cast<UChar32>(character)) != 0;
}

}  // namespace sdsclip
