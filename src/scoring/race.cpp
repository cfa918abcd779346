#include "race.h"

#include <algorithm>
#include <functional>
#include <unordered_set>

#include "paired_test.h"

namespace sdsclip {
namespace {

// Half as many again: few rounds, and no decision comes much later than it could.
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

double Race::certainty_between(const std::vector<double>& worse, const std::vector<double>& better) const {
  std::vector<double> differences(worse.size());
  std::transform(worse.begin(), worse.end(), better.begin(), differences.begin(), std::minus<>());
  return paired_certainty(differences, estimator_.points());
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
    const double certainty = certainty_between(terms[i], terms[best]);
    if (certainty >= options_.confidence) {
      contest.candidates[i].beaten_by = static_cast<std::int64_t>(best);
      contest.candidates[i].samples = contest.samples;
    } else {
      contest.certainty = std::min(contest.certainty, certainty);
      ++still_running;
    }
  }
  if (still_running == 0) contest.open = false;
}

void Race::decide_crossed(Contest& contest, const Terms& terms) const {
  const auto decide_line = [&](std::size_t first, std::size_t stride, std::size_t count) {
    std::vector<std::size_t> members(count);
    for (std::size_t i = 0; i < count; ++i) members[i] = first + i * stride;
    const std::size_t best = best_of(terms, members);
    for (const std::size_t i : members) {
      if (i == best) continue;
      contest.certainty = std::min(contest.certainty, certainty_between(terms[i], terms[best]));
    }
  };
  for (std::size_t row = 0; row < contest.rows; ++row) decide_line(row * contest.columns, 1, contest.columns);
  for (std::size_t column = 0; column < contest.columns; ++column) {
    decide_line(column, contest.columns, contest.rows);
  }
  if (contest.certainty >= options_.confidence) contest.open = false;
}

void Race::decide(Contest& contest, const ErrorTable& errors) const {
  Terms terms;
  for (const Candidate& candidate : contest.candidates) {
    const bool running = candidate.beaten_by == kNobody;
    terms.push_back(
        running ? estimator_.terms(errors, texts_, candidate.image, candidate.caption, contest.samples)
                : std::vector<double>());
  }
  contest.certainty = 1;
  if (contest.rows == 1 || contest.columns == 1) {
    decide_single(contest, terms);
  } else {
    decide_crossed(contest, terms);
  }
  if (contest.samples >= max_samples_) contest.open = false;
}

std::vector<Race::Contest*> Race::contests_to_extend() {
  std::vector<Contest*> open;
  for (Contest& contest : contests_) {
    if (contest.open) open.push_back(&contest);
  }
  const bool is_first_round = asked_.empty();
  if (budget_ == 0 || is_first_round) return open;
  // With a budget to keep, the least decided half goes first and is looked at again before the rest.
  std::stable_sort(open.begin(), open.end(),
                   [](const Contest* a, const Contest* b) { return a->certainty < b->certainty; });
  open.resize((open.size() + 1) / 2);
  return open;
}

std::vector<PairSamples> Race::samples_of(const Contest& contest, std::int64_t samples) const {
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

std::vector<PairSamples> Race::next_round(const ErrorTable& errors) {
  const bool is_first_round = asked_.empty();
  if (!is_first_round) {
    for (Contest& contest : contests_) {
      if (contest.open) decide(contest, errors);
    }
  }
  std::vector<PairSamples> round;
  for (Contest* contest : contests_to_extend()) {
    const std::int64_t samples = is_first_round ? std::min(options_.min_samples, max_samples_)
                                                : next_samples(contest->samples, max_samples_);
    const std::vector<PairSamples> work = samples_of(*contest, samples);
    std::int64_t cost = 0;
    for (const PairSamples& item : work) cost += item.last - item.first;
    if (budget_ > 0 && static_cast<double>(evaluations_ + cost) > budget_) break;
    evaluations_ += cost;
    contest->samples = samples;
    for (const PairSamples& item : work) asked_[item.pair.key()] = item.last;
    round.insert(round.end(), work.begin(), work.end());
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
