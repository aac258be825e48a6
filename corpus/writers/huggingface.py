"""Hugging Face datasets: saved again, or parquet where they came as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.readers import huggingface
from asr_gate.corpus.writers.change import Change


def write(source: Path | str, split: str | None, target: Path, change: Change) -> None:
    """Write a dataset less what is dropped; its other splits stay as they are.

    Rows without ids of their own get a column `id`: the names that are made for them would be of
    another folder, or of another number of rows.

    Args:
        source: as given to the reader.
        split: likewise.
        target: the parquet file to write, or the folder for `load_from_disk`.
        change: what is dropped.

    Raises:
        UserError: the dataset names audio by paths, which the library would look up anew.
    """
    import datasets

    loaded = huggingface.load(source)
    whole = loaded if isinstance(loaded, datasets.DatasetDict) else None
    chosen = loaded if whole is None else whole[split if split in whole else next(iter(whole))]
    cleaned = _without(str(source), chosen, change)
    if target.suffix.lower() == ".parquet":
        cleaned.to_parquet(str(target))
        return
    if whole is not None:
        cleaned = datasets.DatasetDict(
            {name: cleaned if one is chosen else one for name, one in whole.items()}
        )
    for one in cleaned.values() if whole is not None else [cleaned]:
        _refuse_paths(str(source), one)
    cleaned.save_to_disk(str(target))


def _without(source: str, dataset: Any, change: Change) -> Any:
    """The rows that stay."""
    origins = [f"{source}:{number + 1}" for number in range(len(dataset))]
    given = dataset["id"] if "id" in dataset.column_names else [None] * len(dataset)
    audited = [change.ids.get(o, [g])[0] for o, g in zip(origins, given, strict=True)]
    if [None if g is None else str(g) for g in given] != audited:
        if "id" in dataset.column_names:
            dataset = dataset.remove_columns("id")
        dataset = dataset.add_column("id", [None if a is None else str(a) for a in audited])
    return dataset.select([n for n, origin in enumerate(origins) if not change.drops(origin)])


def _refuse_paths(source: str, dataset: Any) -> None:
    """Saving embeds what audio and images name, wherever that is: on this disk, or on the net."""
    import pyarrow as pa
    import pyarrow.compute
    from datasets.features.features import require_storage_embed

    for column, feature in dataset.features.items():
        if not require_storage_embed(feature):
            continue
        for batch in dataset.select_columns([column]).with_format("arrow").iter(1000):
            storage = batch.column(column)
            inside = (
                pa.types.is_struct(storage.type)
                and not pa.compute.any(
                    pa.compute.and_(
                        pa.compute.is_null(pa.compute.struct_field(storage, "bytes")),
                        pa.compute.is_valid(pa.compute.struct_field(storage, "path")),
                    )
                ).as_py()
            )
            if not inside:
                raise UserError(
                    f"{source}: the column '{column}' names files that it does not hold; a dataset "
                    "is written only with all that it holds inside"
                )
