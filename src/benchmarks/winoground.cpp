// Winoground (Thrush et al., 2022): two images and two captions of the same words; which belongs to which?
//
// DIR/examples.jsonl             one case per line: id, image_0, image_1, caption_0, caption_1, tag,
//                                secondary_tag, num_main_preds, collapsed_tag
// DIR/images/                    the images, named with or without extension in the examples
// DIR/new_tag_assignments.json   optional: Diwan et al. (2022), {"id": [category, ...]}
#include <array>
#include <map>
#include <sstream>
#include <string>
#include <utility>

#include "case_table_builder.h"
#include "judging.h"
#include "registry.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/json.h"
#include "text_lines.h"

namespace sdsclip {
namespace {

using DiwanTags = std::map<std::string, std::vector<std::string>>;

constexpr std::array<ExpectedCount, 6> kExpected = {{{"", 400},
                                                     {"tag/Object", 141},
                                                     {"tag/Relation", 233},
                                                     {"tag/Both", 26},
                                                     {"preds/1", 292},
                                                     {"preds/2", 108}}};

DiwanTags read_diwan_tags(const fs::path& path) {
  DiwanTags tags;
  if (!fs::exists(path)) return tags;
  const ordered_json file = read_json_file(path);
  const JsonRecord record(file, path.string());
  for (const auto& [id, categories] : file.items()) {
    tags[id] = texts_of(categories, fmt::format("{}: key '{}'", path.string(), id));
  }
  return tags;
}

// The data set's own `id` is a number; in copies of it the id may be a text.
std::string id_of(const ordered_json& line, const JsonRecord& record) {
  if (line.contains("id") && line["id"].is_string()) return record.text("id");
  return std::to_string(record.identifier("id"));
}

std::vector<std::string> tags_of_example(const JsonRecord& record, const std::string& id,
                                         const DiwanTags& diwan) {
  std::vector<std::string> tags;
  const std::optional<std::string> tag = record.optional_text("tag");
  const std::optional<std::string> collapsed_tag = record.optional_text("collapsed_tag");
  const std::optional<std::string> secondary_tag = record.optional_text("secondary_tag");
  if (collapsed_tag) tags.push_back("tag/" + *collapsed_tag);
  if (tag) tags.push_back((collapsed_tag ? "fine_tag/" : "tag/") + *tag);
  if (secondary_tag) tags.push_back("secondary_tag/" + *secondary_tag);
  if (record.has("num_main_preds"))
    tags.push_back(fmt::format("preds/{}", record.integer("num_main_preds", 0)));
  if (diwan.empty()) return tags;
  const auto assigned = diwan.find(id);
  if (assigned == diwan.end()) {
    throw input_error("{}: id '{}' is not in new_tag_assignments.json, expected every id", record.where(),
                      id);
  }
  for (const std::string& category : assigned->second) tags.push_back("diwan/" + category);
  if (assigned->second.empty()) tags.push_back("diwan/No Tag");
  return tags;
}

CaseTable load(const LoadOptions& options) {
  CaseTableBuilder builder(options);
  const fs::path path = options.data / "examples.jsonl";
  require_data_file(path, "winoground");
  const DiwanTags diwan = read_diwan_tags(options.data / "new_tag_assignments.json");
  std::istringstream lines(read_file(path));
  std::string line;
  for (std::int64_t number = 1; std::getline(lines, line) && !builder.part_is_full(); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = fmt::format("{}: line {}", path.string(), number);
    const ordered_json example = parse_json_value(line, where);
    const JsonRecord record(example, where);
    CaseDraft draft{.id = id_of(example, record), .where = where};
    for (const char* key : {"image_0", "image_1"}) {
      const fs::path image = fs::path("images") / record.text(key);
      draft.images.push_back({.file = with_image_extension(options.data, image)});
    }
    draft.captions = {record.text("caption_0"), record.text("caption_1")};
    draft.tags = tags_of_example(record, draft.id, diwan);
    builder.add(draft);
  }
  return builder.finish();
}

struct Verdicts {
  Verdict text;
  Verdict image;
  Verdict group;
};

// Thrush et al., section 4.1, equations 1-3 use strictly greater, so a tie is wrong.
Verdicts judge_case(const CaseScores& scores, std::size_t index) {
  const double c0_i0 = scores.at(index, 0, 0);
  const double c1_i0 = scores.at(index, 0, 1);
  const double c0_i1 = scores.at(index, 1, 0);
  const double c1_i1 = scores.at(index, 1, 1);
  const Verdict text = both(beats(c0_i0, c1_i0), beats(c1_i1, c0_i1));
  const Verdict image = both(beats(c0_i0, c0_i1), beats(c1_i1, c1_i0));
  return {.text = text, .image = image, .group = both(text, image)};
}

std::vector<MetricMarks> judge(const CaseTable& table, const CaseScores& scores) {
  std::vector<Verdicts> verdicts;
  for (std::size_t index = 0; index < table.cases.size(); ++index)
    verdicts.push_back(judge_case(scores, index));

  MarkCollector marks;
  const auto add = [&](const std::string& prefix, std::size_t index) {
    marks.add(prefix + "text", index, verdicts[index].text);
    marks.add(prefix + "image", index, verdicts[index].image);
    marks.add(prefix + "group", index, verdicts[index].group);
  };
  for (std::size_t index = 0; index < table.cases.size(); ++index) add("winoground/", index);
  for (const std::string& tag : tags_of(table)) {
    for (std::size_t index = 0; index < table.cases.size(); ++index) {
      if (has_tag(table.cases[index], tag)) add("winoground/" + tag + "/", index);
    }
  }
  return marks.take();
}

}  // namespace

Benchmark winoground() {
  constexpr std::string_view kSummary =
      "two images, two captions of the same words: text, image and group score";
  const std::vector<std::string> headline = {"winoground/text", "winoground/image", "winoground/group"};
  return {"winoground", kSummary, load, judge, headline, kExpected};
}

}  // namespace sdsclip
