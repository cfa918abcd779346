// Zero-shot classification (Radford et al., 2021, section 3.1): a class is the average of its name in every
// template, and the class with the highest score is the answer. Metrics have the names of CLIP_benchmark's
// zeroshot_classification.py.
//
// DIR/classnames.txt                                               one class per line, in the order of labels
// DIR/templates.txt or DIR/zeroshot_classification_templates.txt   one template per line; `{c}` or `{}` is the
//                                                                  class name
// The images are in one of the layouts of zeroshot_layouts.h.
#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "judging.h"
#include "registry.h"
#include "sdsclip/base/error.h"
#include "text_lines.h"
#include "zeroshot_layouts.h"

namespace sdsclip {
namespace {

constexpr std::array<std::string_view, 1> kMarkers = {"classnames.txt"};

struct Template {
  std::string before;  // the class name
  std::string after;
};

Template parse_template(const TextLine& line, const fs::path& path) {
  if (line.text.empty()) {
    throw input_error("{}: line {}: got an empty template, expected a text with {{c}}; remove the line",
                      path.string(), line.number);
  }
  for (const std::string_view placeholder : {"{c}", "{}"}) {
    const std::size_t position = line.text.find(placeholder);
    if (position == std::string::npos) continue;
    return {.before = line.text.substr(0, position),
            .after = line.text.substr(position + placeholder.size())};
  }
  throw input_error("{}: line {}: got '{}', expected {{c}} or {{}} where the class name goes", path.string(),
                    line.number, line.text);
}

std::vector<Template> read_templates(const fs::path& data) {
  const fs::path published = data / "zeroshot_classification_templates.txt";
  const fs::path path = fs::exists(published) ? published : data / "templates.txt";
  std::vector<Template> templates;
  for (const TextLine& line : read_text_lines(path)) templates.push_back(parse_template(line, path));
  if (templates.empty()) throw input_error("{}: no template, expected one per line", path.string());
  return templates;
}

CaseTable load(const LoadOptions& options) {
  CaseTableBuilder builder(options);
  const std::vector<std::string> class_names = read_class_names(options.data);
  const std::vector<Template> templates = read_templates(options.data);
  std::set<std::string> seen;
  for (std::size_t label = 0; label < class_names.size(); ++label) {
    const std::string& name = class_names[label];
    // ImageNet has classes with the same name ("missile", "sunglasses"), so their ids get the label. An empty
    // name is a class too, as in CLIP_benchmark: without it all later labels would shift.
    const bool repeated = !seen.insert(name).second || name.empty();
    BenchmarkCaption caption{.id = repeated ? fmt::format("{} (class {})", name, label) : name};
    for (const Template& item : templates) caption.texts.push_back(item.before + name + item.after);
    builder.ensemble_row(std::move(caption), (options.data / "classnames.txt").string());
  }
  if (is_webdataset(options.data)) {
    load_webdataset(builder, options.data, class_names.size());
  } else if (is_cifar(options.data)) {
    load_cifar(builder, options.data, class_names.size());
  } else if (is_mnist(options.data)) {
    load_mnist(builder, options.data, class_names.size());
  } else {
    refuse_other_archives(options.data);
    load_image_folder(builder, options.data, class_names);
  }
  return builder.finish();
}

// Right if fewer than `k` other classes score as high or higher, so a tie counts against the model.
Verdict in_top(std::span<const double> row, std::int32_t label, std::int64_t k) {
  const double right = row[static_cast<std::size_t>(label)];
  const std::int64_t higher = std::count_if(row.begin(), row.end(), [right](double s) { return s > right; });
  const std::int64_t tied = std::count(row.begin(), row.end(), right) - 1;
  return {.right = higher + tied < k, .tied = higher < k && higher + tied >= k};
}

std::vector<MetricMarks> judge(const CaseTable& table, const CaseScores& scores) {
  MarkCollector marks;
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    const std::int32_t label = table.cases[index].positives.front();
    const std::span<const double> row = scores.row(index, 0);
    const Verdict top1 = in_top(row, label, 1);
    marks.add("zeroshot/acc1", index, top1);
    // With fewer than five classes the right one is always in the top five.
    if (table.captions.size() >= 5) marks.add("zeroshot/acc5", index, in_top(row, label, 5));
    marks.add("zeroshot/mean_per_class_recall", index, top1, label,
              table.captions[static_cast<std::size_t>(label)].id);
  }
  return marks.take();
}

}  // namespace

std::vector<std::string> read_class_names(const fs::path& data) {
  const fs::path path = data / "classnames.txt";
  require_data_file(path, "zeroshot");
  std::vector<std::string> names;
  for (const TextLine& line : read_text_lines(path)) names.push_back(line.text);
  if (names.empty()) throw input_error("{}: no class name, expected one per line", path.string());
  return names;
}

void add_labelled_image(CaseTableBuilder& builder, BenchmarkImage image, std::int32_t label,
                        const std::string& where) {
  const std::string id = image.id;
  const std::optional<std::int32_t> row = builder.image_row(std::move(image), where);
  if (!row) return builder.skip_case();
  builder.add_case({.id = id, .images = {*row}, .positives = {label}}, where);
}

Benchmark zeroshot() {
  constexpr std::string_view kSummary = "zero-shot classification: acc1, acc5 and mean per-class recall";
  const std::vector<std::string> headline = {"zeroshot/acc1", "zeroshot/acc5",
                                             "zeroshot/mean_per_class_recall"};
  return {"zeroshot", kSummary, load, judge, headline, {}, kMarkers};
}

}  // namespace sdsclip
