#include "sdsclip/models/bundle.h"

#include <fmt/format.h>

#include <cstdio>

#include "bundle.h"
#include "paths.h"
#include "sdsclip/reporting/table.h"

namespace sdsclip {
namespace {

void print_bundle(const Bundle& bundle, const char* note) {
  Table table{{"bundle", bundle.folder.string()}, {}};
  const auto row = [&](const std::string& name, const std::string& value) {
    table.rows.push_back({name, value});
  };
  row("name", bundle.name);
  row("kind", std::string(kind_name(bundle.kind)));
  row("source",
      fmt::format("{} {}, {}", bundle.source.library, bundle.source.version, bundle.source.checkpoint));
  row("image", fmt::format("{0} x {0}", bundle.image.size));
  row("tokenizer",
      fmt::format("{}, {}, {} ids of {}, pad {}", bundle.tokenizer.kind, bundle.tokenizer.clean,
                  bundle.tokenizer.context_length, bundle.tokenizer.vocab_size, bundle.tokenizer.pad));
  if (bundle.kind == BundleKind::kClip) {
    row("embed_dim", std::to_string(bundle.embed_dim));
    row("activation", bundle.activation);
  } else {
    row("latent", fmt::format("{0} x {1} x {1}", bundle.latent.channels, bundle.latent.size));
    row("prediction_type", bundle.prediction_type == PredictionType::kEpsilon ? "epsilon" : "v_prediction");
    row("timesteps", std::to_string(bundle.schedule.train_timesteps));
  }
  for (const std::pair<const std::string, BundleFile>& file : bundle.files) {
    row(file.first,
        fmt::format("{} bytes, SHA-256 {}...{}", file.second.bytes, file.second.sha256.substr(0, 12), note));
  }
  row("identity", bundle.sha256);
  std::fputs(format_terminal(table).c_str(), stdout);
}

}  // namespace

void run(const BundleInspectCommand& command) {
  print_bundle(read_bundle(bundle_path(command.bundle)), "");
}

void run(const BundleVerifyCommand& command) {
  const Bundle bundle = read_bundle(bundle_path(command.bundle));
  verify_bundle(bundle);
  print_bundle(bundle, ", verified");
}

}  // namespace sdsclip
