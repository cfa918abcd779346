"""Timestep weights are learned from one run's stored errors and used to judge another run."""

import json

from program import ProgramTest, main


class DiffusionWeights(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world(train=1)

    def score(self, split: str, *more: object) -> dict:
        out = self.folder / split
        data = self.world / split / "winoground"
        self.check_succeeds(
            "diffusion-score", "winoground", "--data", data, "--out", out, "--limit", 12, "--samples", 8, "--quiet", *more
        )
        return json.loads((out / "result.json").read_text())

    def test_fitted_on_validation_and_used_on_test(self):
        self.score("val")
        uniform = self.score(".")
        weights = self.folder / "weights.json"
        printed = self.check_succeeds("diffusion-weights", self.folder / "val", "--out", weights, "--bins", 4)
        self.assertIn("750-999", printed)
        fitted = json.loads(weights.read_text())
        self.assertEqual(fitted["train_timesteps"], 1000)
        self.assertEqual(len(fitted["weights"]), 4)
        self.assertAlmostEqual(sum(fitted["weights"]), 4.0)
        weighted = self.score(".", "--judge-only", "--weight", f"learned:{weights}")
        self.assertEqual(weighted["settings"]["estimator"]["weight"], f"learned:{weights}")
        self.assertEqual(weighted["work"], uniform["work"])

        self.check_fails(3, ["result.json"], "diffusion-weights", self.folder / "nothing", "--out", weights)
        clip = self.folder / "clip"
        data = self.world / "winoground"
        self.check_succeeds("eval", "winoground", "--data", data, "--out", clip, "--limit", 3, "--quiet")
        self.check_fails(3, ["'eval'", "diffusion-score"], "diffusion-weights", clip, "--out", weights)

    def test_options_of_adaptive_need_adaptive(self):
        self.check_fails(
            2, ["--adaptive"], "diffusion-score", "winoground", "--data", "tests", "--budget", 4
        )  # fmt: skip


if __name__ == "__main__":
    main()
