#include "unit_shape.h"

namespace sdsclip {
namespace {

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return a / b + (a % b != 0 ? 1 : 0);
}

}  // namespace

UnitShape even_units(std::int64_t count, std::int64_t at_most) {
  if (count == 0) return {};
  const std::int64_t units = divide_up(count, at_most);
  return {.units = units, .size = divide_up(count, units)};
}

}  // namespace sdsclip
