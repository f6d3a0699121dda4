"""Colours and markers of estimators."""

import itertools

import numpy as np
from matplotlib.colors import to_hex, to_rgb

import estimators
from analysis.figures import error_cost, temperature
from analysis.style import HUES, looks
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.helpers.synthetic_rows import FAMILIES

# Of linear RGB, after Machado et al. (2009): normal vision, and without green or red cones.
VISION = {
    "normal": np.eye(3),
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


def linear(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    """Ottosson's perceptual coordinates of linear RGB."""
    cones = [[0.41222147, 0.53633254, 0.05144599], [0.2119035, 0.68069955, 0.10739696],
             [0.08830246, 0.28171884, 0.6299787]]  # fmt: skip
    axes = [[0.21045426, 0.79361779, -0.00407205], [1.977998495, -2.42859221, 0.45059371],
            [0.02590404, 0.78277177, -0.80867577]]  # fmt: skip
    return np.array(axes) @ np.cbrt(np.clip(np.array(cones) @ rgb, 0, 1))


def cells(found):
    return [(look.colour, look.marker, look.fill) for look in found.values()]


def everything():
    return {str(one): type(one).__name__ for cls in estimators.ALL for one in cls.examples()}


def test_no_two_estimators_share_a_look():
    known = everything()
    own = {f"Mine{i}[alpha={j}]": f"Mine{i}" for i in range(30) for j in range(3)}
    temperatures = {f"GumbelSoftmax[temperature={i}]": "GumbelSoftmax" for i in range(50)}
    for methods in (known, own, known | own | temperatures):
        found = looks(methods, FAMILIES)
        assert found.keys() == methods.keys() and len(set(cells(found))) == len(methods)
        assert not any(look.face for look in found.values())  # white ones have a meaning


def test_a_family_has_a_hue_and_a_method_a_marker():
    methods = everything()
    found = looks(methods, FAMILIES)
    assert set(HUES) == {*estimators.FAMILIES, ""}
    for name, look in found.items():
        if name == "Exact":
            assert (look.colour, look.marker) == ("#000000", "*")
            continue
        hue = np.array(to_rgb(HUES[FAMILIES[methods[name]]]))
        scale = np.array(to_rgb(look.colour)) / np.maximum(hue, 1e-9)
        assert 0.6 < scale[hue > 0].min() and scale[hue > 0].max() <= 1.01
        assert np.ptp(scale[hue > 0.2]) < 0.02
    for method in set(methods.values()):
        markers = {found[name].marker for name in methods if methods[name] == method}
        assert len(markers) == 1
    beside = {(FAMILIES[methods[name]], look.marker) for name, look in found.items()}
    assert len(beside) == len(set(methods.values()))


def test_hues_differ_for_every_eye_and_print():
    for matrix in VISION.values():
        seen = [oklab(np.array(matrix) @ linear(hue)) for hue in HUES.values()]
        apart = [np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)]
        assert min(apart) > 0.07
    for look in looks(everything(), FAMILIES).values():
        luminance = linear(look.colour) @ [0.2126, 0.7152, 0.0722]
        assert 1.05 / (luminance + 0.05) > 2  # contrast with paper


def test_estimators_of_one_colour_differ_by_line():
    found = looks({f"ARM{i}": "ARM" for i in range(12)}, FAMILIES)
    lines = [(look.colour, look.line) for look in found.values()]
    assert len(set(lines)) == len(lines)


def test_an_estimator_looks_the_same_in_every_figure():
    def seen(figure):
        return {
            line.get_label(): (to_hex(line.get_color()), line.get_marker())
            for ax in figure.axes
            for line in ax.lines
            if not line.get_label().startswith("_") and line.get_marker() not in ("None", "")
        }

    rows = synthetic.comparison()
    one, other = seen(error_cost.draw(rows)), seen(temperature.draw(synthetic.temperature_study()))
    for name in ("REBAR", "ReinMax", "DisARM"):
        assert one[name] == other[name]
    few = rows[rows["estimator"].isin(["REBAR", "DisARM"])]
    assert seen(error_cost.draw(few))["REBAR"] == one["REBAR"]


def test_a_class_of_ones_own_keeps_its_look_from_run_to_run():
    """Whatever Python's hash of strings is."""
    assert looks({"Mine": "MyEstimator"}, {})["Mine"][:2] == ("#4794bf", "P")
