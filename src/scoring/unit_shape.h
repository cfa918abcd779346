#pragma once

#include <cstdint>

// Work is divided into units of one shape that depends on the case table alone, so that no bit of a result
// depends on where a run was interrupted.
namespace sdsclip {

struct UnitShape {
  std::int64_t units = 0;
  std::int64_t size = 0;  ///< rows per unit; the last unit is padded
};

/// The fewest units of at most `at_most` rows that hold `count` rows, with the smallest possible size.
UnitShape even_units(std::int64_t count, std::int64_t at_most);

}  // namespace sdsclip
