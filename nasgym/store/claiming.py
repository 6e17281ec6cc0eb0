"""The part of a store that keeps trainings apart: claims of cells, given, renewed and given up."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nasgym.errors import InvalidSetting
from nasgym.results import Seed, TableKey
from nasgym.store import claims
from nasgym.store.environment import Transaction
from nasgym.store.handle import StoreHandle
from nasgym.store.layout import Cell

__all__ = ["ClaimingStore"]


class ClaimingStore(StoreHandle):
    """A store handle that claims cells of tables; `nasgym.store.Store` says the rest."""

    def claim(self, key: TableKey, index: int, seed: Seed, seconds: float) -> bool:
        """Claim a cell for training: True for one caller only, until it is put, released, or the time is over.

        False, too, where the result is already stored. A claim of a process of this machine that has ended is void.
        """
        return bool(self.claim_all(key, [Cell(index, seed)], seconds))

    def claim_all(self, key: TableKey, cells: Iterable[Cell], seconds: float) -> list[Cell]:
        """Claim many cells in one commit and return those that were free."""
        if not seconds > 0:
            raise InvalidSetting(f"a claim lasts more than 0 seconds; got {seconds}.")
        return self._of_each(key, cells, lambda txn, number, cell: claims.take(txn, number, cell, self._own(), seconds))

    def renew_all(self, key: TableKey, cells: Iterable[Cell], seconds: float) -> None:
        """Let claims of this store object last so long from now, in one commit; those of others stay as they are."""
        self._of_each(key, cells, lambda txn, number, cell: claims.renew(txn, number, cell, self._own(), seconds))

    def release(self, key: TableKey, index: int, seed: Seed) -> None:
        """Give up a claim of this store object; without one nothing happens."""
        self.release_all(key, [Cell(index, seed)])

    def release_all(self, key: TableKey, cells: Iterable[Cell]) -> None:
        """Give up many claims in one commit."""
        self._of_each(key, cells, lambda txn, number, cell: claims.drop(txn, number, cell, self._own()))

    def _of_each(
        self, key: TableKey, cells: Iterable[Cell], action: Callable[[Transaction, int, Cell], bool | None]
    ) -> list[Cell]:
        """Do something with the claim of each cell, in one commit; return the cells for which it was True."""
        wanted = list(cells)

        def work(txn: Transaction) -> list[Cell]:
            number = self._found(txn, key)[0]
            return [cell for cell in wanted if action(txn, number, cell)]

        return self._write(work)
