#include "byte_pair.h"

#include <queue>
#include <tuple>

#include "sdsclip/base/error.h"
#include "unicode.h"

namespace sdsclip {
namespace {

constexpr std::int32_t kNone = -1;
constexpr std::int32_t kLastByte = 256;  // added to a byte's symbol at the end of a word
constexpr std::string_view kEndOfWord = "</w>";

/// The bytes in the order of their ids (`bytes_to_unicode`): printable Latin-1 characters first.
std::vector<unsigned char> bytes_in_order() {
  const auto printable = [](int byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
  };
  std::vector<unsigned char> bytes;
  for (int byte = 0; byte < 256; ++byte) {
    if (printable(byte)) bytes.push_back(static_cast<unsigned char>(byte));
  }
  for (int byte = 0; byte < 256; ++byte) {
    if (!printable(byte)) bytes.push_back(static_cast<unsigned char>(byte));
  }
  return bytes;
}

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
}

/// A symbol of a word that is being merged, in a linked list.
struct Node {
  std::int32_t id = kNone;
  std::int32_t previous = kNone;
  std::int32_t next = kNone;
};

/// A pair that could be merged. Earlier merges have smaller ids, so the id gives the order.
struct Candidate {
  std::int32_t merged = kNone;
  std::int32_t left = kNone;  // position of the pair's left symbol
  std::int32_t left_id = kNone;
  std::int32_t right_id = kNone;
  bool operator>(const Candidate& other) const {
    return std::tie(merged, left) > std::tie(other.merged, other.left);
  }
};

}  // namespace

BytePairMerges::BytePairMerges(std::string_view merges, const std::string& name) : byte_ids_(256) {
  // Bytes without a printable character are written as characters from U+0100 on.
  const std::vector<unsigned char> bytes = bytes_in_order();
  constexpr std::size_t kPrintable = 188;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char32_t written = i < kPrintable ? bytes[i] : static_cast<char32_t>(256 + i - kPrintable);
    symbols_.push_back(to_utf8({&written, 1}));
    byte_ids_[bytes[i]] = static_cast<std::int32_t>(i);
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) symbols_.push_back(symbols_[i] + std::string(kEndOfWord));
  Ids ids;
  for (std::int32_t id = 0; id < size(); ++id) ids[symbol(id)] = id;

  std::size_t number = 0;
  while (!merges.empty()) {
    const std::size_t end = std::min(merges.find('\n'), merges.size());
    add_merge(merges.substr(0, end), fmt::format("{}:{}", name, ++number), ids);
    merges.remove_prefix(std::min(end + 1, merges.size()));
  }
  if (number == 0) throw input_error("{}: got no merge, expected one 'left right' per line", name);
}

void BytePairMerges::add_merge(std::string_view line, const std::string& where, Ids& ids) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
    throw input_error("{}: got '{}', expected two symbols and one space between them", where, line);
  }
  const auto known = [&](std::string_view text) {
    const auto at = ids.find(std::string(text));
    if (at == ids.end()) {
      throw input_error(
          "{}: '{}' is neither a byte nor the result of an earlier merge; is the list complete?", where,
          text);
    }
    return at->second;
  };
  const std::int32_t left = known(line.substr(0, space));
  const std::int32_t right = known(line.substr(space + 1));
  if (!ids.emplace(symbol(left) + symbol(right), size()).second) {
    throw input_error("{}: got '{}{}' a second time, expected each symbol once", where, symbol(left),
                      symbol(right));
  }
  merged_[pair_key(left, right)] = size();
  symbols_.push_back(symbol(left) + symbol(right));
}

std::int32_t BytePairMerges::joined(std::int32_t left, std::int32_t right) const {
  const auto at = merged_.find(pair_key(left, right));
  return at == merged_.end() ? kNone : at->second;
}

void BytePairMerges::encode(std::string_view word, std::vector<std::int64_t>& ids) const {
  const std::int32_t count = static_cast<std::int32_t>(word.size());
  std::vector<Node> nodes(word.size());
  for (std::int32_t i = 0; i < count; ++i) {
    const std::size_t at = static_cast<std::size_t>(i);
    nodes[at].id = byte_ids_[static_cast<unsigned char>(word[at])] + (i + 1 == count ? kLastByte : 0);
    nodes[at].previous = i - 1;
    nodes[at].next = i + 1 == count ? kNone : i + 1;
  }
  const auto node = [&](std::int32_t position) -> Node& { return nodes[static_cast<std::size_t>(position)]; };

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto consider = [&](std::int32_t left) {
    if (left == kNone || node(left).next == kNone) return;
    const std::int32_t left_id = node(left).id;
    const std::int32_t right_id = node(node(left).next).id;
    const std::int32_t merged = joined(left_id, right_id);
    if (merged != kNone) candidates.push({merged, left, left_id, right_id});
  };
  for (std::int32_t i = 0; i < count; ++i) consider(i);

  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Node& left = node(best.left);
    // A candidate is stale if one of its symbols has been merged since.
    if (left.id != best.left_id || left.next == kNone || node(left.next).id != best.right_id) continue;
    Node& right = node(left.next);
    left.id = best.merged;
    right.id = kNone;
    left.next = right.next;
    if (left.next != kNone) node(left.next).previous = best.left;
    consider(best.left);
    consider(left.previous);
  }

  for (std::int32_t at = count == 0 ? kNone : 0; at != kNone; at = node(at).next) ids.push_back(node(at).id);
}

}  // namespace sdsclip
