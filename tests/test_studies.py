"""The studies of the pages run, at a size at which they say nothing."""

from pathlib import Path

import pytest

import estimax

STUDIES = Path(__file__).parents[1] / "docs" / "studies"
SMALL = {
    "best_temperature": {"problem": "Coupled[bits=2]", "estimators": "GumbelSoftmax[0.5]"},
    "layer_noise": {
        "problem": "VAE[size=2,depth=2,hidden=2,batch_size=2]",
        "estimators": "DisARM",
    },
}


def test_every_study_is_run_here_and_shown_on_a_page():
    assert SMALL.keys() == {path.stem for path in STUDIES.glob("*")}
    for name in SMALL:
        page = (STUDIES.parent / f"{name}.md").read_text()
        assert f"literalinclude}} studies/{name}.toml" in page


@pytest.mark.parametrize("name", SMALL)
def test_it_runs(name):
    steps = {"steps": 4, "keep_steps": [4], "step": [4], "tuning_steps": 4}
    found = estimax.run(STUDIES / f"{name}.toml", **SMALL[name], **steps)
    (measured,) = (found[kind] for kind in ("temperature", "compare") if kind in found)
    rows = measured.frame
    assert set(rows["step"]) == {4} and rows["trained_with"].nunique() == 1
    assert rows[rows["metric"] == "variance"]["value"].gt(0).any()
    if name == "layer_noise":
        assert set(rows["group"]) == {"encoder_1", "encoder_2", "decoder_1", "decoder_2"}
    else:
        assert rows["p_temperature"].nunique() == 8
