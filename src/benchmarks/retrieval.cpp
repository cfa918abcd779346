// Image-text retrieval: recall@1, 5 and 10 in both directions, as in CLIP_benchmark's zeroshot_retrieval.py.
//
// The first of these that exists:
// DIR/coco_karpathy_test.json, DIR/flickr30k_test.json   [{image, caption: [...]}, ...], the image below DIR
// DIR/dataset_coco.json, DIR/dataset_flickr30k.json      Karpathy's splits; the images of split `test`, in
//                                                        DIR/<filepath>/ or, without `filepath`, in
//                                                        DIR/flickr30k-images/
// DIR/annotations/captions_val2017.json                  COCO's own format, images in DIR/val2017/
// DIR/annotations/captions_val2014.json                  the same, images in DIR/val2014/
#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include "case_table_builder.h"
#include "judging.h"
#include "registry.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/json.h"

namespace sdsclip {
namespace {

constexpr std::array<ExpectedCount, 2> kExpected = {{{"set/coco", 5'000}, {"set/flickr30k", 1'000}}};
constexpr std::array<std::string_view, 5> kMarkers = {"coco_karpathy_test.json", "flickr30k_test.json",
                                                      "dataset_coco.json", "dataset_flickr30k.json",
                                                      "annotations"};
constexpr std::array<std::int64_t, 3> kCutoffs = {1, 5, 10};

struct CaptionedImage {
  fs::path file;  // below the data folder
  std::vector<std::string> captions;
  std::string where;
};

const ordered_json& list_in(const ordered_json& file, const fs::path& path) {
  if (!file.is_array()) throw input_error("{}: expected a list of images with captions", path.string());
  return file;
}

std::vector<CaptionedImage> read_image_list(const fs::path& path) {
  const ordered_json file = read_json_file(path);
  std::vector<CaptionedImage> images;
  for (const ordered_json& entry : list_in(file, path)) {
    const JsonRecord record(entry, fmt::format("{}: record {}", path.string(), images.size()));
    images.push_back(
        {.file = record.text("image"), .captions = record.texts("caption"), .where = record.where()});
  }
  return images;
}

std::vector<CaptionedImage> read_karpathy(const fs::path& path) {
  const ordered_json file = read_json_file(path);
  std::vector<CaptionedImage> images;
  std::size_t number = 0;
  for (const ordered_json& entry : JsonRecord(file, path.string()).array("images")) {
    const JsonRecord record(entry, fmt::format("{}: image {}", path.string(), number++));
    if (record.text("split") != "test") continue;
    const fs::path folder = record.optional_text("filepath").value_or("flickr30k-images");
    CaptionedImage image{.file = folder / record.text("filename"), .captions = {}, .where = record.where()};
    for (const ordered_json& sentence : record.array("sentences")) {
      image.captions.push_back(JsonRecord(sentence, record.where() + ", sentence").text("raw"));
    }
    images.push_back(std::move(image));
  }
  return images;
}

std::vector<CaptionedImage> read_coco(const fs::path& path, const fs::path& image_folder) {
  const ordered_json file = read_json_file(path);
  const JsonRecord whole(file, path.string());
  std::vector<CaptionedImage> images;
  std::unordered_map<std::int64_t, std::size_t> position_of;
  for (const ordered_json& entry : whole.array("images")) {
    const JsonRecord record(entry, fmt::format("{}: images[{}]", path.string(), images.size()));
    if (!position_of.emplace(record.identifier("id"), images.size()).second) {
      throw input_error("{}: id {} appears twice, expected each once", record.where(),
                        record.identifier("id"));
    }
    images.push_back(
        {.file = image_folder / record.text("file_name"), .captions = {}, .where = record.where()});
  }
  std::size_t number = 0;
  for (const ordered_json& entry : whole.array("annotations")) {
    const JsonRecord record(entry, fmt::format("{}: annotations[{}]", path.string(), number++));
    const auto found = position_of.find(record.identifier("image_id"));
    if (found == position_of.end()) {
      throw input_error("{}: image_id {} is not among the images", record.where(),
                        record.identifier("image_id"));
    }
    images[found->second].captions.push_back(record.text("caption"));
  }
  return images;
}

struct Source {
  std::vector<CaptionedImage> images;
  std::string_view set;  // `coco` or `flickr30k`, for the counts
};

Source read_source(const fs::path& data) {
  const auto there = [&data](std::string_view name) { return fs::exists(data / name); };
  if (there("coco_karpathy_test.json")) return {read_image_list(data / "coco_karpathy_test.json"), "coco"};
  if (there("flickr30k_test.json")) return {read_image_list(data / "flickr30k_test.json"), "flickr30k"};
  if (there("dataset_coco.json")) return {read_karpathy(data / "dataset_coco.json"), "coco"};
  if (there("dataset_flickr30k.json")) return {read_karpathy(data / "dataset_flickr30k.json"), "flickr30k"};
  for (const std::string_view split : {"val2017", "val2014"}) {
    const fs::path path = data / "annotations" / fmt::format("captions_{}.json", split);
    if (fs::exists(path)) return {read_coco(path, split), "coco"};
  }
  throw input_error(
      "{}: no caption file; expected coco_karpathy_test.json, flickr30k_test.json, dataset_coco.json, "
      "dataset_flickr30k.json, or annotations/captions_val2017.json; docs/datasets.md says how to prepare "
      "them",
      data.string());
}

CaseTable load(const LoadOptions& options) {
  CaseTableBuilder builder(options);
  const Source source = read_source(options.data);
  for (const CaptionedImage& image : source.images) {
    if (builder.part_is_full()) break;
    const std::string id = image.file.generic_string();
    if (image.captions.empty()) throw input_error("{}: image {} has no caption", image.where, id);
    const std::optional<std::int32_t> row =
        builder.image_row({.id = id, .file = options.data / image.file}, image.where);
    if (!row) {
      builder.skip_case();
      continue;
    }
    // The list of captions is empty: all captions of the table compete. A caption that two images share is
    // one candidate and right for both. A caption that an image has twice is two questions.
    Case question{.id = id, .images = {*row}};
    for (const std::string& caption : image.captions)
      question.positives.push_back(builder.caption_row(caption));
    question.tags = {fmt::format("set/{}", source.set)};
    builder.add_case(std::move(question), image.where);
  }
  return builder.finish();
}

// The number of wrong candidates with a higher score than the right one, and with the same score.
struct Rank {
  std::int64_t higher = 0;
  std::int64_t tied = 0;
};

// torch.topk leaves the order of ties open; here wrong candidates with the same score come first.
Verdict within(const Rank& rank, std::int64_t k) {
  return {.right = rank.higher + rank.tied < k, .tied = rank.higher < k && rank.higher + rank.tied >= k};
}

Rank rank_of_best_caption(std::span<const double> row, std::vector<std::int32_t> positives) {
  std::sort(positives.begin(), positives.end());
  double best = row[static_cast<std::size_t>(positives.front())];
  for (const std::int32_t column : positives) best = std::max(best, row[static_cast<std::size_t>(column)]);
  Rank rank;
  for (std::size_t column = 0; column < row.size(); ++column) {
    if (row[column] < best) continue;
    if (std::binary_search(positives.begin(), positives.end(), static_cast<std::int32_t>(column))) continue;
    ++(row[column] > best ? rank.higher : rank.tied);
  }
  return rank;
}

// A caption as a question: which image does it belong to?
struct CaptionQuery {
  std::size_t case_index = 0;
  std::size_t column = 0;
  double score = 0;  // with its own image
  Rank rank;
};

std::vector<CaptionQuery> rank_images(const CaseTable& table, const CaseScores& scores) {
  std::vector<CaptionQuery> queries;
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    for (const std::int32_t positive : table.cases[index].positives) {
      const std::size_t column = static_cast<std::size_t>(positive);
      queries.push_back(
          {.case_index = index, .column = column, .score = scores.row(index, 0)[column], .rank = {}});
    }
  }
  // Image by image, because the matrix is stored in rows.
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    const std::span<const double> row = scores.row(index, 0);
    for (CaptionQuery& query : queries) {
      if (query.case_index == index) continue;
      if (row[query.column] > query.score) ++query.rank.higher;
      if (row[query.column] == query.score) ++query.rank.tied;
    }
  }
  return queries;
}

std::vector<MetricMarks> judge(const CaseTable& table, const CaseScores& scores) {
  MarkCollector marks;
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    const Rank rank = rank_of_best_caption(scores.row(index, 0), table.cases[index].positives);
    for (const std::int64_t k : kCutoffs) {
      if (k > static_cast<std::int64_t>(table.captions.size())) continue;
      marks.add(fmt::format("retrieval/text/recall@{}", k), index, within(rank, k));
    }
  }
  for (const CaptionQuery& query : rank_images(table, scores)) {
    for (const std::int64_t k : kCutoffs) {
      if (k > static_cast<std::int64_t>(table.cases.size())) continue;
      marks.add(fmt::format("retrieval/image/recall@{}", k), query.case_index, within(query.rank, k));
    }
  }
  return marks.take();
}

}  // namespace

Benchmark retrieval() {
  constexpr std::string_view kSummary =
      "COCO or Flickr30k captions: recall@1, 5 and 10, text for an image and image for a text";
  const std::vector<std::string> headline = {"retrieval/text/recall@1",  "retrieval/text/recall@5",
                                             "retrieval/text/recall@10", "retrieval/image/recall@1",
                                             "retrieval/image/recall@5", "retrieval/image/recall@10"};
  return {"retrieval", kSummary, load, judge, headline, kExpected, kMarkers};
}

}  // namespace sdsclip
