#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "paths.h"
#include "sdsclip/models/inputs.h"

namespace sdsclip {

void run_tokenize(const Arguments& arguments) {
  const TokenizeArguments& given = arguments.tokenize;
  const Tokenizer tokenizer = load_tokenizer(read_bundle(bundle_path(given.bundle)));
  const auto print = [&](const std::string& text) {
    std::printf("%s\n", nlohmann::json(tokenizer.encode(text)).dump().c_str());
  };
  for (const std::string& text : given.texts) print(text);
  if (!given.texts.empty()) return;
  std::ios::sync_with_stdio(false);
  for (std::string text; std::getline(std::cin, text, given.nul ? '\0' : '\n');) print(text);
}

}  // namespace sdsclip
