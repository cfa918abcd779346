#include "sdsclip/training/tensorboard.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <nlohmann/json.hpp>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"

namespace sdsclip {
namespace {

constexpr std::string_view kPrefix = "events.out.tfevents.";
constexpr std::string_view kSuffix = ".sdsclip";

template <typename Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(value); ++i) bytes += static_cast<char>(value >> 8U * i & 0xFFU);
  return bytes;
}

/// The small part of protobuf's wire format that is needed: fields are appended in the order of the calls.
class Message {
 public:
  Message& varint(std::uint32_t field, std::uint64_t value) {
    tag(field, 0);
    put_varint(value);
    return *this;
  }
  Message& real64(std::uint32_t field, double value) {
    tag(field, 1);
    text_ += little_endian(std::bit_cast<std::uint64_t>(value));
    return *this;
  }
  Message& real32(std::uint32_t field, float value) {
    tag(field, 5);
    text_ += little_endian(std::bit_cast<std::uint32_t>(value));
    return *this;
  }
  Message& bytes(std::uint32_t field, std::string_view value) {
    tag(field, 2);
    put_varint(value.size());
    text_ += value;
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void tag(std::uint32_t field, std::uint32_t wire_type) { put_varint(field << 3U | wire_type); }
  void put_varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) text_ += static_cast<char>((value & 0x7FU) | 0x80U);
    text_ += static_cast<char>(value);
  }

  std::string text_;
};

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// The fields of every `Event`: wall_time = 1 (seconds), step = 2.
Message event(std::int64_t step) {
  return Message().real64(1, now()).varint(2, static_cast<std::uint64_t>(step));
}

/// event.proto: file_version = 3. TensorBoard obeys session starts only from version 2 on.
std::string version_event() {
  return event(0).bytes(3, "brain.Event:2").text();
}

/// event.proto: session_log = 7, of which status = 1, START = 1.
std::string start_event(std::int64_t step) {
  return event(step).bytes(7, Message().varint(1, 1).text()).text();
}

/// event.proto: summary = 5; summary.proto: value = 1, of which tag = 1, simple_value = 2.
std::string scalars_event(std::int64_t step, std::span<const Scalar> scalars) {
  Message summary;
  for (const Scalar& scalar : scalars) {
    const Message value = Message().bytes(1, scalar.tag).real32(2, static_cast<float>(scalar.value));
    summary.bytes(1, value.text());
  }
  return event(step).bytes(5, summary.text()).text();
}

/// TFRecord masks its checksums against checksums of checksums (tensorflow/core/lib/hash/crc32c.h).
std::string masked_sum(std::string_view bytes) {
  return little_endian(std::rotr(crc32c(bytes), 15) + 0xA282EAD8U);
}

std::string record(std::string_view data) {
  const std::string length = little_endian(std::uint64_t{data.size()});
  return length + masked_sum(length) + std::string(data) + masked_sum(data);
}

/// TensorBoard reads a folder's files in the order of their names, which contain the seconds since 1970. The
/// name has the current time, or one second more than the newest file.
std::string next_name(const fs::path& folder) {
  std::int64_t seconds = static_cast<std::int64_t>(now());
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    const std::string digits = name.substr(kPrefix.size(), 10);
    const bool is_number = digits.size() == 10 && std::all_of(digits.begin(), digits.end(), [](char digit) {
                             return digit >= '0' && digit <= '9';
                           });
    if (is_number) seconds = std::max(seconds, std::int64_t{std::stoll(digits)} + 1);
  }
  return fmt::format("{}{:010}{}", kPrefix, seconds, kSuffix);
}

void flatten_into(const nlohmann::ordered_json& object, const std::string& prefix,
                  std::vector<Scalar>& scalars) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      flatten_into(value, prefix + key + "/", scalars);
    } else if (value.is_number()) {
      scalars.push_back({prefix + key, value.get<double>()});
    }
  }
}

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  constexpr std::uint32_t kReversedPolynomial = 0x82F63B78;
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) {
      remainder = remainder >> 1U ^ ((remainder & 1U) != 0 ? kReversedPolynomial : 0U);
    }
    table[byte] = remainder;
  }
  return table;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = make_crc_table();
  std::uint32_t remainder = 0xFFFFFFFF;
  for (const char byte : bytes) {
    remainder = remainder >> 8U ^ kTable[(remainder ^ static_cast<unsigned char>(byte)) & 0xFFU];
  }
  return ~remainder;
}

std::vector<Scalar> flatten_scalars(const nlohmann::ordered_json& line) {
  std::vector<Scalar> scalars;
  flatten_into(line, "", scalars);
  std::erase_if(scalars, [](const Scalar& scalar) { return scalar.tag == "step"; });
  return scalars;
}

std::vector<Scalar> evaluation_scalars(std::span<const Metric> metrics) {
  std::vector<Scalar> scalars;
  for (const Metric& metric : metrics) scalars.push_back({"evaluation/" + metric.name, metric.value});
  return scalars;
}

EventLog::EventLog(const fs::path& folder, std::int64_t done_steps) {
  create_folder(folder);
  file_ = folder / next_name(folder);
  write_file_atomically(file_, record(version_event()) + record(start_event(done_steps + 1)));
  stream_.open(file_, std::ios::app | std::ios::binary);
}

void EventLog::write(std::int64_t step, std::span<const Scalar> scalars) {
  stream_ << record(scalars_event(step, scalars)) << std::flush;
  if (!stream_) {
    throw runtime_failure(
        "{}: cannot write step {}; is the disk full? Free some space and run again with --resume",
        file_.string(), step);
  }
}

}  // namespace sdsclip
