#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// The code points of UTF-8 text. Throws `Error(kInput)` that names the first bad byte.
std::u32string to_code_points(std::string_view utf8);
std::string to_utf8(std::u32string_view text);

/// Unicode normalization: form C, form KC of one character, and form C of Unicode 9.0, which leaves later
/// characters in place.
std::u32string nfc(std::u32string text);
std::u32string nfc_of_unicode_9(std::u32string text);
std::u32string nfkc(char32_t character);

/// Unicode normalization form D as of Unicode 9.0: later characters keep their place and form.
std::u32string nfd_of_unicode_9(std::u32string text);

/// Python's `str.lower`: full mappings; a Greek sigma depends on its position in the word.
std::u32string lower_text(const std::u32string& text);

/// Rust's `char::to_lowercase` of each character, without a look at its neighbours.
std::u32string lower_characters(const std::u32string& text);

/// The Windows-1252 character for a C1 control character (U+0080 to U+009F). The five that it leaves open and
/// every other character are returned as they are.
char32_t from_windows_1252(char32_t character);

/// The extended grapheme clusters of UTF-8 text, in order.
std::vector<std::string_view> graphemes(std::string_view utf8);

bool is_letter(char32_t character);             ///< general category L
bool is_number(char32_t character);             ///< general category N
bool is_decimal_digit(char32_t character);      ///< general category Nd: `\d` of Python's `re`
bool is_white_space(char32_t character);        ///< property White_Space: `\s` of `regex` and of Oniguruma
bool is_python_space(char32_t character);       ///< Python's `str.isspace`: White_Space and U+001C to U+001F
bool is_ascii_punctuation(char32_t character);  ///< Python's `string.punctuation`

// Categories as of Unicode 8.0, which tokenizers 0.23.3 has for BERT; later characters have none.
bool is_other_of_unicode_8(char32_t character);            ///< Cc, Cf and Co
bool is_punctuation_of_unicode_8(char32_t character);      ///< P
bool is_nonspacing_mark_of_unicode_8(char32_t character);  ///< Mn

}  // namespace sdsclip
