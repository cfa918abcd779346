#include "case_table_builder.h"

#include <array>
#include <system_error>
#include <utility>

#include "sdsclip/base/error.h"
#include "sdsclip/data/image.h"

namespace sdsclip {
namespace {

std::string image_id(const ImageSource& source) {
  const std::string path = source.file.generic_string();
  if (!source.crop) return path;
  const Box& box = *source.crop;
  return fmt::format("{}#{},{},{},{}", path, box.x, box.y, box.width, box.height);
}

std::int32_t next_row(std::size_t rows) {
  return static_cast<std::int32_t>(rows);
}

}  // namespace

CaseTableBuilder::CaseTableBuilder(const LoadOptions& options) : options_(options) {
  std::error_code ignored;
  if (!fs::is_directory(options_.data, ignored)) {
    throw input_error(
        "{}: no such data folder; give it with --data, docs/datasets.md says where each data set comes from",
        options_.data.string());
  }
}

bool CaseTableBuilder::part_is_full() const {
  return options_.limit > 0 && cases_in_part_ >= options_.limit;
}

bool CaseTableBuilder::file_exists(const fs::path& file, const std::string& where) {
  const auto [entry, is_new] = known_files_.try_emplace(file.string(), false);
  if (is_new) {
    std::error_code ignored;
    if (options_.confine) require_inside(options_.data, file, where);
    entry->second = fs::is_regular_file(file, ignored);
    if (!entry->second) table_.missing_files.push_back(file);
  }
  if (!entry->second && !options_.skip_missing) {
    throw input_error("{}: image {} is {}; restore it, or leave such cases out with --skip-missing", where,
                      file.string(), is_there(file) ? "no regular file" : "missing");
  }
  return entry->second;
}

std::optional<std::int32_t> CaseTableBuilder::image_row(BenchmarkImage image, const std::string& where) {
  if (!file_exists(image.file, where)) return std::nullopt;
  const auto [entry, is_new] = image_rows_.try_emplace(image.id, next_row(table_.images.size()));
  if (is_new) table_.images.push_back(std::move(image));
  return entry->second;
}

std::int32_t CaseTableBuilder::caption_row(const std::string& caption) {
  const auto [entry, is_new] = caption_rows_.try_emplace(caption, next_row(table_.captions.size()));
  if (is_new) table_.captions.push_back({.id = caption, .texts = {caption}});
  return entry->second;
}

std::int32_t CaseTableBuilder::ensemble_row(BenchmarkCaption caption, const std::string& where) {
  const auto [entry, is_new] = caption_rows_.try_emplace(caption.id, next_row(table_.captions.size()));
  if (!is_new) throw input_error("{}: '{}' appears twice, expected each once", where, caption.id);
  table_.captions.push_back(std::move(caption));
  return entry->second;
}

void CaseTableBuilder::add_case(Case question, const std::string& where) {
  if (!case_ids_.insert(question.id).second) {
    throw input_error("{}: id '{}' appears twice, expected each once", where, question.id);
  }
  table_.cases.push_back(std::move(question));
  ++cases_in_part_;
}

void CaseTableBuilder::add(const CaseDraft& draft) {
  Case question{.id = draft.id, .tags = draft.tags};
  for (const ImageSource& source : draft.images) {
    BenchmarkImage image{.id = image_id(source), .file = options_.data / source.file, .crop = source.crop};
    const std::optional<std::int32_t> row = image_row(std::move(image), draft.where);
    if (row) question.images.push_back(*row);
  }
  if (question.images.size() < draft.images.size()) return skip_case();
  for (const std::string& caption : draft.captions) question.captions.push_back(caption_row(caption));
  add_case(std::move(question), draft.where);
}

CaseTable CaseTableBuilder::finish() {
  if (!table_.cases.empty()) return std::move(table_);
  if (table_.missing_files.empty()) throw input_error("{}: no case to judge", options_.data.string());
  throw input_error("{}: no case to judge: all {} lack an image, such as {}", options_.data.string(),
                    table_.skipped_missing, table_.missing_files.front().string());
}

fs::path with_image_extension(const fs::path& data, const fs::path& file) {
  constexpr std::array<const char*, 4> kExtensions = {".png", ".jpg", ".jpeg", ".webp"};
  std::error_code ignored;
  if (fs::is_regular_file(data / file, ignored)) return file;
  for (const char* extension : kExtensions) {
    fs::path candidate = file;
    candidate += extension;
    if (fs::is_regular_file(data / candidate, ignored)) return candidate;
  }
  return file.has_extension() ? file : fs::path(file.string() + ".png");
}

}  // namespace sdsclip
