#include "sdsclip/benchmarks/text_table.h"

#include <unordered_map>

namespace sdsclip {

TextTable unique_texts(const CaseTable& table) {
  TextTable unique;
  std::unordered_map<std::string, std::int32_t> row_of;
  const auto row_for = [&](const std::string& text) {
    const auto [entry, is_new] = row_of.try_emplace(text, static_cast<std::int32_t>(unique.texts.size()));
    if (is_new) unique.texts.push_back(text);
    return entry->second;
  };
  for (const BenchmarkCaption& caption : table.captions) {
    std::vector<std::int32_t>& rows = unique.of_caption.emplace_back();
    for (const std::string& text : caption.texts) rows.push_back(row_for(text));
  }
  unique.caption_texts = static_cast<std::int32_t>(unique.texts.size());
  unique.unconditional = row_for("");
  return unique;
}

}  // namespace sdsclip
