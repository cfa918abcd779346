#include "sdsclip/base/json.h"

#include "fuzz.h"
#include "sdsclip/base/config_tree.h"
#include "sdsclip/base/text.h"

using namespace sdsclip;

std::vector<std::string> fuzz_seeds() {
  return {R"({"a": [1, -2.5e-3, true, null], "b": {"c": "\u00e9\ud83d\ude00", "d": {}}})", "[]", "\"text\"",
          R"([{"id": 1, "caption": "a cat"}, {"id": 2, "caption": "a dog"}])"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::read(data, size, [](std::string_view text) {
    // The printed form of a value is text that can be parsed again.
    if (parse_json_value(text, "f.json").dump() == "") std::abort();
  });
  return fuzz::read(data, size, [](std::string_view text) { parse_json(terminal_text(text), "f.json"); });
}
