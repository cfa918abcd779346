#pragma once

#include "shared_options.h"

namespace sdsclip {

struct BundleInspectCommand : CommandOptions {
  static constexpr const char* kName = "bundle inspect";
  static constexpr const char* kSummary = "Prints the contents of a bundle.";
  std::string bundle;
};

struct BundleVerifyCommand : BundleInspectCommand {
  static constexpr const char* kName = "bundle verify";
  static constexpr const char* kSummary =
      "Prints the contents of a bundle, after comparing every file's SHA-256.";
};

inline void visit_options(CommandLine& line, BundleInspectCommand& command) {
  line.positional("bundle", command.bundle, kBundleText);
}

void run(const BundleInspectCommand& command);
void run(const BundleVerifyCommand& command);

}  // namespace sdsclip
