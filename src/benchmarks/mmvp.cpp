// MMVP-VLM (Tong et al., 2024): pairs of images that look alike to CLIP, with one statement per image.
//
// DIR/Questions.csv                        Question ID, Type, Statement; two rows per pair, odd number first
// DIR/MLLM_VLM Images/TYPE/NUMBER.jpg
#include <array>
#include <map>
#include <string>

#include "case_table_builder.h"
#include "judging.h"
#include "registry.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"
#include "sdsclip/data/csv.h"
#include "text_lines.h"

namespace sdsclip {
namespace {

constexpr std::array<ExpectedCount, 1> kExpected = {{{"", 135}}};
constexpr std::size_t kColumns = 3;

struct Statement {
  std::int32_t number = 0;
  std::string type;
  std::string caption;
};

Statement read_statement(const CsvRow& row, const std::string& where) {
  if (row.fields.size() != kColumns) {
    throw input_error("{}: got {} fields, expected {}: question id, type, statement", where,
                      row.fields.size(), kColumns);
  }
  if (row.fields[1].empty() || row.fields[2].empty()) {
    throw input_error("{}: got an empty type or statement", where);
  }
  return {.number = parse_count(row.fields[0], where),
          .type = row.fields[1],
          .caption = "a photo of " + row.fields[2]};  // as the authors' evaluate_vlm.py
}

std::vector<CsvRow> read_rows(const fs::path& path) {
  std::vector<CsvRow> rows;
  CsvReader reader(path);
  for (CsvRow row; reader.next(row);) {
    for (const std::string& field : row.fields) {
      if (!is_utf8(field))
        throw input_error("{}: line {}: not UTF-8; save the file as UTF-8", path.string(), row.line);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

CaseTable load(const LoadOptions& options) {
  CaseTableBuilder builder(options);
  const fs::path path = options.data / "Questions.csv";
  require_data_file(path, "mmvp");
  const std::vector<CsvRow> rows = read_rows(path);
  if (rows.size() % 2 != 1) {
    throw input_error("{}: got {} rows, expected a header and two rows per pair", path.string(), rows.size());
  }
  for (std::size_t i = 1; i < rows.size() && !builder.part_is_full(); i += 2) {
    const std::string where = fmt::format("{}: line {}", path.string(), rows[i].line);
    const Statement first = read_statement(rows[i], where);
    const Statement second =
        read_statement(rows[i + 1], fmt::format("{}: line {}", path.string(), rows[i + 1].line));
    if (first.type != second.type || first.number % 2 != 1 || second.number - first.number != 1) {
      throw input_error(
          "{}: got questions {} ({}) and {} ({}), expected an odd number and the next of one type", where,
          first.number, first.type, second.number, second.type);
    }
    const fs::path folder = fs::path("MLLM_VLM Images") / first.type;
    builder.add({.id = fmt::format("{}-{}", first.number, second.number),
                 .images = {{.file = folder / fmt::format("{}.jpg", first.number)},
                            {.file = folder / fmt::format("{}.jpg", second.number)}},
                 .captions = {first.caption, second.caption},
                 .tags = {"type/" + first.type},
                 .where = where});
  }
  return builder.finish();
}

// evaluate_vlm.py assigns each statement the first image if its share of the softmax over both is above 0.5,
// else the second. A tie is therefore wrong for the first statement and right for the second. A pair needs
// both.
Verdict judge_case(const CaseScores& scores, std::size_t index) {
  const Verdict first = beats(scores.at(index, 0, 0), scores.at(index, 1, 0), TieRule::kWrong);
  const Verdict second = beats(scores.at(index, 1, 1), scores.at(index, 0, 1), TieRule::kRight);
  return both(first, second);
}

std::vector<MetricMarks> judge(const CaseTable& table, const CaseScores& scores) {
  std::map<std::string, std::int32_t> numbers;
  for (const std::string& tag : tags_of(table))
    numbers.emplace(tag, static_cast<std::int32_t>(numbers.size()));
  MarkCollector marks;
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    const std::string& tag = table.cases[index].tags.front();
    marks.add("mmvp/accuracy", index, judge_case(scores, index), numbers.at(tag), tag);
  }
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    marks.add(fmt::format("mmvp/{}/accuracy", table.cases[index].tags.front()), index,
              judge_case(scores, index));
  }
  return marks.take();
}

}  // namespace

Benchmark mmvp() {
  constexpr std::string_view kSummary =
      "MMVP-VLM: pairs of images that CLIP takes for alike, nine visual patterns";
  return {"mmvp", kSummary, load, judge, {"mmvp/accuracy"}, kExpected};
}

}  // namespace sdsclip
