#include "paths.h"

#include <algorithm>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/text.h"
#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {
namespace {

/// Where configurations lie: beside a build folder, or installed in PREFIX/share/sdsclip.
std::vector<fs::path> config_folders() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  return {"configs", program.parent_path() / "configs", program.parent_path() / "share/sdsclip/configs"};
}

}  // namespace

fs::path bundle_path(const std::string& name) {
  if (is_there(name)) return name;
  const fs::path below = folder_from_environment("SDSCLIP_MODELS", "models") / name;
  const bool is_name = fs::path(name).filename() == fs::path(name);
  return is_name || is_there(below) ? below : fs::path(name);
}

fs::path data_path(const std::string& data, const std::string& benchmark) {
  const fs::path path = !data.empty() ? fs::path(data) : default_data_folder() / benchmark;
  if (!is_there(path)) {
    throw usage_error(
        "--data: {}: no such folder; docs/datasets.md says how to prepare {}, and 'sdsclip synth --out data' "
        "draws a small one",
        path.string(), benchmark);
  }
  return path;
}

fs::path config_path(const std::string& name) {
  if (is_there(name)) return name;
  std::vector<std::string> known;
  for (const fs::path& folder : config_folders()) {
    for (const std::string& candidate : {name, name + ".yaml"}) {
      if (is_there(folder / candidate)) return folder / candidate;
    }
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
      const std::string file = entry.path().filename().string();
      if (file.ends_with(".yaml") && !file.starts_with('_')) known.push_back(file);
    }
  }
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  throw usage_error("--config: {}: no such file, and no configuration of that name; known: {}", name,
                    join(known, ", "));
}

}  // namespace sdsclip
