#include "sdsclip/training/tensorboard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "sdsclip/base/files.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

/// In the order in which TensorBoard reads them.
std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

/// The data of a file's records, its lengths and both sums checked.
std::vector<std::string> records_of(const fs::path& file) {
  const auto word_at = [](std::string_view bytes, std::size_t at) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    return word;
  };
  const auto masked = [](std::uint32_t sum) { return (sum >> 15U | sum << 17U) + 0xA282EAD8U; };
  const std::string bytes = read_file(file);
  std::vector<std::string> records;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::string_view length_bytes = std::string_view(bytes).substr(at, 8);
    std::uint64_t length = 0;
    std::memcpy(&length, length_bytes.data(), sizeof(length));
    EXPECT_EQ(word_at(bytes, at + 8), masked(crc32c(length_bytes)));
    records.push_back(bytes.substr(at + 12, length));
    EXPECT_EQ(word_at(bytes, at + 12 + length), masked(crc32c(records.back())));
    at += 16 + length;
  }
  EXPECT_EQ(at, bytes.size());
  return records;
}

TEST(Crc32c, IsThatOfTheStandardsExamples) {
  // RFC 3720, appendix B.4, whose bytes are written in the order of the wire.
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  std::string rising;
  for (int byte = 0; byte < 32; ++byte) rising += static_cast<char>(byte);
  EXPECT_EQ(crc32c(rising), 0x46DD794EU);
  EXPECT_EQ(crc32c(std::string(rising.rbegin(), rising.rend())), 0x113FDB5CU);
}

TEST(FlattenScalars, JoinsNamesAndSkipsTheStepAndValuesThatAreNotNumbers) {
  const nlohmann::ordered_json line = nlohmann::ordered_json::parse(
      R"({"step": 7, "loss": {"total": 1.5, "sds": 2}, "evaluation": {"winoground/text": 0.25},
          "lr": null, "note": "x", "flag": true})");
  std::vector<std::pair<std::string, double>> found;
  for (const Scalar& scalar : flatten_scalars(line)) found.emplace_back(scalar.tag, scalar.value);
  const std::vector<std::pair<std::string, double>> expected = {
      {"loss/total", 1.5}, {"loss/sds", 2.0}, {"evaluation/winoground/text", 0.25}};
  EXPECT_EQ(found, expected);
}

TEST(EventLog, WritesRecordsInTheEventMessagesWireFormat) {
  const TemporaryFolder folder;
  {
    EventLog log(folder.path(), 300);
    log.write(301, std::vector<Scalar>{{"a/b", 1.0}});
  }
  const std::vector<fs::path> files = files_of(folder.path());
  ASSERT_EQ(files.size(), 1U);
  const std::vector<std::string> records = records_of(files.front());
  ASSERT_EQ(records.size(), 3U);
  // By hand from event.proto and summary.proto. 301 is the varint AD 02; every event begins with nine bytes
  // of its wall time.
  EXPECT_EQ(records[0].substr(9), std::string("\x10\x00\x1A\x0D", 4) + "brain.Event:2");
  EXPECT_EQ(records[1].substr(9), "\x10\xAD\x02\x3A\x02\x08\x01");
  EXPECT_EQ(records[2].substr(9), std::string("\x10\xAD\x02\x2A\x0C\x0A\x0A\x0A\x03"
                                              "a/b\x15\x00\x00\x80\x3F",
                                              17));
  for (const std::string& record : records) EXPECT_EQ(record[0], '\x09');
}

TEST(EventLog, EachNewFileSortsAfterTheEarlierOnes) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "events.out.tfevents.9000000000.sdsclip", "of a clock that was ahead");
  const EventLog first(folder.path(), 0);
  const EventLog second(folder.path(), 4);
  const std::vector<fs::path> files = files_of(folder.path());
  ASSERT_EQ(files.size(), 3U);
  EXPECT_EQ(records_of(files[1]).at(1).substr(9), std::string("\x10\x01\x3A\x02\x08\x01"));
  EXPECT_EQ(records_of(files[2]).at(1).substr(9), std::string("\x10\x05\x3A\x02\x08\x01"));
}

}  // namespace
}  // namespace sdsclip
