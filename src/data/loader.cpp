#include "sdsclip/data/loader.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <future>
#include <map>
#include <optional>

#include "sdsclip/base/error.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/stopwatch.h"
#include "sdsclip/data/image.h"
#include "sdsclip/data/sample_order.h"

// The consumer orders single positions of the epoch's order ahead. It takes them in order and skips bad ones,
// so a batch never depends on which worker decoded what, or when.

namespace sdsclip {
namespace {

constexpr std::size_t kNamedErrors = 5;

/// One decoded position of an epoch's order: a sample, or the error if it is bad.
struct DecodedSample {
  std::int64_t sample = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> teacher_pixels;
  std::vector<std::int64_t> token_ids;
  std::string caption;
  std::string negative_caption;
  std::string image_name;
  std::string image_place;  // for errors: with the folder
  std::optional<std::string> error;
};

/// A position, counted over all epochs.
struct Ticket {
  std::int64_t epoch = 0;
  std::int64_t position = 0;
  auto operator<=>(const Ticket&) const = default;
};

}  // namespace

class CaptionLoader::Implementation {
 public:
  Implementation(const CaptionDataset& dataset, const Tokenizer& tokenizer, const LoaderOptions& options,
                 const LoaderPosition& start)
      : dataset_(dataset),
        tokenizer_(tokenizer),
        options_(options),
        position_(start),
        workers_(worker_count()) {
    own_samples_ = dataset.size() / options.processes;
    if (own_samples_ < options.batch_size) {
      throw usage_error("train.batch_size: got {}, but the data set has {} samples{}; use a smaller batch",
                        options.batch_size, dataset.size(),
                        options.processes > 1 ? fmt::format(" for {} processes", options.processes) : "");
    }
    next_ticket_ = {start.epoch, start.cursor};
    next_ticket_end_ = planned_positions() + start.bad_samples;
    order_ahead();
  }

  Batch next() {
    Batch batch;
    batch.pixels = PixelStore(options_.preprocess.element_count());
    if (options_.teacher_preprocess) {
      batch.teacher_pixels = PixelStore(options_.teacher_preprocess->element_count());
    }
    while (static_cast<std::int64_t>(batch.samples.size()) < options_.batch_size) {
      DecodedSample decoded = take({position_.epoch, position_.cursor});
      ++position_.cursor;
      if (decoded.error) {
        reject(decoded);
      } else {
        append(std::move(decoded), batch);
      }
    }
    ++position_.step;
    if (position_.step == batches_per_epoch()) position_ = {position_.epoch + 1, 0, 0, 0};
    batch.next = position_;
    const bool none = std::all_of(batch.negative_captions.begin(), batch.negative_captions.end(),
                                  [](const std::string& text) { return text.empty(); });
    if (none) batch.negative_captions.clear();
    return batch;
  }

  [[nodiscard]] std::int64_t batches_per_epoch() const { return own_samples_ / options_.batch_size; }
  [[nodiscard]] LoaderStatistics statistics() const { return statistics_; }

 private:
  /// After the epoch's last sample it starts again at the first: bad samples have used up the rest.
  [[nodiscard]] std::int64_t sample_at(const Ticket& ticket) const {
    const SampleOrder order(dataset_.size(), options_.seed, ticket.epoch);
    const std::int64_t own = ticket.position % own_samples_;
    return order.sample_at(own * options_.processes + options_.process);
  }

  [[nodiscard]] DecodedSample decode(const Ticket& ticket) const {
    DecodedSample decoded;
    decoded.sample = sample_at(ticket);
    try {
      const CaptionRecord record = dataset_.record(decoded.sample);
      decoded.image_name = record.image_name;
      decoded.image_place = (dataset_.images_folder() / record.image_name).string();
      const std::int64_t count = static_cast<std::int64_t>(record.captions.size());
      const std::int64_t chosen =
          choose_text(count, options_.seed, ticket.epoch, decoded.sample, "data/caption");
      decoded.caption = record.captions.at(static_cast<std::size_t>(chosen));
      if (!record.negative_captions.empty()) {
        const std::int64_t negatives = static_cast<std::int64_t>(record.negative_captions.size());
        decoded.negative_caption = record.negative_captions.at(static_cast<std::size_t>(
            choose_text(negatives, options_.seed, ticket.epoch, decoded.sample, "data/negative")));
      }
      decoded.token_ids = encode_caption(decoded);
      if (!options_.confine_to.empty()) {
        const std::filesystem::path folder = options_.confine_to;
        require_inside(folder, folder / record.image_name, "data.confine");
      }
      const StoredImage image =
          decode_for(options_.preprocess, dataset_.image_bytes(decoded.sample), decoded.image_place);
      decoded.pixels.resize(options_.preprocess.element_count());
      resize_and_crop(image, options_.preprocess, decoded.pixels);
      if (options_.teacher_preprocess) {
        decoded.teacher_pixels.resize(options_.teacher_preprocess->element_count());
        resize_and_crop(image, *options_.teacher_preprocess, decoded.teacher_pixels);
      }
    } catch (const Error& error) {
      if (error.exit_code() != ExitCode::kInput) throw;
      decoded.error = error.what();
    }
    return decoded;
  }

  /// The caption's token ids. Errors name the image.
  [[nodiscard]] std::vector<std::int64_t> encode_caption(const DecodedSample& sample) const {
    try {
      return tokenizer_.encode(sample.caption);
    } catch (const Error& error) {
      throw Error(error.exit_code(), fmt::format("{}: caption: {}", sample.image_place, error.what()));
    }
  }

  [[nodiscard]] std::size_t worker_count() const {
    return static_cast<std::size_t>(std::max<std::int64_t>(1, options_.workers));
  }

  /// The number of samples that may be decoded ahead of the consumer: whole batches, but only a part of a
  /// very large batch.
  [[nodiscard]] std::size_t window() const {
    constexpr std::size_t kMostBytes = std::size_t{16} << 20;
    const std::size_t wanted =
        static_cast<std::size_t>(options_.batch_size * std::max<std::int64_t>(1, options_.batches_ahead));
    return std::min(wanted, std::max(2 * worker_count(), kMostBytes / bytes_of_a_sample()));
  }

  [[nodiscard]] std::size_t bytes_of_a_sample() const {
    const std::size_t teacher =
        options_.teacher_preprocess ? options_.teacher_preprocess->element_count() : std::size_t{0};
    return options_.preprocess.element_count() + teacher;
  }

  /// The number of positions that an epoch needs if no sample is bad.
  [[nodiscard]] std::int64_t planned_positions() const { return batches_per_epoch() * options_.batch_size; }

  /// Orders the next positions, as many as the window holds; continues with the next epoch when this one is
  /// used up.
  void order_ahead() {
    while (ordered_.size() < window()) {
      if (next_ticket_.position == next_ticket_end_) {
        next_ticket_ = {next_ticket_.epoch + 1, 0};
        next_ticket_end_ = planned_positions();
      }
      order(next_ticket_);
      ++next_ticket_.position;
    }
  }

  void order(const Ticket& ticket) {
    std::packaged_task<DecodedSample()> decoding([this, ticket] { return decode(ticket); });
    ordered_.emplace(ticket, decoding.get_future());
    boost::asio::post(workers_, std::move(decoding));
  }

  /// Waits until the position is decoded.
  DecodedSample take(const Ticket& ticket) {
    const Stopwatch stopwatch;
    DecodedSample decoded = ordered_.at(ticket).get();
    statistics_.wait_seconds += stopwatch.seconds();
    ordered_.erase(ticket);
    order_ahead();
    return decoded;
  }

  /// A bad sample costs the epoch one more position after all others, which is ordered at once if positions of
  /// the next epoch already are.
  void order_replacement() {
    if (next_ticket_.epoch == position_.epoch) {
      ++next_ticket_end_;
    } else {
      order({position_.epoch, planned_positions() + position_.bad_samples - 1});
    }
  }

  void reject(const DecodedSample& decoded) {
    if (options_.on_bad_sample == OnBadSample::kFail) {
      throw input_error("{} (set data.on_bad_sample=skip to replace bad samples)", *decoded.error);
    }
    ++position_.bad_samples;
    ++statistics_.bad_samples;
    const bool is_named = statistics_.first_errors.size() < kNamedErrors;
    if (is_named) statistics_.first_errors.push_back(*decoded.error);
    const double share = static_cast<double>(position_.bad_samples) / static_cast<double>(own_samples_);
    if (share > options_.max_bad) {
      throw input_error(
          "{} bad samples in this epoch, more than data.max_bad ({}) of {}; mend them, or raise the limit; "
          "the first: {}",
          position_.bad_samples, options_.max_bad, own_samples_, statistics_.first_errors.front());
    }
    if (is_named) log_warning("bad sample replaced by the next one: {}", *decoded.error);
    order_replacement();
  }

  static void append(DecodedSample decoded, Batch& batch) {
    batch.samples.push_back(decoded.sample);
    batch.pixels.append(decoded.pixels);
    batch.teacher_pixels.append(decoded.teacher_pixels);
    batch.token_ids.insert(batch.token_ids.end(), decoded.token_ids.begin(), decoded.token_ids.end());
    batch.captions.push_back(std::move(decoded.caption));
    batch.negative_captions.push_back(std::move(decoded.negative_caption));
    batch.image_names.push_back(std::move(decoded.image_name));
  }

  const CaptionDataset& dataset_;
  const Tokenizer& tokenizer_;
  LoaderOptions options_;
  LoaderPosition position_;       // the consumer's
  LoaderStatistics statistics_;   // the consumer's
  std::int64_t own_samples_ = 0;  // samples per epoch of this process

  Ticket next_ticket_;
  std::int64_t next_ticket_end_ = 0;  // positions of that epoch that are ordered in turn
  std::map<Ticket, std::future<DecodedSample>> ordered_;
  boost::asio::thread_pool
      workers_;  // the last member, because its destructor waits for what uses the others
};

CaptionLoader::CaptionLoader(const CaptionDataset& dataset, const Tokenizer& tokenizer,
                             const LoaderOptions& options, const LoaderPosition& start)
    : implementation_(std::make_unique<Implementation>(dataset, tokenizer, options, start)) {}

CaptionLoader::~CaptionLoader() = default;

Batch CaptionLoader::next() {
  return implementation_->next();
}

std::int64_t CaptionLoader::batches_per_epoch() const {
  return implementation_->batches_per_epoch();
}

LoaderStatistics CaptionLoader::statistics() const {
  return implementation_->statistics();
}

}  // namespace sdsclip
