#pragma once

#include "sdsclip/cli/arguments.h"

namespace sdsclip {

// One command each, in a file of its name. They print results to stdout and throw `Error`.
void run_synth(const Arguments& arguments);
void run_train(const Arguments& arguments);
void run_sweep(const Arguments& arguments);
void run_eval(const Arguments& arguments);
void run_diffusion_score(const Arguments& arguments);
void run_diffusion_weights(const Arguments& arguments);
void run_export(const Arguments& arguments);
void run_report(const Arguments& arguments);
void run_compare(const Arguments& arguments);
void run_bundle(const Arguments& arguments);
void run_data_check(const Arguments& arguments);
void run_tokenize(const Arguments& arguments);
void run_preprocess(const Arguments& arguments);
void run_embed(const Arguments& arguments);

}  // namespace sdsclip
