#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"
#include "sdsclip/data/captions.h"
#include "sdsclip/data/limits.h"

namespace sdsclip {
namespace {

/// A part of a pattern and its possible texts. A part outside braces has one text.
struct Stretch {
  std::vector<std::string> choices;  // of a list, or the one text
  std::uint64_t first = 0;           // of a range
  std::uint64_t count = 0;           // numbers of a range; 0: it is a list
  std::size_t width = 1;             // digits of its numbers, padded with zeros

  [[nodiscard]] std::uint64_t size() const { return count > 0 ? count : choices.size(); }
  [[nodiscard]] std::size_t longest() const {
    if (count > 0) return std::max(width, std::to_string(first + count - 1).size());
    std::size_t most = 0;
    for (const std::string& choice : choices) most = std::max(most, choice.size());
    return most;
  }
  [[nodiscard]] std::string at(std::uint64_t i) const {
    return count > 0 ? fmt::format("{:0{}}", first + i, width) : choices[i];
  }
};

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Parses a range such as "08..10". It is padded to its wider end if one end starts with a zero. Nothing if
/// `body` is not a range.
std::optional<Stretch> parse_range(std::string_view body, const std::string& shown) {
  const std::size_t dots = body.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const std::string_view first = body.substr(0, dots);
  const std::string_view last = body.substr(dots + 2);
  if (!is_digits(first) || !is_digits(last)) return std::nullopt;
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  const bool fits = std::from_chars(first.data(), first.data() + first.size(), low).ec == std::errc() &&
                    std::from_chars(last.data(), last.data() + last.size(), high).ec == std::errc() &&
                    high < std::numeric_limits<std::uint64_t>::max() &&
                    std::max(first.size(), last.size()) <= kMostShardPath;
  if (!fits || low > high || high - low >= kMostShards) {
    throw usage_error("'{}': got the range {{{}}}, expected one that counts up, of at most {} shards", shown,
                      shortened(body, 60), kMostShards);
  }
  Stretch range;
  range.first = low;
  range.count = high - low + 1;
  range.width = first.starts_with('0') || last.starts_with('0') ? std::max(first.size(), last.size()) : 1;
  return range;
}

std::vector<Stretch> parse_pattern(std::string_view pattern, const std::string& shown) {
  std::vector<Stretch> stretches;
  while (!pattern.empty()) {
    const std::size_t open = std::min(pattern.find('{'), pattern.size());
    if (open > 0) stretches.push_back({.choices = {std::string(pattern.substr(0, open))}});
    pattern.remove_prefix(open);
    if (pattern.empty()) break;
    const std::size_t close = pattern.find('}');
    const std::string_view body = pattern.substr(1, std::min(close, pattern.size()) - 1);
    if (close == std::string_view::npos || body.find('{') != std::string_view::npos) {
      throw usage_error("'{}': got an unclosed or nested brace, expected {{00000..00331}} or {{a,b}}", shown);
    }
    stretches.push_back(parse_range(body, shown).value_or(Stretch{.choices = split(body, ',')}));
    pattern.remove_prefix(close + 1);
  }
  if (stretches.empty()) stretches.push_back({.choices = {""}});
  return stretches;
}

Error too_many(const std::string& shown) {
  return usage_error("'{}': expands to more than {} shards or {} bytes of paths; name only existing shards",
                     shown, kMostShards, kMostShardBytes);
}

/// Adds the number of paths and their bytes to `count` and `bytes`. Throws beyond the limits, before anything
/// is expanded.
void count_paths(const std::vector<Stretch>& stretches, const std::string& shown, std::uint64_t& count,
                 std::uint64_t& bytes) {
  std::uint64_t product = 1;
  std::size_t length = 0;
  for (const Stretch& stretch : stretches) {
    product *= std::min(stretch.size(), kMostShards + 1);  // at most 10^12: no overflow
    length += stretch.longest();
    if (product > kMostShards) throw too_many(shown);
    if (length > kMostShardPath) {
      throw usage_error("'{}': expands to a path of more than {} bytes", shown, kMostShardPath);
    }
  }
  count += product;
  bytes += product * length;
  if (count > kMostShards || bytes > kMostShardBytes) throw too_many(shown);
}

/// The path with this number; the last part changes fastest.
std::string path_at(const std::vector<Stretch>& stretches, std::uint64_t number) {
  std::vector<std::string> pieces(stretches.size());
  for (std::size_t i = stretches.size(); i-- > 0;) {
    pieces[i] = stretches[i].at(number % stretches[i].size());
    number /= stretches[i].size();
  }
  return join(pieces, "");
}

}  // namespace

std::vector<std::string> expand_shards(const std::string& shards) {
  constexpr std::string_view kJoint = "::";
  const std::string shown = shortened(shards, 100);
  std::vector<std::string> paths;
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  for (std::size_t start = 0; start <= shards.size();) {
    const std::size_t end = std::min(shards.find(kJoint, start), shards.size());
    const std::vector<Stretch> stretches =
        parse_pattern(std::string_view(shards).substr(start, end - start), shown);
    count_paths(stretches, shown, count, bytes);
    for (std::uint64_t number = 0; paths.size() < count; ++number)
      paths.push_back(path_at(stretches, number));
    start = end + kJoint.size();
  }
  return paths;
}

}  // namespace sdsclip
