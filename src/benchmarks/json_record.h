#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// Parses a whole JSON file, objects keeping the file's order. Throws `Error(kInput)` that names the file
/// and, where it is not JSON, the place.
nlohmann::ordered_json read_json_file(const std::filesystem::path& path);

/// One JSON value as part of a larger file. Throws as above, with `where` ("FILE: line 3") in front.
nlohmann::ordered_json parse_json(std::string_view text, const std::string& where);

/// A JSON object under reading. Every accessor throws `Error(kInput)` that names `where` and the key when the
/// key is missing or of another kind; no number is ever converted (3.7 and true are not integers).
class JsonRecord {
 public:
  /// `where` names the file and the record for error messages. Throws where `value` is not an object.
  JsonRecord(const nlohmann::ordered_json& value, std::string where);

  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] const std::string& text(std::string_view key) const;
  /// A 32-bit whole number of at least `minimum`.
  [[nodiscard]] std::int32_t integer(std::string_view key, std::int32_t minimum) const;
  /// A whole number of any size, such as an image's number in COCO.
  [[nodiscard]] std::int64_t identifier(std::string_view key) const;
  [[nodiscard]] const nlohmann::ordered_json& array(std::string_view key) const;
  /// A list of texts.
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
  /// The text, or nothing where the key is missing, null or an empty text.
  [[nodiscard]] std::optional<std::string> optional_text(std::string_view key) const;

 private:
  [[nodiscard]] const nlohmann::ordered_json& value(std::string_view key) const;

  const nlohmann::ordered_json* object_;
  std::string where_;
};

/// `value` as a list of texts; `where` names it in errors.
std::vector<std::string> texts_of(const nlohmann::ordered_json& value, const std::string& where);

}  // namespace sdsclip
