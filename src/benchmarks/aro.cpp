// ARO (Yuksekgonul et al., 2023): does the model prefer the caption with its words in the right order?
//
// DIR/visual_genome_relation.json      [{image_path, bbox_x, bbox_y, bbox_w, bbox_h, true_caption,
//                                        false_caption, relation_name}, ...]
// DIR/visual_genome_attribution.json   the same with `attributes: [a, b]` instead of `relation_name`
// DIR/images/                          their images; a case uses the box only
// DIR/coco_order.json                  [{image, caption_options: [true caption, four shuffles]}, ...];
// DIR/flickr_order.json                `image` is a path below DIR
//
// scripts/prepare_aro_order.py writes the two order files, because the shuffles are random.
// A missing file means that its metrics are missing.
#include <array>
#include <limits>
#include <map>
#include <string>

#include "aro_symmetric_relations.h"
#include "case_table_builder.h"
#include "judging.h"
#include "registry.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/json.h"

namespace sdsclip {
namespace {

constexpr std::array<ExpectedCount, 4> kExpected = {{{"task/vg_relation", 23'937},
                                                     {"task/vg_attribution", 28'748},
                                                     {"task/coco_order", 25'010},
                                                     {"task/flickr_order", 5'000}}};
constexpr std::size_t kOrderCaptions = 5;
// The authors' `evaluate_scores` leaves out pairs of attributes with fewer cases from the macro average.
constexpr std::int64_t kFewestOfAttributePair = 25;

struct Part {
  std::string_view task;
  std::string_view file;
  CaseDraft (*read)(const JsonRecord& record);
};

CaseDraft read_boxed(const JsonRecord& record) {
  constexpr std::int32_t kAnywhere =
      std::numeric_limits<std::int32_t>::min();  // a box may extend beyond its image
  const Box box{.x = record.integer("bbox_x", kAnywhere),
                .y = record.integer("bbox_y", kAnywhere),
                .width = record.integer("bbox_w", 1),
                .height = record.integer("bbox_h", 1)};
  return {.images = {{.file = fs::path("images") / record.text("image_path"), .crop = box}},
          .captions = {record.text("true_caption"), record.text("false_caption")},
          .where = record.where()};
}

CaseDraft read_relation(const JsonRecord& record) {
  CaseDraft draft = read_boxed(record);
  draft.tags.push_back("relation/" + record.text("relation_name"));
  return draft;
}

CaseDraft read_attribution(const JsonRecord& record) {
  CaseDraft draft = read_boxed(record);
  const std::vector<std::string> attributes = record.texts("attributes");
  if (attributes.size() != 2) {
    throw input_error("{}: key 'attributes': got {} texts, expected 2", record.where(), attributes.size());
  }
  draft.tags.push_back("attributes/" + attributes[0] + "_" + attributes[1]);
  return draft;
}

CaseDraft read_order(const JsonRecord& record) {
  CaseDraft draft{.images = {{.file = record.text("image")}},
                  .captions = record.texts("caption_options"),
                  .where = record.where()};
  if (draft.captions.size() != kOrderCaptions) {
    throw input_error(
        "{}: key 'caption_options': got {} captions, expected {}: the true one and four shuffles",
        record.where(), draft.captions.size(), kOrderCaptions);
  }
  return draft;
}

constexpr std::array<Part, 4> kParts = {
    {{"vg_relation", "visual_genome_relation.json", read_relation},
     {"vg_attribution", "visual_genome_attribution.json", read_attribution},
     {"coco_order", "coco_order.json", read_order},
     {"flickr_order", "flickr_order.json", read_order}}};

void load_part(CaseTableBuilder& builder, const Part& part, const fs::path& path) {
  builder.begin_part();
  const ordered_json file = read_json_file(path);
  if (!file.is_array()) throw input_error("{}: expected a list of cases", path.string());
  for (std::size_t number = 0; number < file.size() && !builder.part_is_full(); ++number) {
    const JsonRecord record(file[number], fmt::format("{}: record {}", path.string(), number));
    CaseDraft draft = part.read(record);
    draft.id = fmt::format("{}/{}", part.task, number);
    draft.tags.insert(draft.tags.begin(), fmt::format("task/{}", part.task));
    builder.add(draft);
  }
}

CaseTable load(const LoadOptions& options) {
  CaseTableBuilder builder(options);
  bool found = false;
  for (const Part& part : kParts) {
    const fs::path path = options.data / part.file;
    if (!fs::exists(path)) continue;
    load_part(builder, part, path);
    found = true;
  }
  if (!found) {
    throw input_error(
        "{}: has none of {}, {}, {}, {}, expected one or more; docs/datasets.md says how to prepare them",
        options.data.string(), kParts[0].file, kParts[1].file, kParts[2].file, kParts[3].file);
  }
  return builder.finish();
}

// The authors list [false, true] and take `argmax == 1`, so a tie is wrong. For the orders they list the true
// caption first and take `argmax == 0`, so a tie is right.
Verdict judge_case(const CaseTable& table, const CaseScores& scores, std::size_t index) {
  const bool is_order = tag_value(table.cases[index], "task/").ends_with("_order");
  return first_is_best(scores.row(index, 0), is_order ? TieRule::kRight : TieRule::kWrong);
}

// The number of cases with a tag, and an index for the tag.
struct TagCount {
  std::int64_t cases = 0;
  std::int32_t number = 0;
};

std::map<std::string, TagCount> count_tags(const CaseTable& table, std::string_view prefix) {
  std::map<std::string, TagCount> counts;
  for (const Case& question : table.cases) {
    for (const std::string& tag : question.tags) {
      if (tag.starts_with(prefix)) ++counts[tag].cases;
    }
  }
  std::int32_t number = 0;
  for (auto& [tag, count] : counts) count.number = number++;
  return counts;
}

bool is_published(const std::string& tag, const TagCount& count) {
  constexpr std::string_view kRelation = "relation/";
  if (tag.starts_with(kRelation))
    return !is_left_out_of_vg_relation(std::string_view(tag).substr(kRelation.size()));
  return count.cases >= kFewestOfAttributePair;
}

void judge_visual_genome(const CaseTable& table, const std::vector<Verdict>& verdicts, std::string_view task,
                         std::string_view group_prefix, MarkCollector& marks) {
  const std::map<std::string, TagCount> groups = count_tags(table, group_prefix);
  const std::string prefix = fmt::format("aro/{}/", task);
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    const Case& question = table.cases[index];
    if (!has_tag(question, fmt::format("task/{}", task))) continue;
    const std::string tag = std::string(group_prefix).append(tag_value(question, group_prefix));
    const TagCount& group = groups.at(tag);
    if (is_published(tag, group)) {
      marks.add(prefix + "macro", index, verdicts[index], group.number, tag);
      marks.add(prefix + "micro_filtered", index, verdicts[index]);
    }
    marks.add(prefix + "micro", index, verdicts[index]);
  }
}

// The paper does not define its "ARO-Overall"; its values are the means of VG-Relation's and VG-Attribution's
// micro accuracies, with equal weights.
void judge_overall(const CaseTable& table, const std::vector<Verdict>& verdicts, MarkCollector& marks) {
  if (tags_of(table, "task/vg_").size() != 2) return;
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    if (has_tag(table.cases[index], "task/vg_relation"))
      marks.add("aro/overall", index, verdicts[index], 0, "vg_relation");
    if (has_tag(table.cases[index], "task/vg_attribution"))
      marks.add("aro/overall", index, verdicts[index], 1, "vg_attribution");
  }
}

std::vector<MetricMarks> judge(const CaseTable& table, const CaseScores& scores) {
  std::vector<Verdict> verdicts;
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    verdicts.push_back(judge_case(table, scores, index));
  }
  MarkCollector marks;
  judge_overall(table, verdicts, marks);
  judge_visual_genome(table, verdicts, "vg_relation", "relation/", marks);
  judge_visual_genome(table, verdicts, "vg_attribution", "attributes/", marks);
  for (const std::string_view task : {"coco_order", "flickr_order"}) {
    for (std::size_t index = 0; index < table.cases.size(); ++index) {
      if (!has_tag(table.cases[index], fmt::format("task/{}", task))) continue;
      marks.add(fmt::format("aro/{}/accuracy", task), index, verdicts[index]);
    }
  }
  return marks.take();
}

}  // namespace

Benchmark aro() {
  constexpr std::string_view kSummary =
      "attribution, relation and order: VG-Relation, VG-Attribution, COCO-Order, Flickr30k-Order";
  const std::vector<std::string> headline = {"aro/overall",
                                             "aro/vg_relation/macro",
                                             "aro/vg_relation/micro",
                                             "aro/vg_attribution/macro",
                                             "aro/vg_attribution/micro",
                                             "aro/coco_order/accuracy",
                                             "aro/flickr_order/accuracy"};
  return {"aro", kSummary, load, judge, headline, kExpected};
}

}  // namespace sdsclip
