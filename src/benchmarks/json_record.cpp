#include "json_record.h"

#include <limits>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"

namespace sdsclip {
namespace {

using nlohmann::ordered_json;

std::string kind_of(const ordered_json& value) {
  if (value.is_number_float()) return "a fraction";
  if (value.is_number()) return "a whole number";
  if (value.is_string()) return "a text";
  if (value.is_array()) return "a list";
  if (value.is_object()) return "an object";
  return value.is_null() ? "null" : "true or false";
}

}  // namespace

ordered_json parse_json(std::string_view text, const std::string& where) {
  try {
    return ordered_json::parse(text);
  } catch (const ordered_json::exception& error) {  // also a number too large for any type
    throw input_error("{}: not valid JSON: {}", where, error.what());
  }
}

ordered_json read_json_file(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

JsonRecord::JsonRecord(const ordered_json& value, std::string where)
    : object_(&value), where_(std::move(where)) {
  if (!value.is_object()) throw input_error("{}: got {}, expected an object", where_, kind_of(value));
}

bool JsonRecord::has(std::string_view key) const {
  return object_->contains(key);
}

const ordered_json& JsonRecord::value(std::string_view key) const {
  const auto found = object_->find(key);
  if (found == object_->end()) throw input_error("{}: key '{}' is missing", where_, key);
  return *found;
}

const std::string& JsonRecord::text(std::string_view key) const {
  const ordered_json& found = value(key);
  if (!found.is_string()) {
    throw input_error("{}: key '{}': got {}, expected a text", where_, key, kind_of(found));
  }
  const std::string& text = found.get_ref<const std::string&>();
  if (text.empty()) throw input_error("{}: key '{}': got an empty text", where_, key);
  return text;
}

std::int64_t JsonRecord::identifier(std::string_view key) const {
  const ordered_json& found = value(key);
  const bool too_large =
      found.is_number_unsigned() && found.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max();
  if (!found.is_number_integer() || too_large) {
    throw input_error("{}: key '{}': got {}, expected a whole number", where_, key,
                      too_large ? "more than 2^63" : kind_of(found));
  }
  return found.get<std::int64_t>();
}

std::int32_t JsonRecord::integer(std::string_view key, std::int32_t minimum) const {
  const std::int64_t number = identifier(key);
  if (number < minimum || number > std::numeric_limits<std::int32_t>::max()) {
    throw input_error("{}: key '{}': got {}, expected a whole number of {} or more", where_, key, number,
                      minimum);
  }
  return static_cast<std::int32_t>(number);
}

const ordered_json& JsonRecord::array(std::string_view key) const {
  const ordered_json& found = value(key);
  if (!found.is_array()) {
    throw input_error("{}: key '{}': got {}, expected a list", where_, key, kind_of(found));
  }
  return found;
}

std::vector<std::string> JsonRecord::texts(std::string_view key) const {
  return texts_of(value(key), fmt::format("{}: key '{}'", where_, key));
}

std::optional<std::string> JsonRecord::optional_text(std::string_view key) const {
  const auto found = object_->find(key);
  if (found == object_->end() || found->is_null()) return std::nullopt;
  if (found->is_string() && found->get_ref<const std::string&>().empty()) return std::nullopt;
  return text(key);
}

std::vector<std::string> texts_of(const ordered_json& value, const std::string& where) {
  if (!value.is_array()) throw input_error("{}: got {}, expected a list of texts", where, kind_of(value));
  std::vector<std::string> texts;
  for (const ordered_json& entry : value) {
    if (!entry.is_string() || entry.get_ref<const std::string&>().empty()) {
      throw input_error("{}: entry {}: got {}, expected a text that is not empty", where, texts.size(),
                        entry.is_string() ? "an empty text" : kind_of(entry));
    }
    texts.push_back(entry.get<std::string>());
  }
  return texts;
}

}  // namespace sdsclip
