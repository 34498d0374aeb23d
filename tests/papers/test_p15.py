"""The measurements of paper 15, at small sizes, and the methods that they compare."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from attractor.data import DataUnavailableError
from attractor.data.image_set import ImageSet
from attractor.estimators.sequential import EWC, MAS, SequentialLearner, Training
from attractor.nn import SDMLP
from attractor.papers import paper_module
from attractor.papers.p15_sdm import capacity, comparison, digits, mnist, reproduction, training, tuning
from attractor.papers.p15_sdm.claims import ONE_RATE, PAPER, RELU_RATE
from attractor.papers.p15_sdm.fly_model import FlyModel
from attractor.papers.p15_sdm.models import NETWORKS, Network
from attractor.papers.p15_sdm.penalties import BatchedMAS, OwnLabelEWC
from attractor.papers.p15_sdm.sizes import SIZES
from attractor.papers.p15_sdm.training import FLY, Recipe, Split, data_of, learn, pairs, yardsticks
from attractor.papers.p15_sdm.tuning import Grid, Ladder, Method

SPLIT = Split("digits", 60, 200, 100)
RECIPE = Recipe(1, 32, 0.5)
ONE = Grid(Ladder(0.5, 5.0, 0, 0), Ladder(1.0, 10.0, 0, 0), 1)
PROTOCOL_S, RECIPE_S = SIZES["laptop"].digits, SIZES["laptop"].digits_recipe


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def network(name, neurons=50, dim=12, seed=0):
    return Network(dim, 4, neurons, NETWORKS[name], k=5, switch=20, pool=rand(80, dim), seed=seed)


def test_every_claim_gets_its_row_and_the_figures_are_made(monkeypatch):
    tiny = replace(
        SIZES["smoke"],
        digits_grid=ONE,
        mnist_grid=ONE,
        digits=SPLIT,
        mnist=SPLIT,
        silence=SPLIT,
        digits_recipe=RECIPE,
        mnist_recipe=RECIPE,
        silence_recipe=RECIPE,
        digits_seeds=1,
    )
    monkeypatch.setitem(reproduction.SIZES, "smoke", replace(tiny, locations=500))
    told = []
    report = paper_module("15").run("smoke", 1, lambda what, done: told.append(done))
    assert [row.claim for row in report.rows] == list(PAPER.claims)
    assert [figure.name for figure in report.figures] == [
        "digits-ingredients", "digits-methods", "digits-rates", "mnist", "kanerva"
    ]  # fmt: skip
    assert all(row.measured is not None for row in report.rows)
    assert told == sorted(told)


def test_missing_images_give_rows_that_say_so(monkeypatch):
    def missing(*given, **named):
        raise DataUnavailableError("nowhere to be found")

    monkeypatch.setattr(comparison, "images", missing)
    for part in reproduction.parts(SIZES["smoke"])[:3]:
        rows = part.measure(0, lambda done: None).rows
        assert rows and all(row.measured is None and "nowhere" in row.note for row in rows)


@pytest.mark.parametrize("methods", [digits.INGREDIENTS, digits.HELPED, mnist.METHODS])
def test_no_two_methods_of_a_figure_are_drawn_alike(methods):
    figures = pytest.importorskip("attractor.app.figures")
    # two more of them stand in the figure of those that are helped
    assert len(methods) + 2 * (methods is digits.HELPED) <= len(figures.COLOURS)


def test_the_whole_network_is_the_sdmlp():
    model = network("SDMLP")
    public = SDMLP(12, 4, neurons=50, k=5, inhibition="subtract")
    with torch.no_grad():
        public.hidden.addresses.copy_(model.addresses)
        public.values.copy_(model.values)
    items = rand(30, 12, seed=1) - 0.2
    torch.testing.assert_close(model(items), public(items))
    with torch.no_grad():
        for one in (*model.parameters(), *public.parameters()):
            one -= 0.05
    model.project()
    public.project()
    torch.testing.assert_close(model.addresses, public.hidden.addresses)
    torch.testing.assert_close(model.values, public.values)


def test_ingredients_are_left_out_one_by_one():
    items = rand(30, 12, seed=1)
    assert network("SDMLP").bias is None and network("SDMLP with biases").bias is not None
    lengths = {name: network(name)(items * 3).sub(network(name)(items)).abs().max() for name in NETWORKS}
    unit = {name for name, found in lengths.items() if found < 1e-5}
    assert unit == {name for name in NETWORKS if name.startswith("SDMLP") and "unit" not in name}
    assert float(network("SDMLP with signed weights").values.detach().min()) < 0 <= float(network("SDMLP").values.detach().min())
    active = {name: int((network(name).hidden(items) > 0).sum(1).max()) for name in ("Top-K alone", "ReLU network")}
    assert active["Top-K alone"] <= 5 < active["ReLU network"]


def test_each_method_gets_the_rate_and_strength_that_are_best_for_it(monkeypatch):
    asked = []

    def accuracies(network, strategy, seed, *plain):
        split, recipe = Split(*plain[: len(Split._fields)]), Recipe(*plain[len(Split._fields) :])
        asked.append((network, strategy, seed, recipe.rate, recipe.strength))
        assert split == SPLIT._replace(tuning=True)
        if recipe.rate > 2:
            raise FloatingPointError("loss must stay finite")
        wanted = 0.5 if network == "SDMLP" else 0.02
        return {"accuracies": [1 - abs(recipe.rate - wanted) - abs(recipe.strength - 0.1) / 9 + 1e-3 * (seed % 2)]}

    monkeypatch.setattr(tuning, "learn", accuracies)
    grid = Grid(Ladder(0.1, 5.0, 1, 3), Ladder(1.0, 10.0, 0, 3), 2)
    methods = {"a": Method("SDMLP"), "b": Method("ReLU network"), "c": Method("SDMLP", "EWC"), "d": Method("SDMLP", rate=7.0)}
    found = tuning.tuned(methods, SPLIT, RECIPE, grid._replace(strengths=Ladder(1.0, 10.0, 1, 3)), lambda done: None)
    chosen = {name: (one.recipe.rate, one.recipe.strength) for name, one in found.items()}
    assert chosen == {"a": (0.5, 1), "b": (0.02, 1), "c": (0.5, 0.1), "d": (7.0, 1)}
    # the grids of all begin alike, and end beyond the best
    assert list(found["a"].rates) == list(found["c"].rates) == [0.02, 0.1, 0.5, 2.5]
    assert list(found["b"].rates) == [0.004, 0.02, 0.1, 0.5]
    assert list(found["c"].strengths) == [0.01, 0.1, 1.0, 10.0] and found["d"].rates == found["a"].strengths == {}
    assert {one[2] for one in asked} == {tuning.FIRST_SEED, tuning.FIRST_SEED + 1} and len(asked) == 2 * (4 + 4 + 4 + 3)


@pytest.mark.parametrize(
    ("slope", "last", "tried"), [(-0.2, 6, (-4, 1)), (0.2, 6, (-1, 4)), (0.0, 6, (-1, 1)), (-0.2, 2, (-2, 1)), (None, 6, (-1, 1))]
)
def test_grid_is_widened_until_the_best_lies_inside(slope, last, tried):
    asked = []

    def accuracy(number):
        asked.append(number)
        place = round(math.log2(number))
        return -abs(place) if slope is None else slope * place if abs(place) < 4 else 0.0

    found = tuning.climb(Ladder(1.0, 2.0, 1, last), accuracy, {0: 0.0})
    assert (min(found), max(found)) == tried
    assert len(set(asked)) == len(asked) == len(found) - 1, "no point is measured twice"
    inside = min(found) < tuning.best(found) < max(found)
    assert inside == (last == 6)


def test_test_items_have_no_part_in_tuning():
    sets = [data_of(SPLIT._replace(tuning=tuning), seed) for seed in (0, 1) for tuning in (False, True)]
    numbers = [[{tuple(row) for row in part.tolist()} for part in (pool, one.items, one.test_items)] for pool, one in sets]
    tests = numbers[0][2]
    assert numbers[2][2] == tests and len(tests) == 100
    for (pool, known, _), (same_pool, learned, held_out) in (numbers[:2], numbers[2:]):
        assert pool == same_pool and learned | held_out == known and len(learned) == 160 and len(held_out) == 40
        assert not (pool | known) & tests
    assert numbers[0][1] != numbers[2][1]


def test_mnist_is_tested_on_its_own_test_items(monkeypatch):
    patterns = torch.arange(120.0)[:, None]
    monkeypatch.setattr(training, "images", lambda name: ImageSet(patterns, (1, 1, 1), name, labels=torch.arange(120) % 10))
    monkeypatch.setitem(training.FIRST_TEST_ITEM, "mnist", 100)
    pool, whole = data_of(Split("mnist", 20, 80, 20), 0)
    assert sorted(whole.test_items[:, 0].tolist()) == list(range(100, 120))
    assert sorted(torch.cat([pool, whole.items])[:, 0].tolist()) == list(range(100))


def test_rows_say_what_was_chosen_and_cells_are_as_many_as_neurons(monkeypatch):
    made = []
    monkeypatch.setattr(training, "FlyModel", lambda *given, **named: made.append(named["cells"]) or FlyModel(*given, **named))
    grid = Grid(Ladder(0.1, 5.0, 1, 1), Ladder(1.0, 10.0, 1, 1), 1)
    methods = {"SDMLP": Method("SDMLP", "EWC"), FLY: Method(FLY), "given": Method("SDMLP", rate=0.25)}
    found = comparison.Comparison(methods, SPLIT, RECIPE, grid, range(1), lambda done: None)
    assert set(made) == {SPLIT.pool}
    assert found.choice("SDMLP").startswith("best rate 0.") and ", strength " in found.choice("SDMLP")
    assert found.choice("SDMLP").endswith(" of 0.1 to 10") and found.choice(FLY).endswith(" of 0.02 to 0.5")
    assert found.choice("given") == "" and found.told("given").startswith("given: 0.")
    curve = found.by_rate("rates", "a title", ["SDMLP"]).series[0]
    assert curve.x == (0.02, 0.1, 0.5) and max(curve.y) == found.tuned["SDMLP"].rates[found.tuned["SDMLP"].recipe.rate]


@pytest.mark.parametrize("strategy", ["EWC", "MAS", "SI", "L2", "replay"])
def test_every_strategy_changes_what_is_learned(strategy):
    recipe = RECIPE._replace(strength=100.0, epochs=2)
    plain, held = (learn("ReLU network", name, 0, *SPLIT, *recipe)["accuracies"] for name in ("", strategy))
    assert plain != held


def test_gradients_are_no_longer_than_one(monkeypatch):
    lengths = []

    class Watched(torch.optim.SGD):
        def __init__(self, parameters, rate):
            super().__init__(parameters, rate)
            self.kept = [one for group in self.param_groups for one in group["params"]]
            self.register_step_post_hook(lambda *_: lengths.append(torch.cat([one.grad.flatten() for one in self.kept]).norm()))

    monkeypatch.setitem(training.OPTIMIZERS, "SGD", Watched)
    learn("ReLU network", "", 0, *SPLIT, *RECIPE._replace(rate=2.5))
    assert 0.999 < max(lengths) <= 1 + 1e-5


def test_fly_model_learns_each_class_apart_and_in_any_order():
    items, labels = rand(40, 20), torch.arange(40) % 4
    # at this rate the third item of a class takes its synapses beyond 1
    model, other = (FlyModel(20, 4, cells=100, active=8, rate=0.5, seed=0) for _ in range(2))
    assert (model.projection.sum(1) == 2).all()
    hidden = model.hidden(items)
    assert ((hidden > 0).sum(1) == 8).all() and torch.equal(hidden.amax(1), torch.ones(40))
    model.learn(items, labels)
    expected = torch.zeros(4, 100)
    for one, label in zip(hidden, labels, strict=True):
        expected[label] = (expected[label] + 0.5 * one).clamp(max=1)
    torch.testing.assert_close(model.weights, expected)
    other.learn(items[labels > 0], labels[labels > 0])
    other.learn(items[labels == 0], labels[labels == 0])
    torch.testing.assert_close(other.weights, model.weights)


@pytest.mark.parametrize("name", ["SDMLP", "Top-K alone", "ReLU network"])
def test_importances_of_a_batch_are_those_of_one_item_after_the_other(name):
    items = rand(20, 12, seed=3)
    states = []
    for method in (BatchedMAS(1.0), MAS(1.0)):
        seen = Training(network(name).eval(), cross_entropy, torch.Generator())
        states.append(method.measure(items, torch.zeros(20, dtype=torch.int64), seen))
    assert set(states[0]) == set(states[1]) and float(states[0]["addresses"].max()) > 0
    torch.testing.assert_close(states[0], states[1], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("name", ["SDMLP", "ReLU network"])
def test_own_label_information_is_the_mean_of_squared_gradients_of_each_item(name):
    model, items = network(name).eval(), rand(20, 12, seed=3)
    method = OwnLabelEWC(1.0, 0.5)
    found = method.measure(items, torch.zeros(20, dtype=torch.int64), Training(model, cross_entropy, torch.Generator()))
    parameters = {name: one.detach() for name, one in model.named_parameters()}
    labels = model(items).argmax(-1)

    def loss(weights, item, label):
        return cross_entropy(0.5 * torch.func.functional_call(model, weights, item[None]), label[None])

    gradients = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(parameters, items, labels)
    for name, value in gradients.items():
        torch.testing.assert_close(found[name], value.square().mean(0), rtol=0, atol=1e-5)
        torch.testing.assert_close(found[name], value.square().mean(0), rtol=1e-3, atol=1e-9)


def test_ewc_ends_at_the_closed_form_optimum_of_a_linear_gaussian_task():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(30, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    targets = [items @ torch.randn(3, 1, generator=generator, dtype=torch.float64) for items in (first, second)]
    targets[0] += torch.randn(30, 1, generator=generator, dtype=torch.float64)
    method = EWC(2.0, normalise=False)
    learner = SequentialLearner(
        nn.Linear(3, 1, bias=False).double(),
        strategies=[method],
        optimizer=partial(torch.optim.SGD, lr=0.3),
        loss=lambda outputs, told: (outputs - told).square().mean() / 2,
        epochs=300,
        batch_size=30,
    )
    learner.fit_task(first, targets[0])
    old, importance = learner.model.weight.detach().clone(), method.importance["weight"].clone()
    learner.fit_task(second, targets[1])
    matrix = second.T @ second / 30 + 2.0 * importance[0].diag()
    best = torch.linalg.solve(matrix, second.T @ targets[1][:, 0] / 30 + 2.0 * importance[0] * old[0])
    torch.testing.assert_close(learner.model.weight[0], best, rtol=0, atol=1e-4)
    assert float((best - old[0]).abs().max()) > 0.01


def test_tasks_are_pairs_of_classes_and_the_seed_chooses_the_images():
    pool, whole = data_of(SPLIT, 0)
    assert pool.shape == (60, 64) and float(whole.items.min()) == 0 and float(whole.items.max()) == 1
    assert [task.labels.unique().tolist() for task in pairs(whole)] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert not torch.equal(pool, data_of(SPLIT, 1)[0])


def test_same_arguments_give_the_same_accuracies():
    first, again, other = (learn("SDMLP", "", seed, *SPLIT, *RECIPE) for seed in (0, 0, 1))
    assert first == again and first["accuracies"] != other["accuracies"]
    assert len(first["accuracies"]) == 5 and first["silent"] == 0.0
    assert learn("SDMLP", "", 0, *SPLIT, *RECIPE._replace(optimizer="Adam"))["silent"] > 0.01
    assert learn("SDMLP", "", 0, *SPLIT, *RECIPE._replace(optimizer="row-sparse Adam"))["silent"] < 1e-4


def test_sdmlp_learns_task_after_task_at_one_rate_for_all_with_top_k():
    assert RECIPE_S.rate == ONE_RATE
    sdmlp = learn("SDMLP", "", 1, *PROTOCOL_S, *RECIPE_S)
    top_k = learn("Top-K alone", "", 1, *PROTOCOL_S, *RECIPE_S)
    plain = learn("ReLU network", "", 1, *PROTOCOL_S, *RECIPE_S._replace(rate=RELU_RATE))
    others = yardsticks(1, *PROTOCOL_S)
    assert sdmlp["accuracies"][-1] >= max(0.93, top_k["accuracies"][-1] + 0.1, others["nearest class mean"])
    assert plain["accuracies"][-1] <= 0.25
    # which is not the best for Top-K alone
    assert learn("Top-K alone", "", 1, *PROTOCOL_S, *RECIPE_S._replace(rate=0.02))["accuracies"][-1] > top_k["accuracies"][-1] + 0.1
    for name in ("SDMLP without unit length", "SDMLP with biases"):
        assert learn(name, "", 1, *PROTOCOL_S, *RECIPE_S)["accuracies"][-1] <= 0.35
    assert 0.5 < learn(FLY, "", 1, *PROTOCOL_S, *RECIPE_S._replace(rate=0.05))["accuracies"][-1] < 1
    assert others["nearest neighbour"] > 0.9 and others["joint logistic regression"] > 0.9


@pytest.mark.parametrize(("load", "reads", "least", "most"), [(100, 10, 100, 100), (100, 1, 20, 80), (1600, 1, 0, 320)])
def test_kanervas_memory_recalls_few_patterns_and_not_many(load, reads, least, most):
    flips = 0.1 if load == 100 else 0.0
    found = capacity.recalled(0.01, flips, reads, load, 0, 256, 10_000)
    assert least <= found["exact"] <= most and found["neighbour"] == load
    assert 90 < found["active"] < 120
