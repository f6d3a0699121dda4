import io
import os
import random
import zipfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis import save_figure, style
from analysis.figures import pictures
from analysis.page import Page
from tests.analysis.helpers import synthetic_rows as synthetic

SHAPES = {
    "samples": (8, 10, 28, 28),
    "completions": (10, 2, 28, 28),
    "one": (1, 1, 28, 28),
    "wide": (2, 45, 28, 28),
    "faces": (3, 20, 64, 48),
    "reconstructions_of_everything": (1, 1, 5, 5),
}


def pixels(path):
    return mpl.image.imread(path)[..., :3].mean(-1)


def test_every_pixel_has_its_place_and_shade(tmp_path):
    """Ink is dark; a pixel is a square of whole dots; one white line is between pictures."""
    rng = np.random.default_rng(0)
    grid = rng.random((3, 4, 6, 5))
    _, png = save_figure(pictures.draw("samples", grid), tmp_path / "samples")
    page = pixels(png)
    height, width = page.shape
    across, down = 4 * 6 - 1, 3 * 7 - 1
    size = int(style.DPI * 0.6 / 5)
    assert width == across * size
    below = page[height - down * size :]
    seen = below.reshape(down, size, across, size)
    assert (seen == seen[:, :1, :, :1]).all()
    seen = seen[:, 0, :, 0]
    for row in range(3):
        for column in range(4):
            cell = seen[7 * row : 7 * row + 6, 6 * column : 6 * column + 5]
            np.testing.assert_allclose(cell, 1 - grid[row, column], atol=2 / 255)
    gaps = np.concatenate([seen[6::7].ravel(), seen[:, 5::6].ravel()])
    assert (gaps == 1).all()
    above = page[: height - down * size]
    assert (above < 0.5).any() and above.shape[0] < 60 and (above[[0, -1]] == 1).all()


@pytest.mark.parametrize("name", SHAPES)
def test_fits_a_page_with_its_title(name, tmp_path):
    figure = pictures.draw(name, synthetic.pictures(*SHAPES[name]))
    paths = save_figure(figure, tmp_path / name)
    assert [path.suffix for path in paths] == [".pdf", ".png"]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    title, (ax,) = figure._suptitle, figure.axes
    box, grid = title.get_window_extent(canvas.get_renderer()), ax.get_window_extent()
    page = figure.bbox
    assert title.get_text().replace("\n", "") == name and title.get_fontsize() >= 7
    assert page.x0 <= box.x0 and box.x1 <= page.x1 and box.y1 <= page.y1 and box.y0 >= grid.y1
    assert figure.get_figwidth() <= 5.5 + 0.01
    # No room is wasted, and squares stay squares.
    rows, columns, height, width = SHAPES[name]
    ratio = (columns * (width + 1) - 1) / (rows * (height + 1) - 1)
    assert np.isclose(grid.width / grid.height, ratio, rtol=0.03)
    assert grid.width >= page.width - 1 or page.width <= box.width + 20
    again = save_figure(figure, tmp_path / "again" / name)
    assert [a.read_bytes() for a in paths] == [b.read_bytes() for b in again]


def test_black_and_white_and_whole_numbers():
    for kind in (bool, np.uint8, np.float16, np.float32):
        figure = pictures.draw("x", np.eye(4).reshape(1, 1, 4, 4).astype(kind))
        (image,) = figure.axes[0].get_images()
        shades = image.to_rgba(image.get_array())[..., 0]
        np.testing.assert_array_equal(shades, 1 - np.eye(4))


def test_rounding_is_no_error():
    pictures.draw("x", np.full((1, 1, 2, 2), np.float32(1) + np.float32(1e-6)))


def test_load(tmp_path):
    grids = {"samples": synthetic.pictures(), "analogies": synthetic.pictures(2, 10)}
    np.savez_compressed(tmp_path / "pictures.npz", **grids)  # pyright: ignore
    loaded = pictures.load(tmp_path / "pictures.npz")
    assert loaded.run == "" and list(loaded.grids) == ["samples", "analogies"]
    for name, grid in grids.items():
        np.testing.assert_array_equal(loaded.grids[name], grid)


def test_a_picture_says_which_run_it_shows(tmp_path):
    run = "VAE[size=4], GumbelSoftmax[0.5], Adam, learning rate 0.001, seed 3, step 1,000"
    np.savez(tmp_path / "x.npz", samples=synthetic.pictures(1, 2), run=np.array(run))
    loaded = pictures.load(tmp_path / "x.npz")
    assert loaded.run == run and list(loaded.grids) == ["samples"]
    figure = pictures.draw("samples", loaded.grids["samples"], loaded.run)
    assert figure._suptitle.get_text().replace("\n", " ") == f"{run}: samples"
    bare = pictures.draw("samples", loaded.grids["samples"], run, Page(2.0, titles=False))
    assert bare._suptitle.get_text() == "" and bare.get_figwidth() <= 2.01
    for bad in (np.array("line\nline"), np.array("x" * 5000), np.array(["x"])):
        np.savez(tmp_path / "x.npz", samples=synthetic.pictures(1, 2), run=bad)
        with pytest.raises(ValueError, match="run (has shape|holds)"):
            pictures.load(tmp_path / "x.npz")


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((3, 28, 28)), r"samples has shape \[3, 28, 28\], not \[rows, columns, height"),
        (np.zeros((0, 3, 28, 28)), r"samples has shape \[0, 3, 28, 28\]"),
        (np.full((1, 1, 2, 2), 255), r"samples has non-finite values or values outside \[0, 1\]"),
        (np.full((1, 1, 2, 2), -0.1), r"samples has non-finite values or values outside \[0, 1\]"),
        (np.full((1, 1, 2, 2), np.nan), "samples has non-finite values"),
        (np.full((1, 1, 2, 2), "dark"), "samples holds <U4, not numbers"),
    ],
)
def test_what_is_no_pictures(array, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        pictures.draw("samples", array)
    np.savez(tmp_path / "x.npz", samples=array)
    with pytest.raises(ValueError, match=message):
        pictures.load(tmp_path / "x.npz")


def test_bad_files(tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(FileNotFoundError):
        pictures.load(path)
    for content in (b"", b"text", array_file()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.npz is not an \.npz file"):
            pictures.load(path)
    np.savez(path)
    with pytest.raises(ValueError, match="contains no pictures"):
        pictures.load(path)
    np.savez(path, samples=np.array([{}]))
    with pytest.raises(ValueError, match="cannot be read: Object arrays"):
        pictures.load(path)
    np.savez(path, samples=synthetic.pictures())
    damaged = bytearray(path.read_bytes())
    damaged[2000:2100] = bytes(100)
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="cannot be read: Bad CRC"):
        pictures.load(path)


def test_whatever_bit_is_flipped_it_is_one_line_or_the_same_pictures(tmp_path):
    path, chance = tmp_path / "x.npz", random.Random(0)
    grids = {"samples": synthetic.pictures(1, 2), "traversals": synthetic.pictures(1, 2)}
    np.savez_compressed(path, **grids)  # pyright: ignore
    whole = path.read_bytes()
    for _ in range(300):
        damaged, at = bytearray(whole), chance.randrange(8 * len(whole))
        damaged[at // 8] ^= 1 << at % 8
        path.write_bytes(damaged[: chance.choice([len(damaged), at // 8])])
        try:
            found = pictures.load(path)
        except ValueError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
        else:  # a date, an attribute, or one of the names
            for grid, right in zip(found.grids.values(), grids.values(), strict=False):
                np.testing.assert_array_equal(grid, right)


def test_what_is_no_plain_file_is_not_waited_for(tmp_path):
    for make in (os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npz"
        make(path)
        with pytest.raises(ValueError, match="not a regular file"):
            pictures.load(path)


def test_a_small_file_that_claims_much(tmp_path):
    path = tmp_path / "x.npz"
    header = io.BytesIO()
    about = {"descr": "<f4", "fortran_order": False, "shape": (10**4, 10**4, 28, 28)}
    np.lib.format.write_array_header_1_0(header, about)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("samples.npy", header.getvalue() + bytes(2**20))
    with pytest.raises(ValueError, match="cannot be read"):
        pictures.load(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("samples.npy", bytes(2**28 + 1))
    with pytest.raises(ValueError, match="contents are too large"):
        pictures.load(path)


def array_file():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()
