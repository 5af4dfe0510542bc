"""Three roads to one number: the store, `lumirage register` and `lumirage score`."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from lumirage_lib.challenge.score import score_folder
from lumirage_lib.cohorts import Pair, get_cohort
from lumirage_lib.images.volumes import Volume, reorient, save_volume
from lumirage_lib.runs.compute import compute
from lumirage_lib.runs.register import register_files
from lumirage_lib.runs.store import read_registrations, read_structures
from lumirage_lib.runs.task import plan

OPTIONS = {"n_subjects": 2, "seed": 3, "spacing_mm": 5.0}
METHOD, PARAMETERS = "greedy", {"iterations": "20x10"}


def test_store_register_and_score_agree_to_the_last_digit(tmp_path):
    cohort = get_cohort("template", **OPTIONS)
    pair = Pair(*cohort.scans)
    tasks = plan("template", [pair], {METHOD: PARAMETERS}, cohort_options=OPTIONS)
    counts = compute(tasks, tmp_path / "store.sqlite")
    assert counts["new"] == 1
    (row,) = read_registrations(tmp_path / "store.sqlite").itertuples()
    stored = read_structures(tmp_path / "store.sqlite").query(
        "label_set == 'manual' and rule == 'nearest' and label > 0"
    )

    # The same brains as files in another orientation, laid out as the challenge does.
    for scan in cohort.scans:
        labels = cohort.load_labels(scan)
        kinds = {
            "imagesVal": cohort.load_image(scan),
            "labelsVal": Volume(labels.data.astype(np.int16), labels.affine),
        }
        for folder, volume in kinds.items():
            save_volume(reorient(volume, "LAS"), tmp_path / folder / f"{scan.id}.nii.gz")
    fixed, moving = (f"{s.id}.nii.gz" for s in (pair.fixed, pair.moving))
    done = register_files(
        tmp_path / "imagesVal" / fixed,
        tmp_path / "imagesVal" / moving,
        METHOD,
        tmp_path / "fields",
        moving_labels=tmp_path / "labelsVal" / moving,
        fixed_labels=tmp_path / "labelsVal" / fixed,
        parameters=PARAMETERS,
    )
    assert done.dice_after == row.dice

    truth = tmp_path / "dataset.json"
    case = {"fixed": f"./imagesVal/{fixed}", "moving": f"./imagesVal/{moving}"}
    truth.write_text(json.dumps({"name": "generated", "validation": [case]}))
    scored = score_folder(tmp_path / "fields", truth, tmp_path / "score")
    assert list(scored["status"]) == ["scored"], scored["reason"].tolist()
    assert scored["dice"].iloc[0] == row.dice
    assert scored["ndv_percent"].iloc[0] == row.ndv_percent
    table = pd.read_csv(tmp_path / "score" / "labels.csv").set_index("label")
    expected = stored.set_index("label")
    for column in ("dice", "hd95_mm"):
        np.testing.assert_array_equal(table.loc[expected.index, column], expected[column])
