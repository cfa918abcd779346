#include "tokenize.h"

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "paths.h"
#include "sdsclip/models/inputs.h"

namespace sdsclip {

void run(const TokenizeCommand& command) {
  const Tokenizer tokenizer = load_tokenizer(read_bundle(bundle_path(command.bundle)));
  const auto print = [&](const std::string& text) {
    std::printf("%s\n", nlohmann::json(tokenizer.encode(text)).dump().c_str());
  };
  for (const std::string& text : command.texts) print(text);
  if (!command.texts.empty()) return;
  std::ios::sync_with_stdio(false);
  for (std::string text; std::getline(std::cin, text, command.null ? '\0' : '\n');) print(text);
}

}  // namespace sdsclip
