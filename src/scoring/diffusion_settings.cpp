#include "diffusion_settings.h"

#include <array>

#include "run_settings.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/scoring/timestep_weights.h"

namespace sdsclip {
namespace {

// Settings that say how a score was computed; they are not options of the score.
constexpr std::array<std::string_view, 3> kCircumstances = {"device", "precision", "weights_sha256"};
constexpr std::array<std::string_view, 4> kNoInfluence = {"sampling.samples", "cache_mib", "workers",
                                                          "quiet"};

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::vector<std::pair<std::string, std::string>> identity_settings(const DiffusionScoreOptions& options,
                                                                   const Placement& placement) {
  std::vector<std::pair<std::string, std::string>> settings;
  for (const OptionDescription& option : list_options(options)) {
    const bool judges_only = option.path.starts_with("estimator.") && !options.adaptive.enabled;
    if (option.is_section || judges_only || contains(kNoInfluence, option.path)) continue;
    // A newer option is stored only if it differs from the default, so that older stores can be resumed.
    if (option.path == "convert" && options.convert == ConvertOrder::kFirst) continue;
    settings.emplace_back(option.path, option.value);
  }
  settings.emplace_back("device", device_name(placement));
  settings.emplace_back("precision", precision_name(placement.precision));
  const std::optional<std::string> weights = learned_weights_file(options.estimator.weight);
  if (options.adaptive.enabled && weights) settings.emplace_back("weights_sha256", sha256_of_file(*weights));
  return settings;
}

DiffusionScoreOptions options_of_run(const RunIdentity& identity) {
  ConfigNode root;
  root.kind = ConfigNode::Kind::kMap;
  for (const auto& [key, value] : identity.settings) {
    if (!contains(kCircumstances, key)) apply_setting(root, key + "=" + value);
  }
  DiffusionScoreOptions options;
  bind_options(root, options, DocumentRole::kInput);
  return options;
}

DiffusionScoreOptions options_of_run(const ScoreStore& store) {
  try {
    const DiffusionScoreOptions options = options_of_run(store.identity());
    check_options(options);
    return options;
  } catch (const Error& error) {
    throw input_error("{}: is damaged: table setting: {}", store.path().string(), error.what());
  }
}

}  // namespace sdsclip
