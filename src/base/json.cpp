#include "sdsclip/base/json.h"

#include <limits>
#include <utility>

#include "json_document.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/text.h"

namespace sdsclip {

using nlohmann::ordered_json;

ordered_json parse_json_value(std::string_view text, const std::string& where) {
  return parse_json_document(text, where, ExitCode::kInput, JsonLines::kDropped).root;
}

std::optional<std::string> json_text(std::string_view quoted) {
  const ordered_json value = ordered_json::parse(quoted, nullptr, false);
  return value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt;
}

ordered_json read_json_file(const std::filesystem::path& path) {
  return read_json_file(path, kDataFileBytes);
}

ordered_json read_json_file(const std::filesystem::path& path, std::uint64_t most_bytes) {
  return parse_json_value(read_file(path, most_bytes), path.string());
}

std::string kind_of_json(const ordered_json& value) {
  constexpr std::size_t kMostQuoted = 80;
  const auto with_value = [&](std::string_view kind) {
    return fmt::format("{} ({})", kind, shortened(value.dump(), kMostQuoted));
  };
  if (value.is_number_float()) return with_value("a fraction");
  if (value.is_number()) return with_value("a whole number");
  if (value.is_string()) return with_value("a text");
  if (value.is_array()) return "a list";
  if (value.is_object()) return "an object";
  return value.is_null() ? "null" : with_value("true or false");
}

void append_field(ordered_json& object, std::string key, ordered_json value) {
  object.get_ref<ordered_json::object_t&>().emplace_back(std::move(key), std::move(value));
}

JsonRecord::JsonRecord(const ordered_json& value, std::string where)
    : object_(&value), where_(std::move(where)) {
  if (!value.is_object()) throw input_error("{}: got {}, expected an object", where_, kind_of_json(value));
}

bool JsonRecord::has(std::string_view key) const {
  return object_->contains(key);
}

const ordered_json& JsonRecord::value(std::string_view key) const {
  const auto found = object_->find(key);
  if (found == object_->end()) throw input_error("{}: key '{}' is missing", where_, key);
  return *found;
}

JsonRecord JsonRecord::child(std::string_view key) const {
  return {value(key), fmt::format("{}.{}", where_, key)};
}

const std::string& JsonRecord::any_text(std::string_view key) const {
  const ordered_json& found = value(key);
  if (!found.is_string()) {
    throw input_error("{}: key '{}': got {}, expected a text", where_, key, kind_of_json(found));
  }
  return found.get_ref<const std::string&>();
}

const std::string& JsonRecord::text(std::string_view key) const {
  const std::string& text = any_text(key);
  if (text.empty()) throw input_error("{}: key '{}': got an empty text", where_, key);
  return text;
}

std::int64_t JsonRecord::identifier(std::string_view key) const {
  const ordered_json& found = value(key);
  const bool too_large =
      found.is_number_unsigned() && found.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max();
  if (!found.is_number_integer() || too_large) {
    throw input_error("{}: key '{}': got {}, expected a whole number of at most 64 bits", where_, key,
                      kind_of_json(found));
  }
  return found.get<std::int64_t>();
}

std::int64_t JsonRecord::count(std::string_view key) const {
  const std::int64_t number = identifier(key);
  if (number < 0) throw input_error("{}: key '{}': got {}, expected 0 or more", where_, key, number);
  return number;
}

std::int32_t JsonRecord::integer(std::string_view key, std::int32_t minimum) const {
  const std::int64_t number = identifier(key);
  if (number < minimum || number > std::numeric_limits<std::int32_t>::max()) {
    throw input_error("{}: key '{}': got {}, expected a whole number of {} or more", where_, key, number,
                      minimum);
  }
  return static_cast<std::int32_t>(number);
}

double JsonRecord::number(std::string_view key) const {
  const ordered_json& found = value(key);
  if (!found.is_number()) {
    throw input_error("{}: key '{}': got {}, expected a number", where_, key, kind_of_json(found));
  }
  return found.get<double>();
}

const ordered_json& JsonRecord::array(std::string_view key) const {
  const ordered_json& found = value(key);
  if (!found.is_array()) {
    throw input_error("{}: key '{}': got {}, expected a list", where_, key, kind_of_json(found));
  }
  return found;
}

std::vector<std::string> JsonRecord::texts(std::string_view key) const {
  return texts_of(value(key), fmt::format("{}: key '{}'", where_, key));
}

std::vector<double> JsonRecord::numbers(std::string_view key, std::size_t size) const {
  std::vector<double> numbers;
  for (const ordered_json& entry : array(key)) {
    if (!entry.is_number()) {
      throw input_error("{}: key '{}': got {} in the list, expected numbers", where_, key,
                        kind_of_json(entry));
    }
    numbers.push_back(entry.get<double>());
  }
  if (numbers.size() != size) {
    throw input_error("{}: key '{}': got {} numbers, expected a list of {}", where_, key, numbers.size(),
                      size);
  }
  return numbers;
}

std::optional<std::string> JsonRecord::optional_text(std::string_view key) const {
  const auto found = object_->find(key);
  if (found == object_->end() || found->is_null()) return std::nullopt;
  if (found->is_string() && found->get_ref<const std::string&>().empty()) return std::nullopt;
  return text(key);
}

std::vector<std::string> texts_of(const ordered_json& value, const std::string& where) {
  if (!value.is_array())
    throw input_error("{}: got {}, expected a list of texts", where, kind_of_json(value));
  std::vector<std::string> texts;
  for (const ordered_json& entry : value) {
    if (!entry.is_string() || entry.get_ref<const std::string&>().empty()) {
      throw input_error("{}: entry {}: got {}, expected a text that is not empty", where, texts.size(),
                        entry.is_string() ? "an empty text" : kind_of_json(entry));
    }
    texts.push_back(entry.get<std::string>());
  }
  return texts;
}

}  // namespace sdsclip
