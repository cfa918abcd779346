#include "sdsclip/data/csv.h"

#include <gtest/gtest.h>

#include <fstream>

#include "sdsclip/data/limits.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

// The rules are compared with Python's csv on thousands of rows in tests/parity/test_csv.py.

namespace sdsclip {
namespace {

using Fields = std::vector<std::string>;
using testing::TemporaryFolder;

class Csv : public ::testing::Test {
 protected:
  CsvReader open(std::string_view text, const CsvFormat& format = {}) {
    std::ofstream(folder_ / "t.csv", std::ios::binary) << text;
    return CsvReader(folder_ / "t.csv", format);
  }

  TemporaryFolder folder_;
};

TEST_F(Csv, ReadsQuotesAsPandasDoes) {
  CsvReader reader = open(
      "images/0.jpg,\"A \"big\" dog runs\",x\n"
      "images/0.jpg,\"A big\" dog and a cat,x\n"
      "1,Color,say \"hi\" to it\n"
      "\"a, \"\"b\"\"\",\"\",c\n");
  CsvRow row;
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(row.fields, (Fields{"images/0.jpg", "A big\" dog runs\"", "x"}));
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(row.fields, (Fields{"images/0.jpg", "A big dog and a cat", "x"}));
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(row.fields, (Fields{"1", "Color", "say \"hi\" to it"}));
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(row.fields, (Fields{"a, \"b\"", "", "c"}));
  EXPECT_FALSE(reader.next(row));
}

// Values by pandas 2.3's read_csv.
TEST_F(Csv, SkipsLinesOfWhiteSpaceAsPandasDoes) {
  const auto rows_of = [this](std::string_view text, char separator) {
    CsvReader reader = open(text, {.separator = separator, .skips_white_lines = true});
    std::vector<Fields> rows;
    std::vector<std::int64_t> lines;
    for (CsvRow row; reader.next(row);) {
      rows.push_back(row.fields);
      lines.push_back(row.line);
    }
    return std::pair(rows, lines);
  };
  using Rows = std::vector<Fields>;
  using Lines = std::vector<std::int64_t>;
  EXPECT_EQ(rows_of("   \na,b\n \t \r\n\n1,2\n  \r3,4\n  ", ','),
            (std::pair(Rows{{"a", "b"}, {"1", "2"}, {"3", "4"}}, Lines{2, 5, 7})));
  EXPECT_EQ(rows_of("a\tb\n  \n \t \n\t\n", '\t'),
            (std::pair(Rows{{"a", "b"}, {" ", " "}, {"", ""}}, Lines{1, 3, 4})));
  EXPECT_EQ(rows_of("a,b\n  ,5\n  x\n\f\n", ','),
            (std::pair(Rows{{"a", "b"}, {"  ", "5"}, {"  x"}, {"\f"}}, Lines{1, 2, 3, 4})));
}

TEST_F(Csv, GivesThePlacesOfMultiLineRecords) {
  const std::string text =
      "\xef\xbb\xbf"
      "a,b\r\n\r\n\"1\r\n2\n3\",x\ry,z\nlast,\"line\"";
  CsvReader reader = open(text);
  std::vector<std::int64_t> lines;
  std::vector<std::int64_t> numbers;
  for (CsvRow row; reader.next(row);) {
    lines.push_back(row.line);
    numbers.push_back(row.number);
    EXPECT_EQ(split_csv_record(text.substr(row.offset, row.size)), row.fields);
  }
  EXPECT_EQ(lines, (std::vector<std::int64_t>{1, 3, 6, 7}));
  EXPECT_EQ(numbers, (std::vector<std::int64_t>{0, 1, 2, 3}));
}

TEST_F(Csv, ContinuesFromAGivenRecord) {
  CsvReader reader = open("a\nb\nc\n");
  CsvRow start;
  start.offset = 2;
  start.line = 2;
  start.number = 1;
  reader.seek(start);
  CsvRow row;
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(row.fields, Fields{"b"});
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(csv_place("t.csv", row), "t.csv: row 2 (line 3)");
}

TEST_F(Csv, KeepsQuotesAsCharactersIfAsked) {
  CsvReader reader =
      open("a.jpg#0\t\"A dog\" runs\nb.jpg#0\t\"A cat\n", {.separator = '\t', .quotes = false});
  CsvRow row;
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(row.fields, (Fields{"a.jpg#0", "\"A dog\" runs"}));
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(row.fields, (Fields{"b.jpg#0", "\"A cat"}));
}

TEST_F(Csv, RefusesAnOpenQuoteAndARecordWithoutEnd) {
  CsvRow row;
  CsvReader open_quote = open("a,b\n1,\"2\n3\n");
  open_quote.next(row);
  testing::expect_error(ExitCode::kInput, {"row 1 (line 2)", "quoted field does not end"},
                        [&] { open_quote.next(row); });
  CsvReader endless = open("a,b\n1,\"" + std::string(kMostRowBytes + 1, 'x') + "\"\n");
  endless.next(row);
  testing::expect_error(ExitCode::kInput, {"row 1 (line 2)", "longer than", "not closed"},
                        [&] { endless.next(row); });
}

}  // namespace
}  // namespace sdsclip
