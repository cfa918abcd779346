// CLEVR as released with "Are Diffusion Models Vision-And-Language Reasoners?" (Krojer et al., 2023,
// diffusion-itm): seven tasks, with two pairs of a true and a false caption per image.
//
// DIR/captions/TASK.json   {"image.png": [[true, false], [true, false]], ...}
// DIR/images/
#include <array>
#include <string>

#include "case_table_builder.h"
#include "judging.h"
#include "registry.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/json.h"
#include "text_lines.h"

namespace sdsclip {
namespace {

constexpr std::array<std::string_view, 7> kTasks = {
    "pair_binding_size", "pair_binding_color",  "recognition_color",  "recognition_shape",
    "spatial",           "binding_color_shape", "binding_shape_color"};
constexpr std::array<ExpectedCount, 8> kExpected = {{{"", 8'036},
                                                     {"task/pair_binding_size", 1'148},
                                                     {"task/pair_binding_color", 1'148},
                                                     {"task/recognition_color", 1'148},
                                                     {"task/recognition_shape", 1'148},
                                                     {"task/spatial", 1'148},
                                                     {"task/binding_color_shape", 1'148},
                                                     {"task/binding_shape_color", 1'148}}};

void load_task(CaseTableBuilder& builder, std::string_view task, const fs::path& path) {
  builder.begin_part();
  const ordered_json file = read_json_file(path);
  const JsonRecord record(file, path.string());
  for (const auto& [image, pairs] : file.items()) {
    const std::string where = fmt::format("{}: key '{}'", path.string(), image);
    if (!pairs.is_array()) throw input_error("{}: expected a list of [true, false] pairs", where);
    for (std::size_t number = 0; number < pairs.size(); ++number) {
      if (builder.part_is_full()) return;
      const std::string pair_where = fmt::format("{}, pair {}", where, number);
      const std::vector<std::string> captions = texts_of(pairs[number], pair_where);
      if (captions.size() != 2) {
        throw input_error("{}: got {} captions, expected 2: the true and the false one", pair_where,
                          captions.size());
      }
      builder.add({.id = fmt::format("{}/{}/{}", task, image, number),
                   .images = {{.file = fs::path("images") / image}},
                   .captions = captions,
                   .tags = {fmt::format("task/{}", task)},
                   .where = pair_where});
    }
  }
}

CaseTable load(const LoadOptions& options) {
  CaseTableBuilder builder(options);
  for (const std::string_view task : kTasks) {
    const fs::path path = options.data / "captions" / fmt::format("{}.json", task);
    require_data_file(path, "clevr");
    load_task(builder, task, path);
  }
  return builder.finish();
}

// diffusion-itm takes `argmax == 0` with the true caption first, so a tie is right.
std::vector<MetricMarks> judge(const CaseTable& table, const CaseScores& scores) {
  MarkCollector marks;
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    const Verdict verdict = first_is_best(scores.row(index, 0), TieRule::kRight);
    marks.add("clevr/accuracy", index, verdict);
    marks.add(fmt::format("clevr/{}/accuracy", tag_value(table.cases[index], "task/")), index, verdict);
  }
  return marks.take();
}

}  // namespace

Benchmark clevr() {
  constexpr std::string_view kSummary = "colours, shapes, sizes and places of rendered objects: seven tasks";
  return {"clevr", kSummary, load, judge, accuracy_headline("clevr", kTasks), kExpected};
}

}  // namespace sdsclip
