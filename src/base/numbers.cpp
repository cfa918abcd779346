#include "sdsclip/base/numbers.h"

#include <charconv>
#include <cmath>

namespace sdsclip {
namespace {

template <typename Number>
std::optional<Number> whole_number(std::string_view text) {
  const bool has_plus = text.starts_with('+');
  if (has_plus) text.remove_prefix(1);
  if (has_plus && text.starts_with('-')) return std::nullopt;
  Number value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::int64_t> to_integer(std::string_view text) {
  return whole_number<std::int64_t>(text);
}

std::optional<double> to_number(std::string_view text) {
  const std::optional<double> value = whole_number<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

}  // namespace sdsclip
