"""Writes results until it is killed, and says what it tries and what is done: the victim of test_kill.py.

Arguments: the store's path, a seed, and the number of the last attempt before.
"""

import json
import random
import sys

from nasgym.store import Store, dense, tables
from tests.store.samples import KEY, evaluation

SIZE = 400


def say(what: str, attempt: int, cells: list[tuple[int, int]]) -> None:
    sys.stdout.write(json.dumps([what, attempt, cells]) + "\n")
    sys.stdout.flush()


def main(path: str, seed: int, first_attempt: int) -> None:
    dense.STORE_FROM, dense.REFRESH_AFTER, tables.DROP_AFTER = 4, 20, 60  # columns are rewritten all the time
    rng = random.Random(seed)
    store = Store(path, map_size=1 << 16)  # and the map grows
    store.ensure_table(KEY, SIZE)
    say("ready", first_attempt, [])
    attempt = first_attempt
    while True:
        attempt += 1
        count = rng.choice([1, 1, 1, 5, 30, 100])
        cells = [(index, rng.randrange(3)) for index in rng.sample(range(SIZE), count)]
        blob = "".join(rng.choices("0123456789abcdef", k=rng.choice([10, 2000])))
        rows = [evaluation(index, s, float(attempt), blob=blob) for index, s in cells]
        say("try", attempt, cells)
        store.put(KEY, rows, on_conflict="replace")
        say("done", attempt, cells)
        if rng.random() < 0.3:
            store.columns(KEY, ["valid_accuracy", "train_seconds"])
        if rng.random() < 0.1:
            store.build_columns(KEY)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
