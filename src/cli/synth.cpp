#include "sdsclip/data/synth.h"

#include <cstdio>

#include "commands.h"
#include "sdsclip/reporting/table.h"

namespace sdsclip {

void run_synth(const Arguments& arguments) {
  SynthOptions options;
  options.out = arguments.synth.out;
  options.train = arguments.synth.train;
  options.seed = static_cast<std::uint64_t>(arguments.common.seed.value_or(0));
  Table table{{"part", "images", "captions or cases"}, {}};
  for (const SynthPart& part : write_shapes_world(options)) {
    table.rows.push_back({part.name, std::to_string(part.images), std::to_string(part.cases)});
  }
  std::fputs(format_terminal(table).c_str(), stdout);
}

}  // namespace sdsclip
