"""Measures the exact reasons of one lead by a model with all the trees that a recipe may have.

`python -m benchmarks.reasons`
"""

from __future__ import annotations

from benchmarks.support.data import crm_toml
from benchmarks.support.explaining import explain_one
from benchmarks.support.measuring import end, show
from features.settings import load_settings
from training.fitting.choosing import MOST_STATISTICS_TREES
from training.fitting.dataset import load_dataset
from training.fitting.fit import fit
from training.fitting.parts.trees import SIZES, TreesRecipe
from training.fitting.recipe import LINEAR, POINTS, STATISTICS, Recipe

LEADS, ACTIVITIES_PER_LEAD = 4_000, 7.7


def main() -> None:
    path = crm_toml("reasons", LEADS, ACTIVITIES_PER_LEAD)
    data, _ = load_dataset(load_settings(path), path.parent, lambda _: None)
    model = fit(data, largest_recipe(), seed=0)
    print(f"{model.trees.booster.num_trees()} trees")
    end([show("one row with all reasons, best of several", explain_one(model, data) * 1e6, 1000, "µs")])


def largest_recipe() -> Recipe:
    """A recipe with the whole budget of trees of either size, and as many as there may be with statistics."""
    small, large = SIZES["small_trees"], SIZES["large_trees"]
    trees = {
        "small_trees": TreesRecipe.within_budget(small, small.max_trees // 4),
        "large_trees": TreesRecipe.within_budget(large, large.max_trees),
    }
    statistics = TreesRecipe(small, MOST_STATISTICS_TREES // 2, 2)
    weights = {POINTS: 0.0, **dict.fromkeys((LINEAR, *trees, STATISTICS), 0.25)}
    return Recipe(recent_strength=0.1, trees=trees, statistics=statistics, weights=weights)


if __name__ == "__main__":
    main()
