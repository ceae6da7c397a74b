"""The logistic regressions of the linear part."""

from __future__ import annotations

import numpy as np

from training.fitting.parts.line import Design, fit_linear, fit_strengths


def test_strengths_that_start_from_each_other_end_where_each_ends_alone() -> None:
    rng = np.random.default_rng(0)
    matrix = np.column_stack([rng.normal(size=800), rng.integers(0, 2, 800), rng.exponential(size=800)])
    won = rng.random(800) < 1 / (1 + np.exp(1 - matrix[:, 0]))
    strengths, design = (0.01, 0.1, 1.0), Design.from_matrix(matrix)
    parts = fit_strengths(design, won, strengths, seed=0)
    for strength, part in zip(strengths, parts, strict=True):
        direct = fit_linear(design, won, strength, seed=0)
        np.testing.assert_allclose(part.log_odds(matrix), direct.log_odds(matrix), atol=0.005)
    sizes = [np.abs(part.weights).sum() for part in parts]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
