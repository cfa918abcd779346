#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// What every JSON document that comes from outside is held to.
inline constexpr std::size_t kDeepestJson = 64;          ///< lists and objects inside each other
inline constexpr std::size_t kMostJsonValues = 1 << 25;  ///< of a document; COCO's largest file has 8 million

/// Parses a JSON document, objects keeping the document's order. Throws `Error(kInput)` that names `where`
/// ("FILE", "FILE: line 3") on text that is not JSON, a key that is given twice in one object, a number that
/// no double holds, and a document beyond the limits above. Takes time in proportion to the text.
nlohmann::ordered_json parse_json_value(std::string_view text, const std::string& where);

/// The same of a whole file, which may have at most `most_bytes`.
nlohmann::ordered_json read_json_file(const std::filesystem::path& path);
nlohmann::ordered_json read_json_file(const std::filesystem::path& path, std::uint64_t most_bytes);

/// "a fraction (0.5)", "an object": for error messages.
std::string kind_of_json(const nlohmann::ordered_json& value);

/// Appends a field. Unlike `object[key] = value`, takes the same time however many fields there are.
/// REQUIRES: `object` is an object without such a field.
void append_field(nlohmann::ordered_json& object, std::string key, nlohmann::ordered_json value);

/// A JSON object under reading. Every accessor throws `Error(kInput)` that names `where` and the key when the
/// key is missing or of another kind; no number is ever converted (3.7 and true are not integers).
class JsonRecord {
 public:
  /// `where` names the file and the record for error messages. Throws where `value` is not an object.
  JsonRecord(const nlohmann::ordered_json& value, std::string where);

  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] const nlohmann::ordered_json& object() const { return *object_; }
  /// The object under `key`, named `WHERE.KEY` in errors.
  [[nodiscard]] JsonRecord child(std::string_view key) const;
  [[nodiscard]] const std::string& text(std::string_view key) const;
  /// A text that may be empty.
  [[nodiscard]] const std::string& any_text(std::string_view key) const;
  /// A 32-bit whole number of at least `minimum`.
  [[nodiscard]] std::int32_t integer(std::string_view key, std::int32_t minimum) const;
  /// A whole number of any size, such as an image's number in COCO.
  [[nodiscard]] std::int64_t identifier(std::string_view key) const;
  /// A whole number of 0 or more.
  [[nodiscard]] std::int64_t count(std::string_view key) const;
  /// A number, whole or not.
  [[nodiscard]] double number(std::string_view key) const;
  [[nodiscard]] const nlohmann::ordered_json& array(std::string_view key) const;
  /// A list of texts.
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
  /// A list of exactly `size` numbers.
  [[nodiscard]] std::vector<double> numbers(std::string_view key, std::size_t size) const;
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
