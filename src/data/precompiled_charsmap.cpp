#include "precompiled_charsmap.h"

#include <cstring>

#include "sdsclip/base/error.h"
#include "unicode.h"

namespace sdsclip {
namespace {

// The units of a Darts-clone double array.
std::uint32_t label(std::uint32_t unit) {
  return unit & ((1U << 31U) | 0xFFU);
}
std::uint32_t offset(std::uint32_t unit) {
  return (unit >> 10U) << ((unit & (1U << 9U)) >> 6U);
}
bool has_leaf(std::uint32_t unit) {
  return ((unit >> 8U) & 1U) != 0;
}
std::uint32_t value(std::uint32_t unit) {
  return unit & ((1U << 31U) - 1);
}

constexpr std::size_t kWholeBelow = 6;  // bytes of a grapheme

std::size_t character_bytes(unsigned char first) {
  if (first < 0x80) return 1;
  if (first < 0xE0) return 2;
  return first < 0xF0 ? 3 : 4;
}

}  // namespace

PrecompiledCharsmap::PrecompiledCharsmap(std::string_view blob, const std::string& name) {
  std::uint32_t bytes = 0;
  if (blob.size() >= sizeof bytes) std::memcpy(&bytes, blob.data(), sizeof bytes);
  if (bytes == 0 || bytes % sizeof bytes != 0 || bytes > blob.size() - sizeof bytes) {
    throw input_error("{}: got {} bytes that are not a table of characters; export the bundle again", name,
                      blob.size());
  }
  trie_.resize(bytes / sizeof bytes);
  std::memcpy(trie_.data(), blob.data() + sizeof bytes, bytes);
  replacements_ = blob.substr(sizeof bytes + bytes);
}

/// The replacement of the shortest prefix of `characters` that has one; null if none has.
const char* PrecompiledCharsmap::find(std::string_view characters) const {
  std::size_t node = offset(trie_[0]);
  for (const char c : characters) {
    const std::uint32_t byte = static_cast<unsigned char>(c);
    node ^= byte;
    if (byte == 0 || node >= trie_.size() || label(trie_[node]) != byte) return nullptr;
    const bool ends = has_leaf(trie_[node]);
    node ^= offset(trie_[node]);
    if (!ends) continue;
    const std::size_t place = node < trie_.size() ? value(trie_[node]) : replacements_.size();
    return place < replacements_.size() ? replacements_.c_str() + place : nullptr;
  }
  return nullptr;
}

void PrecompiledCharsmap::append_grapheme(std::string_view grapheme, std::string& out) const {
  if (grapheme.size() < kWholeBelow) {
    if (const char* whole = find(grapheme)) {
      out += whole;
      return;
    }
  }
  while (!grapheme.empty()) {
    const std::string_view character =
        grapheme.substr(0, character_bytes(static_cast<unsigned char>(grapheme.front())));
    const char* replacement = find(character);
    out += replacement != nullptr ? std::string_view(replacement) : character;
    grapheme.remove_prefix(character.size());
  }
}

std::string PrecompiledCharsmap::normalize(std::string_view text) const {
  std::string result;
  result.reserve(text.size());
  for (const std::string_view grapheme : graphemes(text)) append_grapheme(grapheme, result);
  return result;
}

}  // namespace sdsclip
