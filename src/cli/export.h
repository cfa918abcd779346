#pragma once

#include <array>

#include "shared_options.h"

namespace sdsclip {

enum class ExportFormat { kBundle, kSafetensors };
inline constexpr std::array<std::string_view, 2> kExportFormatNames = {"bundle", "safetensors"};

struct ExportCommand : CommandOptions {
  static constexpr const char* kName = "export";
  static constexpr const char* kSummary = "Writes a tuned model as a bundle or as safetensors.";
  std::string clip;
  std::string tuned;
  ExportFormat format = ExportFormat::kBundle;
  std::string out;
};

inline void visit_options(CommandLine& line, ExportCommand& command) {
  line.required("clip", command.clip, "Bundle folder that was tuned, or its name below $SDSCLIP_MODELS.");
  line.required("tuned", command.tuned, "tuned.safetensors of a training run.");
  line.choice(
      "format", command.format, kExportFormatNames,
      "bundle: a folder for this program; safetensors: all weights under the source library's names, for "
      "open_clip or transformers.");
  line.required("out", command.out, "Folder or file to create.");
}

void run(const ExportCommand& command);

}  // namespace sdsclip
