import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from attractor.data import load_files, readers

COLOURS = {"b.png": (255, 0, 0), "a.bmp": (0, 255, 0), "deeper/c.PNG": (0, 0, 255)}


@pytest.fixture
def album(tmp_path):
    """Three plain pictures of 4 x 3 pixels in folders, among files that are none."""
    (tmp_path / "deeper").mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (4, 3), colour).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(b"junk")
    return tmp_path


def test_a_folder_gives_its_images_sorted_and_named(album):
    loaded = load_files(album)
    assert loaded.names == ("a.bmp", "b.png", "deeper/c.PNG")
    assert (loaded.shape, loaded.levels, loaded.labels) == ((3, 3, 4), 256, None)
    assert torch.equal(loaded.images[:, :, 0, 0], torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]))


def test_files_come_in_the_order_given(album):
    assert load_files([album / "b.png", str(album / "a.bmp")]).names == ("b.png", "a.bmp")
    assert load_files(album / "b.png").names == ("b.png",)


def test_rows_run_downwards_and_columns_to_the_right(tmp_path):
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    assert torch.equal(load_files(tmp_path, grey=True).patterns * 255, torch.arange(6.0)[None])
    assert load_files(tmp_path).shape == (3, 2, 3)


def test_unequal_sizes_name_the_file_and_both_shapes(album):
    Image.new("RGB", (5, 5)).save(album / "odd.png")
    with pytest.raises(ValueError, match=r"odd\.png.*\(3, 5, 5\).*\(3, 3, 4\).*size="):
        load_files(album)
    assert load_files(album, size=(2, 6)).shape == (3, 2, 6)
    assert load_files(album, size=8).shape == (3, 8, 8)


def test_resizing_crops_about_the_centre_and_keeps_the_aspect(tmp_path):
    pixels = np.zeros((10, 30, 3), dtype=np.uint8)
    pixels[:, 10:20] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert (load_files(tmp_path, size=10).patterns == 1).all()


def test_photographs_are_turned_upright(tmp_path):
    image = Image.fromarray(np.array([[0, 255]], dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn clockwise to view
    image.save(tmp_path / "turned.png", exif=exif)
    assert load_files(tmp_path, grey=True).images[0, 0].tolist() == [[0.0], [1.0]]


def test_transparent_pixels_are_white_and_sixteen_bits_are_scaled(tmp_path):
    Image.new("RGBA", (1, 1), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.fromarray(np.array([[65535]], dtype=np.uint16)).save(tmp_path / "white.png")
    Image.fromarray(np.array([[257]], dtype=np.uint16)).save(tmp_path / "one.png")
    assert (load_files(tmp_path, grey=True).patterns.flatten() * 255).tolist() == [255, 1, 255]


def cut_off(path):
    path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize(
    "spoil", [lambda path: path.write_bytes(b"junk"), lambda path: path.write_bytes(b""), cut_off], ids=["junk", "empty", "cut off"]
)
def test_unreadable_images_are_refused_by_name(album, spoil):
    spoil(album / "b.png")
    with pytest.raises(ValueError, match=r"b\.png'? cannot be read as an image"):
        load_files(album)


def test_explicit_files_of_unknown_kind_are_refused_by_name(album):
    with pytest.raises(ValueError, match=r"notes\.txt"):
        load_files(album / "notes.txt")


def test_decompression_bombs_are_refused(album, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11)
    with pytest.raises(ValueError, match=r"a\.bmp' is too large"):
        load_files(album)


def test_thirty_two_bit_images_are_refused(tmp_path):
    Image.fromarray(np.ones((2, 2), dtype=np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(ValueError, match=r"float\.tiff.*32-bit"):
        load_files(tmp_path)


def save_npy(path, array):
    np.save(path.with_suffix(".npy"), array)


def save_npz(path, array):
    np.savez_compressed(path.with_suffix(".npz"), key=array)


def save_safetensors(path, array):
    save_file({"key": torch.from_numpy(array)}, path.with_suffix(".safetensors"))


SAVERS = pytest.mark.parametrize("save", [save_npy, save_npz, save_safetensors])


@SAVERS
@pytest.mark.parametrize(
    ("shape", "item"), [((6,), (1, 1, 6)), ((5, 6), (1, 1, 6)), ((5, 2, 3), (1, 2, 3)), ((5, 3, 2, 1), (3, 2, 1))]
)
def test_arrays_are_read_in_every_format_and_shape(tmp_path, save, shape, item):
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    save(tmp_path / "x", array)
    loaded = load_files(tmp_path)
    assert (loaded.shape, loaded.levels) == (item, None)
    assert np.array_equal(loaded.patterns.numpy().ravel(), array.ravel())
    assert len(loaded.names) == len(loaded) == (5 if len(shape) > 1 else 1)


@SAVERS
def test_bytes_and_booleans_get_their_grid(tmp_path, save):
    save(tmp_path / "x", np.array([[0, 255], [51, 102]], dtype=np.uint8))
    loaded = load_files(tmp_path)
    assert loaded.levels == 256
    torch.testing.assert_close(loaded.patterns, torch.tensor([[0.0, 1.0], [0.2, 0.4]]))
    save(tmp_path / "x", np.array([[False, True]]))
    assert load_files(tmp_path).levels == 2
    assert load_files(tmp_path).patterns.tolist() == [[0.0, 1.0]]


@SAVERS
@pytest.mark.parametrize(
    ("array", "error", "complaint"),
    [
        (np.array([[1, 2]]), TypeError, "int64"),
        (np.array([[1.0, np.nan]]), ValueError, "NaN"),
        (np.zeros((0, 3)), ValueError, "shape"),
        (np.zeros((1, 1, 1, 1, 1)), ValueError, "dimensions"),
    ],
)
def test_arrays_that_are_no_patterns_are_refused_by_name(tmp_path, save, array, error, complaint):
    save(tmp_path / "x", array)
    with pytest.raises(error, match=rf"x\.\w+'.*{complaint}"):
        load_files(tmp_path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_junk_is_refused_by_name(tmp_path, suffix):
    (tmp_path / f"x{suffix}").write_bytes(b"junk" * 10)
    with pytest.raises(ValueError, match=rf"x\{suffix}"):
        load_files(tmp_path)


def test_arrays_of_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"x\.npy"):
        load_files(tmp_path)


def test_archives_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", zeros=np.zeros(100_000))
    monkeypatch.setattr("attractor.data.files.MAXIMUM_BYTES", 10_000)
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        assert sum(member.compress_size for member in archive.infolist()) < 10_000
    with pytest.raises(ValueError, match=r"x\.npz.*unpacks"):
        load_files(tmp_path)


def test_keys_name_the_items_of_an_archive(tmp_path):
    np.savez(tmp_path / "x.npz", one=np.zeros(2), many=np.ones((2, 2)))
    assert load_files(tmp_path / "x.npz").names == ("x.npz:one", "x.npz:many[0]", "x.npz:many[1]")


def test_images_and_arrays_of_one_shape_make_one_set(album):
    np.save(album / "z.npy", np.zeros((2, 3, 3, 4), dtype=np.uint8))
    loaded = load_files(album)
    assert loaded.names[-2:] == ("z.npy[0]", "z.npy[1]")
    assert (len(loaded), loaded.levels) == (5, 256)
    np.save(album / "z.npy", np.zeros((2, 3, 3, 4)))
    assert load_files(album).levels is None


def test_nothing_found_and_nothing_there(tmp_path):
    with pytest.raises(ValueError, match="no image"):
        load_files(tmp_path)
    with pytest.raises(ValueError, match="none given"):
        load_files([])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_files(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="size"):
        load_files(tmp_path, size=0)


def test_an_image_is_read_from_a_stream_too():
    stream = io.BytesIO()
    Image.new("L", (2, 1), 7).save(stream, "PNG")
    stream.seek(0)
    assert readers.image_bytes(readers.open_image(stream, name="stream", mode="L")).tolist() == [[[7, 7]]]
