// Candidate captions of images, one of them the image's own; L_rank learns from their scores.
#include "sdsclip/benchmarks/candidates.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "case_table_builder.h"
#include "judging.h"
#include "sdsclip/base/error.h"
#include "sdsclip/data/captions.h"

namespace sdsclip {
namespace {

/// Groups a table's rows into cases by image and own caption, in order of first appearance.
class CandidateCases {
 public:
  explicit CandidateCases(CaseTableBuilder& builder) : builder_(builder) {}

  /// `record` is the row at `where`; `image` is its row in the case table.
  void add(const CaptionRecord& record, std::int32_t image) {
    const std::int32_t own = builder_.caption_row(record.captions.front());
    const auto [entry, is_new] = position_of_.try_emplace({image, own}, cases_.size());
    if (is_new) {
      cases_.push_back({.id = fmt::format("{}/{}", record.image_name, own),
                        .images = {image},
                        .captions = {own},
                        .positives = {0}});
    }
    std::vector<std::int32_t>& captions = cases_[entry->second].captions;
    for (const std::string& candidate : record.negative_captions) {
      const std::int32_t row = builder_.caption_row(candidate);
      if (std::find(captions.begin(), captions.end(), row) == captions.end()) captions.push_back(row);
    }
  }

  [[nodiscard]] std::vector<Case>& cases() { return cases_; }

 private:
  CaseTableBuilder& builder_;
  std::vector<Case> cases_;
  std::map<std::pair<std::int32_t, std::int32_t>, std::size_t> position_of_;  // (image, own caption)
};

/// Reads a row and drops candidates that are empty or equal to the image's own caption.
CaptionRecord read_row(const CaptionDataset& rows, std::int64_t index) {
  CaptionRecord record = rows.record(index);
  const std::string& own = record.captions.front();
  std::erase_if(record.negative_captions,
                [&own](const std::string& candidate) { return candidate.empty() || candidate == own; });
  return record;
}

CaseTable refuse_to_load(const LoadOptions&) {
  throw usage_error(
      "captions: needs a table of candidates; run 'sdsclip diffusion-score captions --candidates FILE'");
}

std::vector<MetricMarks> judge(const CaseTable& table, const CaseScores& scores) {
  MarkCollector marks;
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    marks.add("captions/own_first", index, first_is_best(scores.row(index, 0), TieRule::kWrong));
  }
  return marks.take();
}

}  // namespace

const Benchmark& captions_benchmark() {
  static const Benchmark kCaptions = {
      .name = "captions",
      .summary = "a caption against candidates made from it: targets of L_rank",
      .load = refuse_to_load,
      .judge = judge,
      .headline = {"captions/own_first"},
      .expected = {}};
  return kCaptions;
}

CaseTable load_candidates(const LoadOptions& options, const fs::path& table) {
  const std::unique_ptr<CaptionDataset> rows = open_table_captions(table, options.data);
  CaseTableBuilder builder(options);
  CandidateCases collected(builder);
  const std::int64_t most = options.limit > 0 ? options.limit : rows->size();
  bool any_candidate = false;
  for (std::int64_t index = 0; index < rows->size(); ++index) {
    const CaptionRecord record = read_row(*rows, index);
    if (record.negative_captions.empty()) continue;
    any_candidate = true;
    const std::optional<std::int32_t> image =
        builder.image_row({.id = record.image_name, .file = options.data / record.image_name},
                          fmt::format("{}: row {}", table.string(), index + 1));
    if (image) {
      collected.add(record, *image);
    } else {
      builder.skip_case();
    }
    if (static_cast<std::int64_t>(collected.cases().size()) == most) break;
  }
  if (!any_candidate) {
    throw input_error(
        "{}: no row has a candidate in the column 'neg_caption'; make them by scripts/make_candidates.py",
        table.string());
  }
  for (Case& question : collected.cases()) builder.add_case(std::move(question), table.string());
  return builder.finish();
}

}  // namespace sdsclip
