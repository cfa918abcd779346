// Reads tables and caption data sets and prints them as JSON, for the Python tests in this folder:
//
//   captions_probe tables SEPARATOR FILE...       per file: [{line, fields}, ...], or the text of an error
//   captions_probe samples KEY=VALUE...           {samples: [{name, captions, negatives, bytes}, ...]}
//
// KEY is a field of the section `data` of a configuration, VALUE its value as YAML. `bytes` is the size of
// the image file, or the text of an error.
#include <algorithm>
#include <string>
#include <vector>

#include "probe_main.h"
#include "sdsclip/base/config_tree.h"
#include "sdsclip/base/options.h"
#include "sdsclip/data/csv.h"
#include "sdsclip/data/loader.h"

namespace {

using nlohmann::ordered_json;
using Arguments = std::vector<std::string>;

ordered_json read_table(const std::string& path, char separator) {
  ordered_json rows = ordered_json::array();
  sdsclip::CsvReader reader(path, {.separator = separator});
  for (sdsclip::CsvRow row; reader.next(row);) {
    rows.push_back({{"line", row.line}, {"fields", row.fields}});
  }
  return rows;
}

ordered_json read_tables(const Arguments& arguments) {
  ordered_json tables = ordered_json::array();
  for (std::size_t i = 2; i < arguments.size(); ++i) {
    try {
      tables.push_back(read_table(arguments[i], arguments[1].at(0)));
    } catch (const sdsclip::Error& error) {
      tables.push_back(error.what());
    }
  }
  return tables;
}

ordered_json image_of(const sdsclip::CaptionDataset& dataset, std::int64_t index) {
  try {
    return dataset.image_bytes(index).size();
  } catch (const sdsclip::Error& error) {
    return error.what();
  }
}

ordered_json read_samples(const Arguments& arguments) {
  std::string yaml;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::size_t equals = arguments[i].find('=');
    yaml += arguments[i].substr(0, equals) + ": " + arguments[i].substr(equals + 1) + "\n";
  }
  sdsclip::DataOptions options;
  sdsclip::bind_options(sdsclip::parse_yaml(yaml, "command line"), options);
  const auto dataset = sdsclip::open_captions(options);
  ordered_json samples = ordered_json::array();
  for (std::int64_t index = 0; index < dataset->size(); ++index) {
    try {
      const sdsclip::CaptionRecord record = dataset->record(index);
      samples.push_back({{"name", record.image_name},
                         {"captions", record.captions},
                         {"negatives", record.negative_captions},
                         {"bytes", image_of(*dataset, index)}});
    } catch (const sdsclip::Error& error) {
      samples.push_back(error.what());
    }
  }
  return {{"samples", samples}, {"index_bytes", dataset->index_bytes()}};
}

ordered_json run(const Arguments& arguments) {
  if (arguments.size() > 2 && arguments[0] == "tables") return read_tables(arguments);
  if (arguments.size() > 1 && arguments[0] == "samples") return read_samples(arguments);
  throw sdsclip::usage_error("captions_probe: wrong arguments; see the head of captions_probe.cpp");
}

}  // namespace

int main(int count, char** arguments) {
  return sdsclip::testing::probe_main(count, arguments, run);
}
