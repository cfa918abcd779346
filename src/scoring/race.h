#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "diffusion_plan.h"
#include "estimator.h"
#include "paired_test.h"

namespace sdsclip {

/// Adaptive scoring. Within each case the captions of an image compete, and so do the images of a caption. A
/// candidate gets samples while its paired difference to the best candidate is open.
///
/// A case of one image or of one caption is a single contest. A candidate that is decided to be worse than
/// the best one stops. Its distance is then the best one's plus their mean difference over the samples that
/// both have: with common random numbers that difference is known well. A case of several images and captions
/// is one contest of all its rows and columns. Its pairs continue together until every row and column is
/// decided.
///
/// Without a budget every open contest continues with half as many samples again. With a budget, each round
/// spends a part of the rest where one evaluation lowers the risk of a wrong decision (`decision_risk`) most.
///
/// Decisions are made in rounds, from the errors of samples of earlier rounds. They are a function of stored
/// numbers, so an interrupted race ends the same way.
class Race {
 public:
  /// All references must outlive this.
  Race(const CaseTable& table, const TextTable& texts, const Estimator& estimator, std::int64_t max_samples,
       const AdaptiveOptions& options);

  /// Decides what can be decided and returns the samples of the next round; an empty result means that the
  /// race is over. `errors` must hold those of all earlier rounds; further samples are ignored.
  std::vector<PairSamples> next_round(const ErrorTable& errors);

  /// The scores -d(x, c) of every case after the last round, by this or another estimator.
  [[nodiscard]] CaseScores scores(const ErrorTable& errors, const Estimator& estimator) const;

  [[nodiscard]] std::int64_t evaluations() const { return evaluations_; }  ///< requested in all rounds
  [[nodiscard]] std::int64_t open_cases() const;

 private:
  static constexpr std::int64_t kNobody = -1;

  struct Candidate {
    std::int32_t image = 0;
    std::int32_t caption = 0;
    std::size_t row = 0;
    std::size_t column = 0;
    std::int64_t beaten_by = kNobody;  // index of the candidate that beat it
    std::int64_t samples = 0;          // number of its samples at that time
  };
  struct Contest {
    std::vector<Candidate> candidates;  // row by row
    std::size_t rows = 0;
    std::size_t columns = 0;
    std::int64_t samples = 0;  // of the candidates that still compete
    bool open = true;
    std::vector<SampledDifference> differences;  // the latest comparisons to the best candidates
  };
  using Terms = std::vector<std::vector<double>>;
  struct Extension {
    Contest* contest = nullptr;
    std::int64_t samples = 0;  // number that its candidates will have
    std::int64_t cost = 0;     // evaluations needed for that
    double worth = 0;          // reduction of the risk of a wrong decision, per evaluation
  };

  void decide_all(const ErrorTable& errors);
  void decide(Contest& contest, const ErrorTable& errors) const;
  void decide_single(Contest& contest, const Terms& terms) const;
  void decide_crossed(Contest& contest, const Terms& terms) const;
  [[nodiscard]] std::size_t best_of(const Terms& terms, const std::vector<std::size_t>& members) const;
  [[nodiscard]] Extension extension_of(Contest& contest) const;
  [[nodiscard]] std::vector<Extension> extensions_of_round();
  [[nodiscard]] std::vector<PairSamples> missing_samples(const Contest& contest, std::int64_t samples) const;
  [[nodiscard]] double distance(const Contest& contest, std::size_t index, const ErrorTable& errors,
                                const Estimator& estimator) const;

  const CaseTable& table_;
  const TextTable& texts_;
  const Estimator& estimator_;
  std::int64_t max_samples_;
  AdaptiveOptions options_;
  std::vector<Contest> contests_;                          // one per case
  std::unordered_map<std::uint64_t, std::int64_t> asked_;  // samples of each pair requested by rounds
  std::int64_t evaluations_ = 0;
  double budget_ = 0;          // total number of evaluations; 0: no limit
  double usual_variance_ = 0;  // of a comparison, from the first call
};

}  // namespace sdsclip
