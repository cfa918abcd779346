#pragma once

#include <variant>

#include "bundle.h"
#include "compare.h"
#include "data_check.h"
#include "diffusion_score.h"
#include "diffusion_weights.h"
#include "embed.h"
#include "eval.h"
#include "export.h"
#include "preprocess.h"
#include "report.h"
#include "sweep.h"
#include "synth.h"
#include "tokenize.h"
#include "train.h"

namespace sdsclip {

/// Every command, in the order of `sdsclip --help`. A new command is NAME.h with its options and their texts,
/// NAME.cpp with its `run`, and a line here.
using Command =
    std::variant<SynthCommand, TrainCommand, SweepCommand, EvalCommand, DiffusionScoreCommand,
                 DiffusionWeightsCommand, ReportCommand, CompareCommand, ExportCommand, BundleInspectCommand,
                 BundleVerifyCommand, DataCheckCommand, TokenizeCommand, PreprocessCommand, EmbedCommand>;

}  // namespace sdsclip
