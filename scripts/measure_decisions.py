#!/usr/bin/env python3
"""Measures how often the paired test of adaptive scoring decides between two equally good candidates.

  measure_decisions.py        half a minute on one core

The samples are those of the nested grid: van der Corput's points with a random shift. Their differences have a mean of
zero over the range of timesteps, so every decision is wrong. The script prints the share of decisions at 95% and 99.8%
confidence for three tests:

- the variance of successive differences with n - 1 degrees of freedom;
- the same with 2 (n - 1)^2 / (3 n - 4) degrees of freedom, the value for samples of equal variance;
- the test in use (src/scoring/paired_test.h): differences around the circle, Satterthwaite's degrees of freedom.
"""

import numpy as np
from scipy.stats import t as student

TRIALS = 40_000
SAMPLES = [2, 3, 4, 6, 9, 13, 19, 28, 42, 63]
CONFIDENCES = [0.95, 0.998]
SCENARIOS = {
    "noise": (lambda u: 0 * u, lambda u: 0 * u + 1),
    "noise that falls twentyfold": (lambda u: 0 * u, lambda u: np.exp(-3 * u)),
    "noise around a few timesteps": (lambda u: 0 * u, lambda u: 0.2 + 3 * np.exp(-100 * (u - 0.2) ** 2)),
    "a trend and noise": (lambda u: 3 * (u - 0.5), lambda u: 0 * u + 1),
    "a wave and noise": (lambda u: 2 * np.sin(2 * np.pi * u), lambda u: 0 * u + 1),
}


def main() -> None:
    random = np.random.default_rng(1)
    for name, (mean, deviation) in SCENARIOS.items():
        print(f"{name}: wrong at 95% (99.8%)")
        print(f"{'samples':>8} {'n - 1':>16} {'2 (n-1)^2/(3n-4)':>18} {'in use':>16}")
        for samples in SAMPLES:
            shares = wrong_decisions(draw(random, samples, mean, deviation))
            print(f"{samples:>8} " + " ".join(f"{one[0]:>8.1%} ({one[1]:.2%})" for one in shares))


def radical_inverse(index: int) -> float:
    value, digit = 0.0, 0.5
    while index:
        value, index, digit = value + digit * (index & 1), index >> 1, digit / 2
    return value


def draw(random: np.random.Generator, samples: int, mean, deviation) -> np.ndarray:
    """Returns differences, one row per trial, in the order of their timesteps."""
    grid = np.array([radical_inverse(k) for k in range(samples)])
    u = np.sort((grid + random.random((TRIALS, 1))) % 1, axis=1)
    return mean(u) + deviation(u) * random.standard_normal(u.shape)


def wrong_decisions(differences: np.ndarray) -> list[list[float]]:
    """Returns for each of the three tests the shares at the two confidences."""
    samples = differences.shape[1]
    around = (differences - np.roll(differences, 1, axis=1)) ** 2 / 2
    line = around[:, 1:]
    most = min(samples - 1, 2 * samples / 3)
    fitted = np.clip(2 * around.sum(axis=1) ** 2 / (around**2).sum(axis=1), 1, most)
    tests = [
        (line.mean(axis=1), samples - 1),
        (line.mean(axis=1), 2 * (samples - 1) ** 2 / (3 * samples - 4)),
        (around.mean(axis=1), fitted),
    ]
    shares = []
    for variance, degrees in tests:
        t = np.abs(differences.mean(axis=1)) / np.sqrt(variance / samples)
        certainty = 2 * student.cdf(t, degrees) - 1
        shares.append([float((certainty >= confidence).mean()) for confidence in CONFIDENCES])
    return shares


if __name__ == "__main__":
    main()
