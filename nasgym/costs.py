"""The cost model: what a training is charged by the simulated clock, as a sum over the operations it computes.

Networks that are trained in bundles have no seconds of their own. The model gives every architecture of a space the
seconds that it takes alone on one named machine: an amount that every network costs, and one for each operation that
it really computes (`nasgym.spaces.Space.computed_operations`). numpy only: docs/costs.md tells how it is fitted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidSetting, StoreDamaged, StoreSchemaError
from nasgym.spaces import Space

__all__ = ["PARTS", "CostModel", "FitError", "Measurement"]

PARTS = ("train", "valid", "test")
"""One epoch of training, one pass over the validation images, one over the test images."""
_VERSION = 1
T = TypeVar("T")


@dataclass(frozen=True)
class FitError:
    """How far a model is off on cells that it was not fitted to.

    Attributes:
        r2: Share of the variance of the seconds that is explained; 1 is all of it.
        median: Median of the relative error, a fraction.
        p95: Its 95th percentile.
    """

    r2: float
    median: float
    p95: float


@dataclass(frozen=True)
class Measurement:
    """What a model was measured on.

    Attributes:
        machine: The name of the processor or GPU.
        engine: What trained, see `nasgym.training`.
        threads: Threads of the CPU.
        cells: Architectures measured.
        rounds: How often each, in another order each time.
        steps: Steps, and as many batches of each evaluation, per architecture and round; the median counts.
        torch: Version of PyTorch.
        nasgym: Version of nasgym.
        date: ISO 8601.
    """

    machine: str
    engine: str
    threads: int
    cells: int
    rounds: int
    steps: int
    torch: str
    nasgym: str
    date: str


@dataclass(frozen=True)
class CostModel:
    """Seconds of an architecture, linear in the operations that it computes.

    Attributes:
        space: The search space.
        dataset: The data set.
        recipe: The training recipe.
        features: The operations, as `Space.operation_names` calls them.
        coefficients: Part (see `PARTS`) -> seconds: first what every network costs, then one operation of each
            feature; none is below 0.
        errors: Part -> the error on cells held out of the fit.
        measured: On which machine, and how.

    Raises:
        InvalidSetting: A part is missing, or its coefficients do not fit the features or are below 0.
    """

    space: str
    dataset: str
    recipe: str
    features: tuple[str, ...]
    coefficients: Mapping[str, tuple[float, ...]]
    errors: Mapping[str, FitError]
    measured: Measurement

    def __post_init__(self) -> None:
        """Check the coefficients."""
        for name, parts in (("coefficients", self.coefficients), ("errors", self.errors)):
            if set(parts) != set(PARTS):
                raise InvalidSetting(f"{name} of a cost model are those of {', '.join(PARTS)}; got {list(parts)}.")
        for part, values in self.coefficients.items():
            if len(values) != len(self.features) + 1:
                raise InvalidSetting(
                    f"coefficients of {part!r}: {len(self.features)} features need {len(self.features) + 1}, the first "
                    f"for what every network costs; got {len(values)}."
                )
            wrong = [value for value in values if not 0 <= value < math.inf]
            if wrong:
                raise InvalidSetting(f"coefficients of {part!r} are seconds of 0 or more; got {wrong[0]}.")

    def seconds(self, space: Space, genotypes: NDArray[np.integer], epochs: int) -> dict[str, NDArray[np.float64]]:
        """Return what architectures cost.

        Args:
            space: The space that the model was fitted to.
            genotypes: ``int8[n, num_decisions]``.
            epochs: Epochs of the training.

        Returns:
            ``train_seconds`` (the whole training), ``valid_seconds`` and ``test_seconds`` (one pass each), all
            ``float64[n]`` and never below 0.

        Raises:
            InvalidSetting: The model is of another space or other operations, or ``epochs`` is below 1.
            InvalidArchitecture: The genotypes have a wrong shape.
        """
        self.check_space(space)
        if epochs < 1:
            raise InvalidSetting(f"a training has 1 epoch or more; got {epochs}.")
        counts = space.computed_operations(genotypes).astype(np.float64)
        found = {part: self._linear(counts, self.coefficients[part]) for part in PARTS}
        found["train"] *= epochs
        return {f"{part}_seconds": values for part, values in found.items()}

    def check_space(self, space: Space) -> None:
        """Raise `InvalidSetting` unless the model was fitted to ``space`` and to the operations that it counts."""
        if space.name != self.space:
            raise InvalidSetting(
                f"this cost model is of the search space {self.space!r}, not {space.name!r}: "
                "fit one with `nasgym costs`."
            )
        if space.operation_names() != self.features:
            raise InvalidSetting(
                f"this cost model knows the operations {', '.join(self.features)}; {space.name!r} counts "
                f"{', '.join(space.operation_names())}: fit it anew with `nasgym costs`."
            )

    def to_json(self) -> dict[str, Any]:
        """Return the model as plain JSON values."""
        return {
            "version": _VERSION,
            "space": self.space,
            "dataset": self.dataset,
            "recipe": self.recipe,
            "features": list(self.features),
            "coefficients": {part: list(self.coefficients[part]) for part in PARTS},
            "errors": {part: asdict(self.errors[part]) for part in PARTS},
            "measured": asdict(self.measured),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> CostModel:
        """Return the model that `to_json` wrote; fields that only a later version of nasgym knows are passed over.

        Raises:
            StoreDamaged: A field is missing or holds what it cannot; the message names it.
            StoreSchemaError: It was written in a newer form.
        """
        if not isinstance(record, Mapping):
            raise StoreDamaged(f"a cost model is a JSON object; got {record!r}.")
        version = _field(record, "version", int)
        if version > _VERSION:
            raise StoreSchemaError(
                f"the cost model has version {version}, this nasgym reads up to {_VERSION}: upgrade it."
            )
        features = _field(record, "features", list)
        coefficients, errors = _field(record, "coefficients", dict), _field(record, "errors", dict)
        try:
            return cls(
                _field(record, "space", str),
                _field(record, "dataset", str),
                _field(record, "recipe", str),
                tuple(_field({"features": feature}, "features", str) for feature in features),
                {part: _seconds(coefficients, part) for part in PARTS},
                {part: _record(FitError, errors, part, "errors.") for part in PARTS},
                _record(Measurement, record, "measured"),
            )
        except InvalidSetting as error:
            raise StoreDamaged(f"the cost model is damaged: {error}") from error

    @staticmethod
    def _linear(counts: NDArray[np.float64], coefficients: Sequence[float]) -> NDArray[np.float64]:
        fixed, *each = coefficients
        out: NDArray[np.float64] = fixed + counts @ np.array(each, dtype=np.float64)
        return out


def _field(record: Mapping[str, Any], name: str, kind: type[T], where: str = "") -> T:
    """Return a field of a JSON object; raises `StoreDamaged` naming it."""
    value = record.get(name)
    if kind is float and type(value) is int and abs(value) < 1 << 1023:  # JSON knows one kind of number
        value = float(value)
    finite = not isinstance(value, float) or math.isfinite(value)
    if not isinstance(value, kind) or isinstance(value, bool) or not finite:
        what = f"holds {value!r}" if name in record else "is missing"
        raise StoreDamaged(f"the cost model is damaged: {where}{name} {what}.")
    return value


def _record(kind: type[T], record: Mapping[str, Any], name: str, where: str = "") -> T:
    """Return a dataclass of strings and numbers from a JSON object."""
    inside, where = _field(record, name, dict, where), f"{where}{name}."
    kinds: dict[Any, type] = {"str": str, "int": int, "float": float}
    return kind(**{f.name: _field(inside, f.name, kinds[f.type], where) for f in fields(kind)})  # type: ignore[arg-type]


def _seconds(coefficients: Mapping[str, Any], part: str) -> tuple[float, ...]:
    values = _field(coefficients, part, list, "coefficients.")
    return tuple(_field({part: value}, part, float, "coefficients.") for value in values)
