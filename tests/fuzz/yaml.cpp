#include "fuzz.h"
#include "sdsclip/base/config_tree.h"

using namespace sdsclip;

std::vector<std::string> fuzz_seeds() {
  return {"clip: models/a\nsds: {lambda: 1e-3, t_min: 0.02}\ntrain:\n  tune: [layernorm]\n  lr: 5e-5\n",
          "a: &x [1, 2]\nb: *x\nc: 'quoted'\nd: |\n  block\n", "include: base.yaml\na: ~\n"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::put("base.yaml", "a: 1\n");
  fuzz::read(data, size, [](std::string_view text) { read_configuration(fuzz::put("own.yaml", text)); });
  return fuzz::read(data, size, [](std::string_view text) {
    ConfigNode root = parse_yaml("sds: {lambda: 1}\n", "f.yaml");
    apply_setting(root, "sds.lambda=" + std::string(text));
  });
}
