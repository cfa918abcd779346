#include "sdsclip/data/captions.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// The numbers of a range "08..10", as wide as its wider end where that one starts with a zero; nothing where
/// `body` is no range.
std::optional<std::vector<std::string>> expand_range(std::string_view body, const std::string& shards) {
  const std::size_t dots = body.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const std::string_view first = body.substr(0, dots);
  const std::string_view last = body.substr(dots + 2);
  if (!is_digits(first) || !is_digits(last)) return std::nullopt;
  constexpr std::uint64_t kMostShards = 10'000'000;
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  std::from_chars(first.data(), first.data() + first.size(), low);
  std::from_chars(last.data(), last.data() + last.size(), high);
  if (low > high || high - low >= kMostShards) {
    throw usage_error("'{}': got the range {{{}}}, expected one that counts up, by less than {}", shards,
                      body, kMostShards);
  }
  const bool padded = first.starts_with('0') || last.starts_with('0');
  const std::size_t width = padded ? std::max(first.size(), last.size()) : 1;
  std::vector<std::string> numbers;
  for (std::uint64_t number = low; number <= high; ++number)
    numbers.push_back(fmt::format("{:0{}}", number, width));
  return numbers;
}

std::vector<std::string> expand_braces(const std::string& pattern, const std::string& shards) {
  const std::size_t open = pattern.find('{');
  if (open == std::string::npos) return {pattern};
  const std::size_t close = pattern.find('}', open);
  const std::string body = pattern.substr(open + 1, std::min(close, pattern.size()) - open - 1);
  if (close == std::string::npos || body.find('{') != std::string::npos) {
    throw usage_error(
        "'{}': got a brace that does not close, or one within another, expected {{00000..00331}} or {{a,b}}",
        shards);
  }
  const std::vector<std::string> choices = expand_range(body, shards).value_or(split(body, ','));
  const std::vector<std::string> endings = expand_braces(pattern.substr(close + 1), shards);
  std::vector<std::string> paths;
  for (const std::string& choice : choices) {
    for (const std::string& ending : endings) paths.push_back(pattern.substr(0, open) + choice + ending);
  }
  return paths;
}

}  // namespace

std::unique_ptr<CaptionDataset> open_captions(const CaptionSource& source) {
  switch (source.format) {
    case CaptionFormat::kCoco:
      return open_coco_captions(source.annotations, source.images);
    case CaptionFormat::kTsv:
      return open_table_captions(source.annotations, source.images);
    case CaptionFormat::kWebDataset:
      break;
  }
  return open_webdataset_captions(source.annotations);
}

std::vector<std::string> expand_shards(const std::string& shards) {
  constexpr std::string_view kJoint = "::";
  std::vector<std::string> paths;
  for (std::size_t start = 0; start <= shards.size();) {
    const std::size_t end = std::min(shards.find(kJoint, start), shards.size());
    const std::vector<std::string> expanded = expand_braces(shards.substr(start, end - start), shards);
    paths.insert(paths.end(), expanded.begin(), expanded.end());
    start = end + kJoint.size();
  }
  return paths;
}

}  // namespace sdsclip
