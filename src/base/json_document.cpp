#include "json_document.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "sdsclip/base/json.h"
#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

using nlohmann::ordered_json;

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
  TreeBuilder(std::string_view text, const std::string& name, ExitCode on_error, JsonLines lines,
              const char** seen)
      : name_(name), on_error_(on_error), lines_(lines), seen_(seen), counted_(text.data()) {}

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
    const std::string origin = lines_ == JsonLines::kKept ? fmt::format("{}:{}", name_, line()) : name_;
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
    if (lines_ == JsonLines::kKept) document_.lines.push_back(line());
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
  JsonLines lines_;
  const char** seen_;
  const char* counted_;
  std::int64_t line_ = 1;
  std::size_t values_ = 0;
  std::vector<OpenValue> open_;
  JsonDocument document_;
};

}  // namespace

JsonDocument parse_json_document(std::string_view text, const std::string& name, ExitCode on_error,
                                 JsonLines lines) {
  const char* seen = text.data();
  TreeBuilder builder(text, name, on_error, lines, &seen);
  ordered_json::sax_parse(TrackingIterator(text.data(), &seen),
                          TrackingIterator(text.data() + text.size(), nullptr), &builder);
  return builder.take();
}

}  // namespace sdsclip
