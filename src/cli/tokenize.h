#pragma once

#include "shared_options.h"

namespace sdsclip {

struct TokenizeCommand : CommandOptions {
  static constexpr const char* kName = "tokenize";
  static constexpr const char* kSummary = "Prints token ids, one JSON array per line.";
  std::string bundle;
  std::vector<std::string> texts;
  bool null = false;
};

inline void visit_options(CommandLine& line, TokenizeCommand& command) {
  line.required("bundle", command.bundle, kBundleText);
  line.positional("text", command.texts, "Texts to tokenize; none: one text per line of standard input.",
                  /*is_required=*/false);
  line.option("null", command.null, "Texts on standard input end with NUL instead of a line break.");
  line.short_name("-0");
}

void run(const TokenizeCommand& command);

}  // namespace sdsclip
