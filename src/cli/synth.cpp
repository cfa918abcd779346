#include "synth.h"

#include <cstdio>

#include "sdsclip/reporting/table.h"

namespace sdsclip {

void run(const SynthCommand& command) {
  SynthOptions options;
  options.out = command.out;
  options.train = command.train;
  options.seed = static_cast<std::uint64_t>(command.seed);
  Table table{{"part", "images", "captions or cases"}, {}};
  for (const SynthPart& part : write_shapes_world(options)) {
    table.rows.push_back({part.name, std::to_string(part.images), std::to_string(part.cases)});
  }
  std::fputs(format_terminal(table).c_str(), stdout);
}

}  // namespace sdsclip
