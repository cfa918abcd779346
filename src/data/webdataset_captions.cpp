#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "bad_records.h"
#include "image_endings.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/file_reader.h"
#include "sdsclip/base/text.h"
#include "sdsclip/data/captions.h"
#include "sdsclip/data/limits.h"
#include "sdsclip/data/tar_members.h"

namespace sdsclip {
namespace {

/// A sample's two files in a shard.
struct ShardSample {
  std::uint64_t image_offset = 0;
  std::uint64_t text_offset = 0;
  std::uint32_t image_size = 0;
  std::uint32_t text_size = 0;
  std::uint32_t shard = 0;
};

struct MemberName {
  std::string_view key;
  std::string ending;  // in lower case
};

/// WebDataset's `base_plus_ext`: the key up to the first dot of the file's name, and the ending. Names
/// without a dot, or with a dot first (macOS's `._a.png`), belong to no sample.
std::optional<MemberName> split_name(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  const std::size_t base = slash == std::string_view::npos ? 0 : slash + 1;
  const std::size_t dot = name.find('.', base);
  if (dot == std::string_view::npos || dot == base) return std::nullopt;
  return MemberName{name.substr(0, dot), lower_case(name.substr(dot + 1))};
}

/// Groups consecutive members of a shard with the same key.
class SampleCollector {
 public:
  SampleCollector(std::uint32_t shard, std::vector<ShardSample>& samples)
      : shard_(shard), samples_(samples) {}

  void add(const TarMember& member) {
    const std::optional<MemberName> name = split_name(member.name);
    if (!name) return;
    if (name->key != key_) finish();
    key_ = name->key;
    if (member.size > std::numeric_limits<std::uint32_t>::max()) return;
    // A member's bytes never start at 0, because its header comes first.
    if (is_image_ending(name->ending) && sample_.image_offset == 0) {
      sample_.image_offset = member.offset;
      sample_.image_size = static_cast<std::uint32_t>(member.size);
    } else if (name->ending == "txt" && sample_.text_offset == 0) {
      sample_.text_offset = member.offset;
      sample_.text_size = static_cast<std::uint32_t>(member.size);
    }
  }

  void finish() {
    sample_.shard = shard_;
    if (sample_.image_offset > 0 && sample_.text_offset > 0) samples_.push_back(sample_);
    sample_ = {};
  }

 private:
  std::uint32_t shard_;
  std::vector<ShardSample>& samples_;
  std::string key_;
  ShardSample sample_;
};

class WebDatasetCaptions : public CaptionDataset {
 public:
  WebDatasetCaptions(const std::string& specification, CaptionsPerFile captions_per_file,
                     const BadRecordRule& rule)
      : shards_(expand_shards(specification)), captions_per_file_(captions_per_file) {
    BadRecords bad(shortened(specification, 200), rule);
    for (std::size_t shard = 0; shard < shards_.size(); ++shard) read_shard(shard, bad);
    if (samples_.empty()) {
      throw input_error(
          "{}: holds no sample, expected images (.jpg, .png, .webp) with a .txt of the same name{}",
          shortened(specification, 200), bad.first_error().empty() ? "" : "; " + bad.first_error());
    }
    bad.finish(static_cast<std::int64_t>(samples_.size()));
    samples_.shrink_to_fit();
  }

  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(samples_.size()); }

  [[nodiscard]] CaptionRecord record(std::int64_t index) const override {
    const ShardSample& sample = sample_at(index);
    const FileReader shard(shards_[sample.shard]);
    const std::string name = shards_[sample.shard] + ":" + member_name(shard, sample);
    // Read at most one byte beyond the limit.
    const std::size_t size = std::min<std::size_t>(sample.text_size, kMostCaptionBytes + 1);
    return {name, captions_in_text(shard.read(sample.text_offset, size), captions_per_file_, name), {}};
  }

  [[nodiscard]] std::string image_bytes(std::int64_t index) const override {
    const ShardSample& sample = sample_at(index);
    return FileReader(shards_[sample.shard]).read(sample.image_offset, sample.image_size);
  }

  [[nodiscard]] std::size_t index_bytes() const override { return samples_.size() * sizeof(ShardSample); }

 private:
  [[nodiscard]] const ShardSample& sample_at(std::int64_t index) const {
    return samples_.at(static_cast<std::size_t>(index));
  }

  /// With `skip`, the samples before the damage are used.
  void read_shard(std::size_t shard, BadRecords& bad) {
    const std::size_t before = samples_.size();
    SampleCollector collector(static_cast<std::uint32_t>(shard), samples_);
    (void)FileReader(shards_[shard]);  // a missing shard is a wrong pattern, not a bad sample
    std::optional<std::string> damage;
    try {
      visit_tar(shards_[shard], [&](const TarMember& member) { collector.add(member); });
    } catch (const Error& error) {
      if (bad.fails()) throw;
      damage = error.what();
    }
    collector.finish();
    const std::size_t used = samples_.size() - before;
    if (damage) {
      bad.leave_out(used == 0 ? *damage
                              : fmt::format("{} ({} samples before the damage are used)", *damage, used));
    }
  }

  /// The name in the image's own header, right before its bytes; at most its first 100 bytes.
  static std::string member_name(const FileReader& shard, const ShardSample& sample) {
    constexpr std::size_t kHeader = 512;
    constexpr std::size_t kNameField = 100;
    const std::string field = shard.read(sample.image_offset - kHeader, kNameField);
    return field.substr(0, field.find('\0'));
  }

  std::vector<std::string> shards_;
  CaptionsPerFile captions_per_file_;
  std::vector<ShardSample> samples_;
};

}  // namespace

std::unique_ptr<CaptionDataset> open_webdataset_captions(const std::string& shards,
                                                         CaptionsPerFile captions_per_file,
                                                         const BadRecordRule& rule) {
  return std::make_unique<WebDatasetCaptions>(shards, captions_per_file, rule);
}

}  // namespace sdsclip
