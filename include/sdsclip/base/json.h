#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"

namespace sdsclip {

using nlohmann::ordered_json;

/// Limits of every JSON document from outside.
inline constexpr std::size_t kDeepestJson = 64;  ///< nesting of lists and objects
inline constexpr std::size_t kMostJsonValues = 1
                                               << 25;  ///< values per document; COCO's largest has 8 million

/// Parses a JSON document; objects keep the document's order. The time is proportional to the text. Throws
/// `Error(kInput)` that names `where` ("FILE", "FILE: line 3") if the text is not JSON, repeats a key in an
/// object, has a number outside the range of double, or exceeds the limits above.
ordered_json parse_json_value(std::string_view text, const std::string& where);

/// A document with the line of every value, in document order.
struct JsonDocument {
  ordered_json root;
  std::vector<std::int64_t> lines;
};

/// `parse_json_value` with lines. Errors begin with `NAME:LINE`, and have this exit code.
JsonDocument parse_json_lines(std::string_view text, const std::string& name, ExitCode on_error);

/// The text that a JSON string in its quotes stands for; nothing if `quoted` is not one.
std::optional<std::string> json_text(std::string_view quoted);

/// Reads a whole file with `parse_json_value`. `most_bytes` limits the file's size.
ordered_json read_json_file(const fs::path& path, std::uint64_t most_bytes = kDataFileBytes);

/// The value's kind as error messages name it: "a fraction (0.5)", "an object".
std::string kind_of_json(const ordered_json& value);

/// Appends a field in constant time; `object[key] = value` searches all fields first.
/// REQUIRES: `object` is an object without such a field.
void append_field(ordered_json& object, std::string key, ordered_json value);

/// Reads the fields of a JSON object. Every accessor throws `Error(kInput)` that names `where` and the key if
/// the key is missing or its value is of another kind. Numbers are never converted: 3.7 and true are not
/// integers.
class JsonRecord {
 public:
  /// `where` names the file and the record in errors. Throws `Error(kInput)` if `value` is not an object.
  JsonRecord(const ordered_json& value, std::string where);

  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] const ordered_json& object() const { return *object_; }
  /// The object under `key`, named `WHERE.KEY` in errors.
  [[nodiscard]] JsonRecord child(std::string_view key) const;
  [[nodiscard]] const std::string& text(std::string_view key) const;
  /// A text that may be empty.
  [[nodiscard]] const std::string& any_text(std::string_view key) const;
  /// A 32-bit whole number of at least `minimum`.
  [[nodiscard]] std::int32_t integer(std::string_view key, std::int32_t minimum) const;
  /// A 64-bit whole number, such as an image's id in COCO.
  [[nodiscard]] std::int64_t identifier(std::string_view key) const;
  /// A whole number of 0 or more.
  [[nodiscard]] std::int64_t count(std::string_view key) const;
  /// A number, whole or not.
  [[nodiscard]] double number(std::string_view key) const;
  [[nodiscard]] const ordered_json& array(std::string_view key) const;
  /// A list of texts.
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
  /// A list of exactly `size` numbers.
  [[nodiscard]] std::vector<double> numbers(std::string_view key, std::size_t size) const;
  /// The text, or nothing if the key is missing, null or an empty text.
  [[nodiscard]] std::optional<std::string> optional_text(std::string_view key) const;

 private:
  [[nodiscard]] const ordered_json& value(std::string_view key) const;

  const ordered_json* object_;
  std::string where_;
};

/// `value` as a list of texts; `where` names it in errors.
std::vector<std::string> texts_of(const ordered_json& value, const std::string& where);

}  // namespace sdsclip
