#include "race.h"

#include <algorithm>
#include <functional>
#include <unordered_set>

namespace sdsclip {
namespace {

constexpr double kShareOfARound = 0.15;  // of the remaining budget

// Half as many again: this keeps the number of rounds small and no decision comes much too late.
std::int64_t next_samples(std::int64_t samples, std::int64_t max_samples) {
  return std::min(max_samples, samples + std::max<std::int64_t>(1, samples / 2));
}

}  // namespace

Race::Race(const CaseTable& table, const TextTable& texts, const Estimator& estimator,
           std::int64_t max_samples, const AdaptiveOptions& options)
    : table_(table), texts_(texts), estimator_(estimator), max_samples_(max_samples), options_(options) {
  const std::vector<ScoredPair> pairs = caption_pairs(table, texts);
  const std::size_t references =
      estimator.options().subtract_unconditional ? unconditional_pairs(texts, pairs).size() : 0;
  budget_ = options.budget * static_cast<double>(pairs.size() + references);
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    Contest& contest = contests_.emplace_back();
    contest.rows = table.cases[index].images.size();
    contest.columns = static_cast<std::size_t>(table.caption_count(index));
    for (std::size_t row = 0; row < contest.rows; ++row) {
      for (std::size_t column = 0; column < contest.columns; ++column) {
        contest.candidates.push_back({.image = table.cases[index].images[row],
                                      .caption = table.caption_at(index, static_cast<std::int64_t>(column)),
                                      .row = row,
                                      .column = column});
      }
    }
  }
}

std::int64_t Race::open_cases() const {
  return std::count_if(contests_.begin(), contests_.end(),
                       [](const Contest& contest) { return contest.open; });
}

std::size_t Race::best_of(const Terms& terms, const std::vector<std::size_t>& members) const {
  return *std::min_element(members.begin(), members.end(), [&](std::size_t a, std::size_t b) {
    return estimator_.mean(terms[a]) < estimator_.mean(terms[b]);
  });
}

void Race::decide_single(Contest& contest, const Terms& terms) const {
  std::vector<std::size_t> running;
  for (std::size_t i = 0; i < contest.candidates.size(); ++i) {
    if (contest.candidates[i].beaten_by == kNobody) running.push_back(i);
  }
  const std::size_t best = best_of(terms, running);
  std::size_t still_running = 0;
  for (const std::size_t i : running) {
    if (i == best) continue;
    contest.differences.push_back(sampled_difference(terms[i], terms[best], estimator_.points()));
    if (certainty(contest.differences.back()) >= options_.confidence) {
      contest.candidates[i].beaten_by = static_cast<std::int64_t>(best);
      contest.candidates[i].samples = contest.samples;
    } else {
      ++still_running;
    }
  }
  if (still_running == 0) contest.open = false;
}

void Race::decide_crossed(Contest& contest, const Terms& terms) const {
  bool is_decided = true;
  const auto decide_line = [&](std::size_t first, std::size_t stride, std::size_t count) {
    std::vector<std::size_t> members(count);
    for (std::size_t i = 0; i < count; ++i) members[i] = first + i * stride;
    const std::size_t best = best_of(terms, members);
    for (const std::size_t i : members) {
      if (i == best) continue;
      contest.differences.push_back(sampled_difference(terms[i], terms[best], estimator_.points()));
      if (certainty(contest.differences.back()) < options_.confidence) is_decided = false;
    }
  };
  for (std::size_t row = 0; row < contest.rows; ++row) decide_line(row * contest.columns, 1, contest.columns);
  for (std::size_t column = 0; column < contest.columns; ++column) {
    decide_line(column, contest.columns, contest.rows);
  }
  if (is_decided) contest.open = false;
}

void Race::decide(Contest& contest, const ErrorTable& errors) const {
  Terms terms;
  for (const Candidate& candidate : contest.candidates) {
    const bool running = candidate.beaten_by == kNobody;
    terms.push_back(
        running ? estimator_.terms(errors, texts_, candidate.image, candidate.caption, contest.samples)
                : std::vector<double>());
  }
  contest.differences.clear();
  if (contest.rows == 1 || contest.columns == 1) {
    decide_single(contest, terms);
  } else {
    decide_crossed(contest, terms);
  }
  if (contest.samples >= max_samples_) contest.open = false;
}

void Race::decide_all(const ErrorTable& errors) {
  std::vector<SampledDifference> differences;
  for (Contest& contest : contests_) {
    if (!contest.open) continue;
    decide(contest, errors);
    differences.insert(differences.end(), contest.differences.begin(), contest.differences.end());
  }
  // The first call sees all cases. Later calls see only open cases, which are not typical.
  const bool is_first_look = usual_variance_ == 0;
  if (is_first_look) usual_variance_ = usual_variance(differences);
}

std::vector<PairSamples> Race::missing_samples(const Contest& contest, std::int64_t samples) const {
  std::vector<PairSamples> work;
  std::unordered_set<std::uint64_t> seen;
  const auto add = [&](std::int32_t image, std::int32_t text) {
    const ScoredPair pair{.image = image, .text = text};
    if (!seen.insert(pair.key()).second) return;
    const auto asked = asked_.find(pair.key());
    const std::int64_t first = asked == asked_.end() ? 0 : asked->second;
    if (first < samples) work.push_back({.pair = pair, .first = first, .last = samples});
  };
  for (const Candidate& candidate : contest.candidates) {
    if (candidate.beaten_by != kNobody) continue;
    for (const std::int32_t text : texts_.of_caption[static_cast<std::size_t>(candidate.caption)]) {
      add(candidate.image, text);
    }
    if (estimator_.options().subtract_unconditional) add(candidate.image, texts_.unconditional);
  }
  return work;
}

Race::Extension Race::extension_of(Contest& contest) const {
  Extension extension{.contest = &contest,
                      .samples = contest.samples == 0 ? std::min(options_.min_samples, max_samples_)
                                                      : next_samples(contest.samples, max_samples_)};
  for (const PairSamples& item : missing_samples(contest, extension.samples)) {
    extension.cost += item.last - item.first;
  }
  // A case is right if all its decisions are, so it is as doubtful as its most doubtful decision.
  const std::int64_t more = extension.samples - contest.samples;
  DecisionRisk risk;
  for (const SampledDifference& difference : contest.differences) {
    if (certainty(difference) >= options_.confidence) continue;
    const DecisionRisk own = decision_risk(difference, usual_variance_, more, max_samples_);
    risk = {.now = std::max(risk.now, own.now), .then = std::max(risk.then, own.then)};
  }
  // Samples that another case already needs are free.
  extension.worth = (risk.now - risk.then) / static_cast<double>(std::max<std::int64_t>(extension.cost, 1));
  return extension;
}

std::vector<Race::Extension> Race::extensions_of_round() {
  std::vector<Extension> extensions;
  for (Contest& contest : contests_) {
    if (contest.open) extensions.push_back(extension_of(contest));
  }
  const bool is_first_round = asked_.empty();
  if (budget_ == 0 || is_first_round) return extensions;
  std::stable_sort(extensions.begin(), extensions.end(),
                   [](const Extension& a, const Extension& b) { return a.worth > b.worth; });
  const double left = budget_ - static_cast<double>(evaluations_);
  double spent = 0;
  std::size_t taken = 0;
  while (taken < extensions.size() && spent < left * kShareOfARound) {
    spent += static_cast<double>(extensions[taken].cost);
    if (spent > left) break;
    ++taken;
  }
  extensions.resize(taken);
  return extensions;
}

std::vector<PairSamples> Race::next_round(const ErrorTable& errors) {
  std::vector<PairSamples> round;
  bool goes_on = true;
  // Decide contests again at once if other cases have already requested all of their next samples.
  while (goes_on && round.empty()) {
    if (!asked_.empty()) decide_all(errors);
    const std::vector<Extension> extensions = extensions_of_round();
    goes_on = !extensions.empty();
    for (const Extension& extension : extensions) {
      for (const PairSamples& item : missing_samples(*extension.contest, extension.samples)) {
        asked_[item.pair.key()] = item.last;
        evaluations_ += item.last - item.first;
        round.push_back(item);
      }
      extension.contest->samples = extension.samples;
    }
  }
  return round;
}

double Race::distance(const Contest& contest, std::size_t index, const ErrorTable& errors,
                      const Estimator& estimator) const {
  const Candidate& own = contest.candidates[index];
  const bool lost = own.beaten_by != kNobody;
  const std::int64_t samples = lost ? own.samples : contest.samples;
  std::vector<double> terms = estimator.terms(errors, texts_, own.image, own.caption, samples);
  if (!lost) return estimator.mean(terms);
  const std::size_t winner_index = static_cast<std::size_t>(own.beaten_by);
  const Candidate& winner = contest.candidates[winner_index];
  const std::vector<double> better = estimator.terms(errors, texts_, winner.image, winner.caption, samples);
  std::transform(terms.begin(), terms.end(), better.begin(), terms.begin(), std::minus<>());
  return distance(contest, winner_index, errors, estimator) + estimator.mean(terms);
}

CaseScores Race::scores(const ErrorTable& errors, const Estimator& estimator) const {
  CaseScores scores(table_);
  for (std::size_t index = 0; index < contests_.size(); ++index) {
    const Contest& contest = contests_[index];
    for (std::size_t i = 0; i < contest.candidates.size(); ++i) {
      const Candidate& candidate = contest.candidates[i];
      scores.set(index, static_cast<std::int64_t>(candidate.row), static_cast<std::int64_t>(candidate.column),
                 -distance(contest, i, errors, estimator));
    }
  }
  return scores;
}

}  // namespace sdsclip
