#pragma once

#include "sdsclip/benchmarks/benchmark.h"

// Each benchmark's file defines its function; registry.cpp lists them. A new benchmark is one file, a line
// here and a line there.
namespace sdsclip {

Benchmark winoground();
Benchmark aro();
Benchmark clevr();
Benchmark sugarcrepe();
Benchmark mmvp();
Benchmark retrieval();
Benchmark zeroshot();

}  // namespace sdsclip
