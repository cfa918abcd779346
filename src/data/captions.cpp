#include "sdsclip/data/captions.h"

#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"
#include "sdsclip/data/limits.h"

namespace sdsclip {
namespace {

/// Refuses options that the format does not read, instead of ignoring them silently.
void refuse_idle_options(const CaptionSource& source) {
  using Format = CaptionFormat;
  const Format format = source.format;
  const auto refuse = [](bool is_idle, std::string_view option, std::string_view formats) {
    if (is_idle)
      throw usage_error("data.{}: has no effect with this data.format, only with {}; remove it", option,
                        formats);
  };
  const bool is_json = format == Format::kJson || format == Format::kJsonLines;
  const bool has_columns = format == Format::kTsv || is_json;
  const bool has_files = format == Format::kWebDataset || format == Format::kFolder;
  refuse(!source.image_column.empty() && !has_columns, "image_column", "tsv, json and jsonl");
  refuse(!source.caption_column.empty() && !has_columns, "caption_column", "tsv, json and jsonl");
  refuse(source.separator != Separator::kDetect && format != Format::kTsv, "separator", "tsv");
  refuse(!source.split.empty() && !has_columns && format != Format::kKarpathy, "split",
         "karpathy, tsv, json and jsonl");
  refuse(source.captions_per_file != CaptionsPerFile::kOne && !has_files, "captions_per_file",
         "webdataset and folder");
  if (format == Format::kFolder && source.images.empty()) {
    throw usage_error("data.images: is empty, expected the folder of images and texts");
  }
}

}  // namespace

std::unique_ptr<CaptionDataset> open_captions(const CaptionSource& source) {
  refuse_idle_options(source);
  const BadRecordRule rule = source.bad_records();
  const RecordKeys keys{source.image_column, source.caption_column, source.split};
  switch (source.format) {
    case CaptionFormat::kCoco:
      return open_coco_captions(source.annotations, source.images, rule);
    case CaptionFormat::kTsv:
      return open_table_captions(source.annotations, source.images, {source.separator, keys, rule});
    case CaptionFormat::kKarpathy:
      return open_karpathy_captions(source.annotations, source.images, source.split, rule);
    case CaptionFormat::kJson:
    case CaptionFormat::kJsonLines:
      return open_json_captions(source.annotations, source.images, source.format == CaptionFormat::kJsonLines,
                                keys, rule);
    case CaptionFormat::kFolder:
      return open_folder_captions(source.images, source.captions_per_file);
    case CaptionFormat::kWebDataset:
      break;
  }
  return open_webdataset_captions(source.annotations, source.captions_per_file, rule);
}

std::vector<std::string> captions_in_text(const std::string& text, CaptionsPerFile captions_per_file,
                                          const std::string& where) {
  if (text.size() > kMostCaptionBytes) {
    throw input_error("{}: holds a text of more than {} bytes, expected a caption", where, kMostCaptionBytes);
  }
  if (captions_per_file == CaptionsPerFile::kOne) return {text};
  std::vector<std::string> captions;
  for (std::string& line : split(text, '\n')) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") != std::string::npos) captions.push_back(std::move(line));
  }
  if (captions.empty()) throw input_error("{}: holds no caption, expected one per line", where);
  return captions;
}

}  // namespace sdsclip
