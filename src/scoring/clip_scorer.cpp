#include "sdsclip/scoring/clip_scorer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <vector>

#include "cosine_scores.h"
#include "embedding_cache.h"
#include "run_settings.h"
#include "score_schema.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/interrupt.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/progress.h"
#include "sdsclip/base/stopwatch.h"
#include "sdsclip/base/task_queue.h"
#include "sdsclip/benchmarks/text_table.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/out_of_memory.h"
#include "sdsclip/models/text_length.h"
#include "unit_inputs.h"
#include "unit_shape.h"

namespace sdsclip {
namespace {

constexpr std::size_t kUnitsWaiting = 1;  // for the writer

/// What is encoded: `count` rows of one of the tables, in units.
struct EncodingPlan {
  EmbeddingKind kind = EmbeddingKind::kImage;
  std::int64_t count = 0;
  UnitShape shape;
  std::int64_t dim = 0;  ///< embedding size; 0: not known
};

/// The rows of a table that is being encoded, and the cache of their embeddings, if there is one.
struct Rows {
  std::vector<std::string_view> names;          ///< for errors
  std::function<std::string(std::size_t)> key;  ///< a row's key in the cache
  EmbeddingCache* cache = nullptr;
  std::vector<std::string> keys{};  ///< those that were asked for: an image is hashed once

  const std::string& key_of(std::size_t row) {
    keys.resize(names.size());
    if (keys[row].empty()) keys[row] = key(row);
    return keys[row];
  }
};

EncodingPlan plan_images(const CaseTable& table, std::int64_t batch, std::int64_t dim) {
  const std::int64_t count = static_cast<std::int64_t>(table.images.size());
  return {.kind = EmbeddingKind::kImage, .count = count, .shape = even_units(count, batch), .dim = dim};
}

EncodingPlan plan_texts(const TextTable& texts, std::int64_t batch, std::int64_t dim) {
  return {.kind = EmbeddingKind::kText,
          .count = texts.caption_texts,
          .shape = even_units(texts.caption_texts, batch),
          .dim = dim};
}

/// The number of rows of a unit that are not padding.
std::int64_t rows_of_unit(const EncodingPlan& plan, std::int64_t unit) {
  return std::min(plan.shape.size, plan.count - unit * plan.shape.size);
}

/// The units that are already stored.
std::set<std::int64_t> done_units(const EncodingPlan& plan, const ScoreStore& store) {
  std::set<std::int64_t> done = store.embedding_units(plan.kind);
  if (!done.empty() && *done.rbegin() >= plan.shape.units) {
    throw input_error("{}: is damaged: table embedding, column unit: got {}, expected 0 to {}",
                      store.path().string(), *done.rbegin(), plan.shape.units - 1);
  }
  return done;
}

std::vector<std::int64_t> missing_units(const EncodingPlan& plan, const ScoreStore& store) {
  const std::set<std::int64_t> done = done_units(plan, store);
  std::vector<std::int64_t> missing;
  for (std::int64_t unit = 0; unit < plan.shape.units; ++unit) {
    if (!done.contains(unit)) missing.push_back(unit);
  }
  return missing;
}

void check_embeddings(const at::Tensor& embeddings, const std::vector<std::string_view>& names,
                      std::int64_t first) {
  const auto refuse_where = [&](const at::Tensor& is_bad, std::string_view what) {
    if (!is_bad.any().item<bool>()) return;
    const std::int64_t row = first + is_bad.nonzero()[0][0].item<std::int64_t>();
    throw runtime_failure("the model's embedding of '{}' {}; run with --precision fp32, or check the weights",
                          names[static_cast<std::size_t>(row)], what);
  };
  refuse_where(at::isfinite(embeddings).all(1).logical_not(), "is not finite");
  refuse_where((embeddings == 0).all(1), "holds only zeros, which has no cosine");
}

/// Copies to the store the missing units whose embeddings are all in the cache; returns the other units.
void fill_from_cache(const EncodingPlan& plan, Rows& rows, std::vector<std::int64_t>& missing,
                     ScoreStore& store) {
  if (rows.cache == nullptr) return;
  std::vector<std::int64_t> left;
  for (const std::int64_t unit : missing) {
    std::vector<float> values;
    std::int64_t found = 0;
    const std::int64_t count = rows_of_unit(plan, unit);
    for (; found < count; ++found) {
      const std::size_t row = static_cast<std::size_t>(unit * plan.shape.size + found);
      const std::optional<std::vector<float>> embedding = rows.cache->find(rows.key_of(row), plan.dim);
      if (!embedding) break;
      values.insert(values.end(), embedding->begin(), embedding->end());
    }
    if (found == count) {
      store.write_embeddings(plan.kind, unit, values, {});
    } else {
      left.push_back(unit);
    }
  }
  missing = std::move(left);
}

void keep_in_cache(const at::Tensor& embeddings, std::int64_t first, Rows& rows) {
  if (rows.cache == nullptr) return;
  const std::size_t dim = static_cast<std::size_t>(embeddings.size(1));
  std::vector<EmbeddingCache::Entry> entries;
  for (std::int64_t i = 0; i < embeddings.size(0); ++i) {
    const float* row = embeddings.data_ptr<float>() + static_cast<std::size_t>(i) * dim;
    entries.emplace_back(rows.key_of(static_cast<std::size_t>(first + i)), std::span<const float>(row, dim));
  }
  rows.cache->keep(entries);
}

at::Tensor encode_in_memory(const std::function<at::Tensor(std::int64_t unit)>& encode, std::int64_t unit,
                            const EncodingPlan& plan) {
  return in_memory(
      fmt::format("not enough memory to encode {} {} at once; run again with --resume and a smaller --batch",
                  plan.shape.size, plan.kind == EmbeddingKind::kImage ? "images" : "texts"),
      [&] { return encode(unit); });
}

/// Encodes the missing units one by one. Another thread reads each back and stores it, while the next one is
/// encoded. `encode` returns a unit's embeddings with padding.
void encode_missing(const EncodingPlan& plan, const std::vector<std::int64_t>& missing, Rows& rows,
                    const std::function<at::Tensor(std::int64_t unit)>& encode, bool quiet,
                    ScoreStore& store) {
  const bool is_image = plan.kind == EmbeddingKind::kImage;
  std::int64_t units_done = plan.shape.units - static_cast<std::int64_t>(missing.size());
  // All of these are the writer's alone while it runs.
  Progress progress("encoding", plan.count, is_image ? "images" : "texts", quiet,
                    std::min(plan.count, units_done * plan.shape.size));
  Stopwatch since_last;
  const auto keep = [&](std::int64_t unit, const at::Tensor& encoded) {
    const std::int64_t first = unit * plan.shape.size;
    const at::Tensor embeddings =
        encoded.narrow(0, 0, rows_of_unit(plan, unit)).to(at::kCPU, at::kFloat).contiguous();
    check_embeddings(embeddings, rows.names, first);
    WorkCounters work;
    (is_image ? work.image_encodings : work.text_encodings) = plan.shape.size;
    work.seconds = since_last.seconds();
    since_last = Stopwatch();
    store.write_embeddings(
        plan.kind, unit, {embeddings.data_ptr<float>(), static_cast<std::size_t>(embeddings.numel())}, work);
    keep_in_cache(embeddings, first, rows);
    progress.update(std::min(plan.count, ++units_done * plan.shape.size));
  };
  TaskQueue writer(kUnitsWaiting);
  for (const std::int64_t unit : missing) {
    throw_if_interrupted();
    const at::Tensor encoded = encode_in_memory(encode, unit, plan);
    writer.add([&keep, unit, encoded] { keep(unit, encoded); });
  }
  writer.finish();
}

void encode_images(const ClipModel& model, const CaseTable& table, const EncodingPlan& plan,
                   const ClipScoreOptions& options, EmbeddingCache* cache, ScoreStore& store) {
  Rows rows{.names = {}, .key = {}, .cache = cache};
  for (const BenchmarkImage& image : table.images) rows.names.push_back(image.id);
  rows.key = [&](std::size_t row) { return cache_key(store.identity(), table.images[row]); };
  std::vector<std::int64_t> missing = missing_units(plan, store);
  fill_from_cache(plan, rows, missing, store);
  const PreprocessOptions preprocess = preprocess_options(model.bundle().image, options.convert);
  PixelUnits pixels = image_units(table.images, missing, plan.shape.size, preprocess, options.workers,
                                  model.placement().device);
  const auto encode = [&](std::int64_t) { return model.encode_image(pixels.next()); };
  encode_missing(plan, missing, rows, encode, options.quiet, store);
}

void encode_texts(const ClipModel& model, const TextTable& texts, const EncodingPlan& plan,
                  const ClipScoreOptions& options, EmbeddingCache* cache, ScoreStore& store) {
  const Tokenizer tokenizer = load_tokenizer(model.bundle());
  const std::span<const std::string> encoded(texts.texts.data(), static_cast<std::size_t>(plan.count));
  Rows rows{.names = {encoded.begin(), encoded.end()},
            .key = [&](std::size_t row) { return cache_key(store.identity(), encoded[row]); },
            .cache = cache};
  std::vector<std::int64_t> missing = missing_units(plan, store);
  fill_from_cache(plan, rows, missing, store);
  const auto encode = [&](std::int64_t unit) {
    const at::Tensor ids = tokenize_unit(tokenizer, encoded, unit * plan.shape.size, plan.shape.size);
    return model.encode_text(cut_padding(ids, model.bundle().tokenizer));
  };
  encode_missing(plan, missing, rows, encode, options.quiet, store);
}

Embeddings read_embeddings(const EncodingPlan& plan, const ScoreStore& store) {
  Embeddings embeddings{.dim = static_cast<std::size_t>(plan.dim), .values = {}};
  for (std::int64_t unit = 0; unit < plan.shape.units; ++unit) {
    const std::vector<float> rows =
        store.read_embeddings(plan.kind, unit, rows_of_unit(plan, unit) * plan.dim);
    embeddings.values.insert(embeddings.values.end(), rows.begin(), rows.end());
  }
  return embeddings;
}

void make_unit_norm(Embeddings& embeddings, const EncodingPlan& plan, const ScoreStore& store) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(plan.count); ++i) {
    if (scale_to_unit_norm(embeddings.row(i))) continue;
    throw input_error("{}: is damaged: {} embedding {} holds only zeros, expected a direction; {}",
                      store.path().string(), plan.kind == EmbeddingKind::kImage ? "image" : "text", i,
                      "give another --out");
  }
}

ClipScoring scores_from_store(const CaseTable& table, const TextTable& texts, const EncodingPlan& image_plan,
                              const EncodingPlan& text_plan, c10::Device device, const ScoreStore& store) {
  Embeddings images = read_embeddings(image_plan, store);
  Embeddings embedded = read_embeddings(text_plan, store);
  make_unit_norm(images, image_plan, store);
  make_unit_norm(embedded, text_plan, store);
  const Embeddings captions = average_texts(embedded, texts);
  return {.scores = cosine_scores(table, images, captions, device),
          .work = store.work(),
          .matches = match_count(table)};
}

std::int64_t stored_batch(const ScoreStore& store, const std::string& key) {
  for (const auto& [own_key, value] : store.identity().settings) {
    if (own_key != key) continue;
    std::int64_t batch = 0;
    const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), batch);
    if (failure == std::errc() && end == value.data() + value.size() && batch >= 1) return batch;
    throw input_error("{}: is damaged: table setting, row {}: got a value that is not a number from 1 on",
                      store.path().string(), key);
  }
  throw input_error("{}: has no setting {}; it was not written by this version", store.path().string(), key);
}

/// The embedding size of the stored run. Stores of earlier versions do not state it; there the first unit of
/// images tells.
std::int64_t stored_dim(const ScoreStore& store, std::int64_t image_count, std::int64_t batch) {
  if (const std::optional<std::int64_t> dim = store.choice(kEmbedDimChoice)) return *dim;
  const EncodingPlan plan{
      .kind = EmbeddingKind::kImage, .count = image_count, .shape = even_units(image_count, batch)};
  if (plan.shape.units == 0) return 0;
  const std::int64_t elements = static_cast<std::int64_t>(store.read_embeddings(plan.kind, 0).size());
  const std::int64_t rows = rows_of_unit(plan, 0);
  if (elements == 0 || elements % rows != 0) {
    throw input_error(
        "{}: is damaged: table embedding, row image 0, column data: got {} numbers for {} embeddings",
        store.path().string(), elements, rows);
  }
  return elements / rows;
}

/// Converts the stored units of a run that continues with another batch size. A new unit that lacks
/// embeddings is computed again.
void cut_anew(const EncodingPlan& plan, const std::string& key, std::int64_t batch, ScoreStore& store) {
  const std::int64_t old_batch = stored_batch(store, key);
  if (old_batch == batch) return;
  log_info("{}: continues with {} {} instead of {}; the last bits may differ from those of one batch size",
           store.path().string(), key, batch, old_batch);
  EncodingPlan old = plan;
  old.shape = even_units(plan.count, old_batch);
  const std::size_t dim = static_cast<std::size_t>(plan.dim);
  std::vector<float> values(static_cast<std::size_t>(plan.count) * dim);
  std::vector<bool> is_there(static_cast<std::size_t>(plan.count));
  for (const std::int64_t unit : done_units(old, store)) {
    const std::int64_t rows = rows_of_unit(old, unit);
    const std::vector<float> read = store.read_embeddings(plan.kind, unit, rows * plan.dim);
    const std::int64_t first = unit * old.shape.size;
    std::copy(read.begin(), read.end(), values.begin() + first * plan.dim);
    std::fill_n(is_there.begin() + first, rows, true);
  }
  std::vector<std::pair<std::int64_t, std::vector<float>>> units;
  for (std::int64_t unit = 0; unit < plan.shape.units; ++unit) {
    const std::int64_t first = unit * plan.shape.size;
    const std::int64_t last = first + rows_of_unit(plan, unit);
    if (std::find(is_there.begin() + first, is_there.begin() + last, false) != is_there.begin() + last)
      continue;
    units.emplace_back(
        unit, std::vector<float>(values.begin() + first * plan.dim, values.begin() + last * plan.dim));
  }
  store.replace_embeddings(plan.kind, units, key, std::to_string(batch));
}

}  // namespace

RunIdentity clip_run_identity(const Bundle& bundle, const Placement& placement,
                              const std::string& model_sha256, const std::string& benchmark,
                              const ClipScoreOptions& options) {
  RunIdentity identity{.scorer = "clip",
                       .benchmark = benchmark,
                       .model_name = bundle.name,
                       .model_sha256 = model_sha256,
                       .settings = {{"image_batch", std::to_string(options.image_batch)},
                                    {"text_batch", std::to_string(options.text_batch)},
                                    {"device", device_name(placement)},
                                    {"precision", precision_name(placement.precision)}}};
  // Only a value other than the default is stored, so that stores of older versions can be resumed.
  if (options.convert == ConvertOrder::kAfterResize)
    identity.settings.emplace_back("convert", "after_resize");
  return identity;
}

RunIdentity clip_run_identity(const ClipModel& model, const std::string& model_sha256,
                              const std::string& benchmark, const ClipScoreOptions& options) {
  return clip_run_identity(model.bundle(), model.placement(), model_sha256, benchmark, options);
}

ClipScoring score_with_clip(const ClipModel& model, const CaseTable& table, const ClipScoreOptions& options,
                            ScoreStore& store) {
  if (options.image_batch < 1) {  // named as `eval` names it, and not by its key
    throw usage_error("--batch: got {}, expected 1 or more", options.image_batch);
  }
  check_ranges(options);
  const at::NoGradGuard no_grad;
  const TextTable texts = unique_texts(table);
  const std::int64_t dim = model.bundle().embed_dim;
  store.keep_choice(kEmbedDimChoice, dim);
  const EncodingPlan image_plan = plan_images(table, options.image_batch, dim);
  const EncodingPlan text_plan = plan_texts(texts, options.text_batch, dim);
  cut_anew(text_plan, "text_batch", options.text_batch, store);
  cut_anew(image_plan, "image_batch", options.image_batch, store);
  std::optional<EmbeddingCache> cache;
  if (!options.cache.empty()) cache.emplace(options.cache);
  EmbeddingCache* const shared = cache ? &*cache : nullptr;
  encode_texts(model, texts, text_plan, options, shared, store);
  encode_images(model, table, image_plan, options, shared, store);
  ClipScoring scoring =
      scores_from_store(table, texts, image_plan, text_plan, model.placement().device, store);
  store.write_scores(table, scoring.scores);
  return scoring;
}

ClipScoring judge_stored_clip(const CaseTable& table, const ScoreStore& store) {
  const TextTable texts = unique_texts(table);
  const std::int64_t image_batch = stored_batch(store, "image_batch");
  const std::int64_t dim = stored_dim(store, static_cast<std::int64_t>(table.images.size()), image_batch);
  return scores_from_store(table, texts, plan_images(table, image_batch, dim),
                           plan_texts(texts, stored_batch(store, "text_batch"), dim), at::kCPU, store);
}

}  // namespace sdsclip
