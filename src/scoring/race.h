#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "diffusion_plan.h"
#include "estimator.h"
#include "paired_test.h"

namespace sdsclip {

/// Adaptive scoring: within each case the captions of an image compete, and the images of a caption; a
/// candidate gets samples while its paired difference to the best one is open.
///
/// A case of one image or of one caption is a single contest. A candidate that is decided to be worse than
/// the best one stops, and its distance is from then on the best one's plus their mean difference over the
/// samples that both have: with common random numbers that difference is what is known well. A case of
/// several images and several captions is one contest of all its rows and columns, whose pairs go on together
/// until every row and every column is decided.
///
/// Without a budget every open contest goes on, with half as many samples again. With one, a round spends a
/// part of what is left where an evaluation lowers most the risk of a wrong decision (`decision_risk`).
///
/// Decisions fall in rounds, from the errors of the samples that earlier rounds asked for: they are a
/// function of stored numbers, so an interrupted race runs again to the same end.
class Race {
 public:
  /// All references must outlive this.
  Race(const CaseTable& table, const TextTable& texts, const Estimator& estimator, std::int64_t max_samples,
       const AdaptiveOptions& options);

  /// Decides what can be decided and returns the samples of the next round. `errors` holds at least those of
  /// all rounds before; samples beyond them are not looked at. Empty: the race is over.
  std::vector<PairSamples> next_round(const ErrorTable& errors);

  /// -d(x, c) of every case, after the last round, by this or another estimator.
  [[nodiscard]] CaseScores scores(const ErrorTable& errors, const Estimator& estimator) const;

  [[nodiscard]] std::int64_t evaluations() const { return evaluations_; }  ///< that the rounds asked for
  [[nodiscard]] std::int64_t open_cases() const;

 private:
  static constexpr std::int64_t kNobody = -1;

  struct Candidate {
    std::int32_t image = 0;
    std::int32_t caption = 0;
    std::size_t row = 0;
    std::size_t column = 0;
    std::int64_t beaten_by = kNobody;  // index of the candidate that it lost to
    std::int64_t samples = 0;          // that it had then
  };
  struct Contest {
    std::vector<Candidate> candidates;  // row by row
    std::size_t rows = 0;
    std::size_t columns = 0;
    std::int64_t samples = 0;  // of those that are still in it
    bool open = true;
    std::vector<SampledDifference> differences;  // the comparisons to the best ones, as last looked at
  };
  using Terms = std::vector<std::vector<double>>;
  struct Extension {
    Contest* contest = nullptr;
    std::int64_t samples = 0;  // that its candidates will have
    std::int64_t cost = 0;     // evaluations to get there
    double worth = 0;          // by how much the risk of a wrong decision falls, an evaluation
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
  std::vector<Contest> contests_;                          // one a case
  std::unordered_map<std::uint64_t, std::int64_t> asked_;  // samples of each pair that rounds asked for
  std::int64_t evaluations_ = 0;
  double budget_ = 0;          // evaluations in all; 0: no limit
  double usual_variance_ = 0;  // of a comparison, from the first look at all
};

}  // namespace sdsclip
