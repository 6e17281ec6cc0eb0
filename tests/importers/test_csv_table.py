import gzip
import time
from pathlib import Path

import numpy as np
import pytest

from nasgym.errors import (
    InvalidSetting,
    InvalidTable,
    ResultConflict,
    StoreFull,
    StoreReadOnly,
    TableMismatch,
    UnknownName,
)
from nasgym.importers import import_csv
from nasgym.importers.csv_table import ImportReport
from nasgym.recipes import get_recipe
from nasgym.results import TableKey
from nasgym.spaces import get_space
from nasgym.store import Store

SPACE = get_space("nb201")
ARCH = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
INDEX = int(SPACE.index(SPACE.from_str([ARCH]))[0])
HEADER = "architecture,dataset,recipe,seed,valid_accuracy,test_accuracy,train_seconds"
C10 = TableKey("nb201", "cifar10", "nb201-12")
RECIPES = {"12": "nb201-12", "200": "nb201-200"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def write(tmp_path: Path, *lines: str, header: str = HEADER) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def load(store: Store, path: Path, **options: object) -> ImportReport:
    return import_csv(store, path, **({"space": SPACE, "unit": "percent", "recipes": RECIPES} | options))  # type: ignore[arg-type]


def refused(store: Store, path: Path, **options: object) -> str:
    """Return the message of an import that must fail, and check that nothing of it is stored."""
    before = [(info.key, info.rows) for info in store.tables()]
    with pytest.raises(InvalidTable) as caught:
        load(store, path, **options)
    assert str(path) in str(caught.value)
    assert [(info.key, info.rows) for info in store.tables()] == before
    return str(caught.value)


def test_a_table_is_imported(store: Store, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"{ARCH},cifar10,12,mean,63.364,69.55,86.6531",
        f'"{ARCH}", cifar10 ,200,0,82.0920,,1444.2186',
        "5,cifar10,200,11,0.1,100,0",
        "",
        "5,cifar100,200,2,1e1,,",
    )
    report = load(store, path)
    assert report.rows == 4
    assert {str(key): (t.rows, t.written, t.seeds) for key, t in report.tables.items()} == {
        "nb201/cifar10/nb201-12": (1, 1, ("mean",)),
        "nb201/cifar10/nb201-200": (2, 2, (0, 11)),
        "nb201/cifar100/nb201-200": (1, 1, (2,)),
    }
    found = store.get(C10, INDEX, "mean")
    assert found is not None
    assert found.epochs == 12
    assert (found.series["valid_accuracy"].unit, found.series["valid_accuracy"].values[0]) == ("percent", 63.364)
    assert (found.valid_accuracy, found.test_accuracy, found.train_seconds) == (63.364 / 100, 69.55 / 100, 86.6531)
    assert found.value("valid_accuracy", 12) == 63.364 / 100
    assert found.provenance["file"] == "table.csv"
    long = store.get(TableKey("nb201", "cifar10", "nb201-200"), INDEX, 0)
    assert long is not None
    assert (long.epochs, long.test_accuracy) == (200, None)
    assert store.info(C10).recipe == {**vars(get_recipe("nb201-12"))}
    assert store.verify() == []


def test_fractions_and_other_metrics(store: Store, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"{INDEX},cifar10,nb201-12,0,0.63364,-0.5,2.5",
        header="architecture,dataset,recipe,seed,train_accuracy,valid_loss,valid_seconds",
    )
    load(store, path, unit="fraction", recipes=None)
    found = store.get(C10, INDEX, 0)
    assert found is not None
    assert [(name, s.unit, s.values[0]) for name, s in found.series.items()] == [
        ("train_accuracy", "fraction", 0.63364),
        ("valid_loss", "nats", -0.5),
        ("valid_seconds", "seconds", 2.5),
    ]


def test_columns_renamed_left_out_and_given_for_all_rows(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "5,0,50,x", header="Arch,seed,acc,comment")
    columns = {"Arch": "architecture", "acc": "valid_accuracy", "comment": "ignore"}
    load(store, path, columns=columns, dataset="cifar10", recipe="nb201-12")
    found = store.get(C10, 5, 0)
    assert found is not None
    assert found.valid_accuracy == 0.5


def test_datasets_can_be_renamed_and_be_folders(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "5,CIFAR-10,12,0,50,,", "5,imagefolder:/my/flowers,12,0,50,,")
    report = load(store, path, datasets={"CIFAR-10": "cifar10"})
    assert list(report.tables) == [C10, TableKey("nb201", "imagefolder:/my/flowers", "nb201-12")]


@pytest.mark.parametrize("zipped", [False, True])
def test_plain_or_gzipped_with_a_byte_order_mark_and_windows_line_ends(
    store: Store, tmp_path: Path, zipped: bool
) -> None:
    data = b"\xef\xbb\xbf" + f"{HEADER}\r\n5,cifar10,12,0,50,,\r\n".encode()
    path = tmp_path / "table.anything"
    path.write_bytes(gzip.compress(data) if zipped else data)
    assert load(store, path).rows == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("5,cifar10,12,0,nan,,", "valid_accuracy is 'nan': an unknown value is an empty cell"),
        ("5,cifar10,12,0,,inf,", "test_accuracy is 'inf'"),
        ("5,cifar10,12,0,-inf,,", "valid_accuracy is '-inf'"),
        ("5,cifar10,12,0,1e999,,", "valid_accuracy is '1e999'"),
        ("5,cifar10,12,0,6_3,,", "valid_accuracy is '6_3'"),
        ("5,cifar10,12,0,high,,", "valid_accuracy is not a number: 'high'"),
        ("5,cifar10,12,0,100.01,,", "valid_accuracy is 100.01, outside 0..100 (declared as percent)"),
        ("5,cifar10,12,0,-0.1,,", "valid_accuracy is -0.1, outside 0..100"),
        ("5,cifar10,12,0,50,,-1", "train_seconds is -1, outside 0..inf (seconds)"),
        ("5,cifar10,12,,50,,", "the seed is empty"),
        ("5,cifar10,12,1.5,50,,", "the seed is an integer from 0 or 'mean'; got '1.5'"),
        ("5,cifar10,12,-1,50,,", "got '-1'"),
        ("5,cifar10,12,Mean,50,,", "got 'Mean'"),
        (f"5,cifar10,12,{2**63},50,,", f"got '{2**63}'"),
        (",cifar10,12,0,50,,", "the architecture is empty"),
        ("5,,12,0,50,,", "the dataset is empty"),
        ("5,cifar10,,0,50,,", "the recipe is empty"),
        ("15625,cifar10,12,0,50,,", "index 15625 is outside 0..15624"),
        ("|nor_conv_9x9~0|+|none~0|none~1|+|none~0|none~1|none~2|,cifar10,12,0,50,,", "Did you mean 'nor_conv_"),
        ("-5,cifar10,12,0,50,,", "'-5' has 1 nodes"),
        ("5,cifar10,12,0,50,", "6 fields, the header has 7"),
        ("5,cifar10,12,0,50,,,", "8 fields, the header has 7"),
        ("1,cifar10,12,7,50,,", "architecture 1, seed 7 stands already in line 2"),
        ("1,cifar10,12,7,51,,", "architecture 1, seed 7 stands already in line 2"),
        ("00001,cifar10,nb201-12,007,51,,", "architecture 1, seed 7 stands already in line 2"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_imported(store: Store, tmp_path: Path, row: str, said: str) -> None:
    path = write(tmp_path, "1,cifar10,12,7,50,,", "2,cifar10,12,7,50,,", row)
    message = refused(store, path)
    assert "line 4: " in message
    assert said in message
    assert store.keys() == []


def test_a_quote_without_its_end(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "1,cifar10,12,7,50,,", '2,cifar10,12,0,"50,,', "3,cifar10,12,7,50,,")
    assert ": unexpected end of data" in refused(store, path)


def test_an_accuracy_over_one_is_no_fraction(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "1,cifar10,12,0,63.364,,")
    assert "line 2: valid_accuracy is 63.364, outside 0..1 (declared as fraction)" in refused(
        store, path, unit="fraction"
    )
    with pytest.raises(InvalidSetting, match="'percent' or 'fraction'; got 'permille'"):
        load(store, path, unit="permille")


def test_many_bad_rows_are_listed_together_but_not_all(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, *(f"{i},cifar10,12,0,{'nan' if i % 2 else '50'},," for i in range(100)))
    message = refused(store, path)
    assert message.count("\n  line ") == 20
    assert "line 3:" in message
    assert "line 41:" in message
    assert "line 43:" not in message
    assert message.endswith("more rows were not read")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("arch,dataset,recipe,seed,valid_accuracy", "no column 'architecture' (is it 'arch'?)"),
        ("architecture,recipe,seed,valid_accuracy", "no column 'dataset'"),
        ("architecture,dataset,recipe,seed", "no column with a metric"),
        ("architecture,dataset,recipe,seed,valid_acc", "an unknown column 'valid_acc' (is it 'valid_accuracy'?)"),
        ("architecture,dataset,recipe,seed,valid_accuracy,seed", "the column 'seed' twice"),
        ("", "no column 'architecture'"),
        ("architecture;dataset;recipe;seed;valid_accuracy", "fields that are not separated by commas"),
    ],
)
def test_missing_unknown_and_repeated_columns(store: Store, tmp_path: Path, header: str, said: str) -> None:
    message = refused(store, write(tmp_path, "1,cifar10,12,0,50", header=header))
    assert said in message
    assert "columns={'file name': 'known name'} (--column FILE=KNOWN)" in message


def test_options_that_do_not_fit_the_file(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "1,cifar10,12,0,50,,")
    assert "a column 'dataset' although dataset='cifar100' was given" in refused(store, path, dataset="cifar100")
    assert "no column 'acc', which was to be renamed" in refused(store, path, columns={"acc": "valid_accuracy"})
    for options in ({"recipes": {"12": "nb201-13"}}, {"recipe": "nb201-13"}):
        with pytest.raises(UnknownName, match="unknown recipe 'nb201-13'. Did you mean 'nb201-12'"):
            load(store, path, **options)
    for options in ({"datasets": {"x": "cifar11"}}, {"dataset": "cifar11"}):
        with pytest.raises(UnknownName, match="unknown dataset 'cifar11'. Did you mean 'cifar10"):
            load(store, path, **options)


def test_unknown_recipes_and_datasets_are_listed_with_the_option(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "1,cifar10,12,0,50,,", "1,cifar10,200,0,50,,", "1,svhn,90,0,50,,", "1,svhn,90,1,nan,,")
    message = refused(store, path, recipes=None)
    assert "rows of the recipes '12', '200', '90', unknown to nasgym" in message
    assert "recipes={'12': NAME} (--recipe 12=NAME), NAME being one of nb201-12, nb201-200" in message
    assert "rows of the dataset 'svhn', unknown to nasgym" in message
    assert "(--dataset svhn=NAME), NAME being one of cluttered-digits, cifar10" in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no column 'architecture'"),
        (HEADER.encode() + b"\n", "has a header but no rows"),
        (HEADER.encode() + b"\n\xff\xfe1,cifar10", "is it whole, and UTF-8 text?"),
        (gzip.compress((HEADER + "\n1,cifar10,12,0,50,,\n").encode(), mtime=0)[:-4], "is it whole"),
        (b"\x1f\x8bnot gzip", "is it whole"),
        (b'"architecture,dataset', "is it whole"),
        ((HEADER + "\n1,cifar10,12,0,50,,\n").encode("utf-16"), "UTF-8 text?"),
    ],
)
def test_files_that_cannot_be_read(store: Store, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(content)
    assert said in refused(store, path)
    assert "cannot be opened" in refused(store, tmp_path / "nothing.csv")
    assert "cannot be opened" in refused(store, tmp_path)


def test_importing_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "1,cifar10,12,0,50,60,70", "2,cifar10,12,0,50,60,70")
    load(store, path)
    assert load(store, path).tables[C10].written == 0
    path = write(tmp_path, "1,cifar10,12,0,50,60,70", "3,cifar10,12,0,50,60,70")
    assert load(store, path).tables[C10].written == 1


def test_a_row_that_contradicts_the_store_is_refused(store: Store, tmp_path: Path) -> None:
    load(store, write(tmp_path, "1,cifar10,12,0,50,,"))
    with pytest.raises(ResultConflict, match=r"architecture 1, seed 0: stored .*50 .*51 "):
        load(store, write(tmp_path, "7,cifar100,12,0,50,,", "1,cifar10,12,0,51,,"))
    assert [(info.key, info.rows) for info in store.tables()] == [(C10, 1)]


def test_a_table_trained_with_another_recipe_takes_no_rows(store: Store, tmp_path: Path) -> None:
    store.ensure_table(C10, SPACE.size, recipe={**vars(get_recipe("nb201-12")), "learning_rate": 0.3})
    with pytest.raises(TableMismatch, match=r"recipe \(learning_rate\): stored 0.3, given 0.1"):
        load(store, write(tmp_path, "1,cifar10,12,0,50,,"))


def test_a_store_that_takes_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "1,cifar10,12,0,50,,")
    load(store, path)
    with Store(store.path, readonly=True) as reader, pytest.raises(StoreReadOnly):
        load(reader, path)

    def full(*_: object, **__: object) -> None:
        raise StoreFull("no room")

    monkeypatch.setattr(Store, "put_tables", full)
    with pytest.raises(StoreFull):
        load(store, write(tmp_path, "2,cifar10,12,0,50,,"))
    assert store.info(C10).rows == 1


def test_progress_is_told(store: Store, tmp_path: Path) -> None:
    told: list[int] = []
    path = write(tmp_path, *(f"{i},cifar10,12,0,50,," for i in range(4500)))
    load(store, path, progress=told.append)
    assert told == [2000, 4000, 4500]


def test_the_real_results_are_exact_and_quick(store: Store, shared_data: Path) -> None:
    path = shared_data / "nb201-results.csv.gz"
    began = time.process_time()
    report = load(store, path)
    assert time.process_time() - began < 40  # a wide margin for busy machines: about 8 s alone on one core
    assert report.rows == 110_088
    assert {str(key): t.seeds for key, t in report.tables.items()} == {
        f"nb201/{d}/nb201-{r}": s for d in ("cifar10", "cifar100") for r, s in ((12, ("mean",)), (200, (0, 1, 2)))
    }
    text = [line.split(",") for line in gzip.open(path, "rt").read().splitlines()[1:]]
    columns = {key: store.columns(key, ["valid_accuracy", "test_accuracy", "train_seconds"]) for key in report.tables}
    unique = sorted({row[0] for row in text})
    index_of = dict(zip(unique, SPACE.index(SPACE.from_str(unique)).tolist(), strict=True))
    indices = [index_of[row[0]] for row in text]
    for key, found in columns.items():
        recipe = key.recipe.removeprefix("nb201-")
        rows = [(i, row) for i, row in zip(indices, text, strict=True) if row[1:3] == [key.dataset, recipe]]
        assert found.stored.sum() == len(rows)
        at = [found.seeds.index("mean" if row[3] == "mean" else int(row[3])) for _, row in rows], [i for i, _ in rows]
        for metric, place, divisor in (("valid_accuracy", 4, 100), ("test_accuracy", 5, 100), ("train_seconds", 6, 1)):
            expected = np.array([float(row[place] or "nan") for _, row in rows]) / divisor
            np.testing.assert_array_equal(found.values[metric][at], expected)
    sample = store.get(C10, indices[0], "mean")
    assert sample is not None
    assert sample.series["valid_accuracy"].values[0] == float(text[0][4])
