#include "fuzz.h"
#include "scoring/case_tables.h"
#include "sdsclip/scoring/score_store.h"
#include "sdsclip/scoring/stored_marks.h"

using namespace sdsclip;

namespace {

const CaseTable& table() {
  static const CaseTable kTable = testing::swap_table(2);
  return kTable;
}

RunIdentity identity() {
  return {.scorer = "diffusion", .benchmark = "winoground", .model_name = "m", .model_sha256 = "s"};
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  const std::filesystem::path path = fuzz::folder() / "seed.sqlite";
  {
    ScoreStore store(path, identity(), table(), StoreOpening::kNew);
    const std::vector<SamplePoint> points = {{.timestep = 10, .alpha_cumprod = 0.9}};
    store.write_sample_points(points);
    const std::vector<SampleErrorRow> rows = {
        {.image = 0, .text = 0, .sample = 0, .error = 1, .error_l1 = 1}};
    store.write_errors(rows, {});
    const std::vector<float> embeddings(8, 0.5F);
    store.write_embeddings(EmbeddingKind::kImage, 0, embeddings, {});
  }
  return {fuzz::get(path)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::filesystem::path path;
  for (const char* suffix : {"-wal", "-shm", "-journal"}) {
    std::filesystem::remove(fuzz::folder() / (std::string("scores.sqlite") + suffix));
  }
  fuzz::read(data, size, [&](std::string_view bytes) {
    path = fuzz::put("scores.sqlite", bytes);
    read_stored_marks(path);
  });
  return fuzz::read(data, size, [&](std::string_view) {
    const ScoreStore store(path, identity(), table(), StoreOpening::kJudge);
    static_cast<void>(store.read_sample_points());
    static_cast<void>(store.read_errors());
    static_cast<void>(store.read_embeddings(EmbeddingKind::kImage, 0));
  });
}
