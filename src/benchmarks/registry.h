#pragma once

#include "sdsclip/benchmarks/benchmark.h"

// Each benchmark's file defines one of these functions, and registry.cpp lists them. A new benchmark is one
// new file, one line here and one line there.
namespace sdsclip {

Benchmark winoground();
Benchmark aro();
Benchmark clevr();
Benchmark sugarcrepe();
Benchmark mmvp();
Benchmark retrieval();
Benchmark zeroshot();

}  // namespace sdsclip
