"""`NASBench.evaluate`: training by the settings of the original."""

import json

import numpy as np
import pytest

from nasgym.compat.nasbench import api
from nasgym.errors import InvalidSetting
from nasgym.results import Evaluation, Series
from tests.compat.nasbench_modules import (
    C3,
    INPUT,
    KEYS,
    OUTPUT,
    SPACE,
    index_of,
    spec_of,
)


def test_evaluate_trains_by_the_settings_and_writes_what_it_found(nasbench, tmp_path, monkeypatch):
    from nasgym import training
    from nasgym.recipes import get_recipe

    asked = {}

    class Trainer:
        def __init__(self, space, dataset, recipe, checkpoints):
            asked.update(space=space.name, dataset=dataset, recipe=recipe, checkpoints=checkpoints)

        def __call__(self, genotype, seed):
            asked.update(index=int(SPACE.index(genotype[None])[0]), seed=seed)
            names = ("train_accuracy", "valid_accuracy", "test_accuracy", "train_seconds")
            series = {n: Series.of([i + k / 10 for k in range(4)], range(1, 5), "seconds") for i, n in enumerate(names)}
            return Evaluation(asked["index"], seed, 4, series)

    monkeypatch.setattr(training, "Trainer", Trainer)
    nasbench.config["train_epochs"] = 4
    spec = spec_of("b49ac8c578b4561d79ac7087988f1c61")
    answer = nasbench.evaluate(spec, tmp_path / "models" / "one", seed=3)
    assert list(answer) == KEYS
    assert answer["module_adjacency"] is spec.matrix and answer["module_operations"] is spec.ops
    assert answer["trainable_parameters"] == 10_177_674
    assert [answer[key] for key in KEYS[3:]] == [3.3, 0.3, 1.3, 2.3]
    assert (asked["space"], asked["dataset"], asked["seed"]) == ("nb101", "cifar10", 3)
    assert asked["index"] == index_of("b49ac8c578b4561d79ac7087988f1c61")
    assert asked["recipe"] == get_recipe("nb101-4")
    written = json.loads((tmp_path / "models" / "one" / "metadata.json").read_text())
    assert written["trainable_params"] == 10_177_674 and written["total_time"] > 0
    assert [point["current_epoch"] for point in written["evaluation_results"]] == [2, 4]
    assert nasbench.get_budget_counters() == (0.0, 0)


def test_evaluate_really_trains(nasbench, tmp_path, monkeypatch):
    import torch

    from nasgym.training import ImageData, Split, trainer

    rng = np.random.default_rng(0)

    def split(size):
        images = rng.integers(0, 256, size=(size, 3, 8, 8), dtype=np.uint8)
        return Split(torch.from_numpy(images), torch.from_numpy(rng.integers(0, 10, size=size)))

    data = ImageData.of("cifar10", tuple("abcdefghij"), (split(32), split(16), split(16)))
    monkeypatch.setattr(trainer, "load_dataset", lambda *args, **options: data)
    nasbench.config.update(train_epochs=2, stem_filter_size=4, num_modules_per_stack=1, batch_size=16)
    answers = [nasbench.evaluate(spec_of("b49ac8c578b4561d79ac7087988f1c61"), tmp_path / str(n)) for n in range(2)]
    for answer in answers:
        assert 0 <= answer.pop("validation_accuracy") <= 1 and answer.pop("training_time") > 0
        answer.pop("module_adjacency")
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("name", "value"), [("num_stacks", 2), ("lr_decay_method", "STEPWISE"), ("train_epochs", 0), ("num_labels", 100)]
)
def test_evaluate_refuses_settings_that_it_does_not_know(nasbench, tmp_path, name, value):
    nasbench.config[name] = value
    with pytest.raises(InvalidSetting, match=f"{name}.*got {value!r}"):
        nasbench.evaluate(spec_of("b49ac8c578b4561d79ac7087988f1c61"), tmp_path)


def test_evaluate_refuses_modules_out_of_the_domain(nasbench, tmp_path):
    with pytest.raises(api.OutOfDomainError, match="too many vertices"):
        nasbench.evaluate(api.ModelSpec(np.eye(8, k=1, dtype=int), [INPUT, *[C3] * 6, OUTPUT]), tmp_path)
