#include "sdsclip/base/json.h"

#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>

#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

/// Feeds the parser characters and records its position.
class TrackingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackingIterator(const char* position, const char** seen) : position_(position), seen_(seen) {}
  reference operator*() const { return *position_; }
  TrackingIterator& operator++() {
    ++position_;
    if (seen_ != nullptr) *seen_ = position_;
    return *this;
  }
  bool operator==(const TrackingIterator& other) const { return position_ == other.position_; }
  bool operator!=(const TrackingIterator& other) const { return position_ != other.position_; }

 private:
  const char* position_;
  const char** seen_;
};

/// A list or object whose end has not been read yet.
struct OpenValue {
  ordered_json value;
  std::string key;  // of the next field, in an object
  std::unordered_set<std::string> seen;
};

/// Builds the tree from the parser's events.
class TreeBuilder : public ordered_json::json_sax_t {
 public:
  TreeBuilder(std::string_view text, const std::string& name, ExitCode on_error, bool keeps_lines,
              const char** seen)
      : name_(name), on_error_(on_error), keeps_lines_(keeps_lines), seen_(seen), counted_(text.data()) {}

  JsonDocument take() { return std::move(document_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(ordered_json::object()); }
  bool start_array(std::size_t) override { return open(ordered_json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& value) override {
    OpenValue& object = open_.back();
    if (!is_new(object, value)) throw error(fmt::format("key '{}' is given twice; keep one", value));
    object.key = std::move(value);
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& failure) override {
    std::string reason = failure.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    const std::size_t end = reason.find("] ");
    if (reason.starts_with('[') && end != std::string::npos) reason.erase(0, end + 2);
    throw error(fmt::format("not JSON: {}", reason));
  }

 private:
  [[nodiscard]] Error error(const std::string& what) {
    const std::string origin = keeps_lines_ ? fmt::format("{}:{}", name_, line()) : name_;
    return Error(on_error_, fmt::format("{}: {}", origin, what));
  }

  std::int64_t line() {
    // The parser may have read one character ahead; a line break there belongs to the next line.
    const char* const end = std::max(counted_, *seen_ - 1);
    line_ += std::count(counted_, end, '\n');
    counted_ = end;
    return line_;
  }

  /// Compares names one by one, because most objects have few fields and a set would cost more.
  static bool is_new(OpenValue& object, const std::string& key) {
    constexpr std::size_t kFew = 16;
    const ordered_json::object_t& fields = object.value.get_ref<const ordered_json::object_t&>();
    if (fields.size() < kFew) {
      return std::none_of(fields.begin(), fields.end(),
                          [&](const auto& field) { return field.first == key; });
    }
    if (object.seen.empty()) {
      for (const auto& field : fields) object.seen.insert(field.first);
    }
    return object.seen.insert(key).second;
  }

  void begin_value() {
    if (++values_ > kMostJsonValues) throw error(fmt::format("holds more than {} values", kMostJsonValues));
    if (keeps_lines_) document_.lines.push_back(line());
  }

  bool add(ordered_json value) {
    begin_value();
    place(std::move(value));
    return true;
  }

  bool open(ordered_json value) {
    if (open_.size() >= kDeepestJson)
      throw error(fmt::format("nested more than {} levels deep", kDeepestJson));
    begin_value();
    open_.push_back({.value = std::move(value), .key = {}, .seen = {}});
    return true;
  }

  bool close() {
    ordered_json value = std::move(open_.back().value);
    open_.pop_back();
    place(std::move(value));
    return true;
  }

  void place(ordered_json value) {
    if (open_.empty()) {
      document_.root = std::move(value);
    } else if (open_.back().value.is_array()) {
      open_.back().value.push_back(std::move(value));
    } else {
      append_field(open_.back().value, std::move(open_.back().key), std::move(value));
    }
  }

  std::string name_;
  ExitCode on_error_;
  bool keeps_lines_;
  const char** seen_;
  const char* counted_;
  std::int64_t line_ = 1;
  std::size_t values_ = 0;
  std::vector<OpenValue> open_;
  JsonDocument document_;
};

JsonDocument parse_document(std::string_view text, const std::string& name, ExitCode on_error,
                            bool keeps_lines) {
  const char* seen = text.data();
  TreeBuilder builder(text, name, on_error, keeps_lines, &seen);
  ordered_json::sax_parse(TrackingIterator(text.data(), &seen),
                          TrackingIterator(text.data() + text.size(), nullptr), &builder);
  return builder.take();
}

}  // namespace

ordered_json parse_json_value(std::string_view text, const std::string& where) {
  return parse_document(text, where, ExitCode::kInput, /*keeps_lines=*/false).root;
}

JsonDocument parse_json_lines(std::string_view text, const std::string& name, ExitCode on_error) {
  return parse_document(text, name, on_error, /*keeps_lines=*/true);
}

std::optional<std::string> json_text(std::string_view quoted) {
  const ordered_json value = ordered_json::parse(quoted, nullptr, false);
  return value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt;
}

ordered_json read_json_file(const fs::path& path, std::uint64_t most_bytes) {
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
