import bz2

import pytest

from attractor.data import Corpus, DataUnavailableError, load_corpus, load_word_pairs, read_word_pairs
from attractor.data import corpora as corpora_module
from attractor.data.corpora import LEE, WIKIPEDIA, clean, sentences

PAGE = """<mediawiki><page><title>Ants</title><text xml:space="preserve">{{Infobox|a={{b|c}}|d=[[e]]}}
'''Ants''' are [[eusociality|social]] [[insect]]s.&lt;ref name=&quot;x&quot;&gt;A [[book]].&lt;/ref&gt; They live in
colonies&lt;ref name=y /&gt; of many kinds.
== History ==
[[File:Ant.jpg|thumb|An ''[[ant]]'' at [http://example.org work]]]
* Some farm [http://example.org/aphids aphids]. Others&amp;nbsp;hunt &lt;!-- hidden words here --&gt;alone in woods!
{| class="wikitable"
| a cell of a table || {| nested |}
|}
[[Category:Insects of the world]][[de:Ameisen sind dort]]
</text></page><page><text xml:space="preserve">#REDIRECT [[Ants are elsewhere now]]</text></page></mediawiki>"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / WIKIPEDIA).write_bytes(bz2.compress(PAGE.encode()))
    (tmp_path / LEE).write_text("A fire burned today. It was put out!\nShort one.\n", encoding="utf-8")
    return tmp_path


def test_markup_is_taken_out_and_text_stays(folder):
    corpus = load_corpus("wikipedia", root=folder)
    assert corpus.sentences == (
        "Ants are social insects.",
        "They live in",
        "colonies of many kinds.",
        "Some farm aphids.",
        "Others hunt alone in woods!",
    )
    assert "CC BY-SA" in corpus.source


def test_news_are_sentences_of_three_words_or_more(folder):
    assert load_corpus("lee", root=folder).sentences == ("A fire burned today.", "It was put out!")


def test_corpora_add_up(folder):
    both = load_corpus("wikipedia", root=folder) + load_corpus("lee", root=folder)
    assert isinstance(both, Corpus) and len(both) == 7 and repr(both) == "Corpus('wikipedia + lee', 7 sentences)"


def test_definitions_follow_their_words(tmp_path):
    for part in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text(
            f'00001740 03 {part[0]} 02 big_{part} 0 other 0 000 | a gloss; "with words"\n', encoding="utf-8"
        )
    assert load_corpus("wordnet", root=tmp_path).sentences[1] == 'big verb other a gloss; "with words"'


def test_abbreviations_without_a_capital_do_not_end_a_sentence():
    assert sentences("It took 3.5 hours i.e. long. Then he left it.") == ["It took 3.5 hours i.e. long.", "Then he left it."]


@pytest.mark.parametrize("page", ["{{" * 2000, "[[" * 2000 + "a", "{|" * 300, "<ref>" * 2000, "=" * 3000, "'" * 3000])
def test_broken_markup_ends(page):
    assert isinstance(clean(page), str)


def test_damaged_and_large_files_are_refused(folder, monkeypatch):
    monkeypatch.setattr(corpora_module, "MAXIMUM_BYTES", 40)
    for name in ("wikipedia", "lee"):
        with pytest.raises(ValueError, match="40 bytes"):
            load_corpus(name, root=folder)
    monkeypatch.undo()
    (folder / WIKIPEDIA).write_bytes(b"no archive")
    with pytest.raises(ValueError, match="cannot be read"):
        load_corpus("wikipedia", root=folder)
    (folder / WIKIPEDIA).write_bytes(bz2.compress(b"<text>#redirect</text>"))
    with pytest.raises(ValueError, match="pages"):
        load_corpus("wikipedia", root=folder)


def test_what_is_missing_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(corpora_module, "package_folder", lambda package, root: None)
    monkeypatch.setattr("attractor.data.word_similarity.package_folder", lambda package, root: None)
    with pytest.raises(DataUnavailableError, match="gensim"):
        load_corpus("lee", root=tmp_path)
    with pytest.raises(DataUnavailableError, match=r"EN-WS-353-ALL.*gensim"):
        load_word_pairs("WS353", root=tmp_path)
    with pytest.raises(DataUnavailableError, match="EN-RG-65"):
        load_word_pairs("RG-65", root=tmp_path)
    for load in (load_corpus, load_word_pairs):
        with pytest.raises(ValueError, match="name must be one of"):
            load("nothing")


def test_the_installed_package_has_the_text_and_two_sets_of_pairs():
    try:
        corpus = load_corpus("wikipedia") + load_corpus("lee")
    except DataUnavailableError as error:
        pytest.skip(str(error))
    assert 20_000 < len(corpus) < 30_000
    assert not any(mark in one for one in corpus.sentences[:5000] for mark in ("[[", "]]", "{{", "}}", "<ref"))
    assert (len(load_word_pairs("WS353")), len(load_word_pairs("SimLex"))) == (353, 999)


def test_pairs_are_read_in_lower_case(tmp_path):
    (tmp_path / "word-similarity").mkdir()
    (tmp_path / "word-similarity" / "EN-RG-65.txt").write_text("# a comment\nCord\tsmile\t0.02\n\nrooster voyage 0.04\n")
    pairs = load_word_pairs("RG-65", root=tmp_path)
    assert pairs.pairs == (("cord", "smile"), ("rooster", "voyage")) and pairs.scores == (0.02, 0.04)


@pytest.mark.parametrize("line", ["one two", "one two three", "one two 1 2", "one two nan"])
def test_lines_of_another_form_are_refused(tmp_path, line):
    (tmp_path / "pairs.txt").write_text(f"a b 1\n{line}\n")
    with pytest.raises(ValueError, match="line 2"):
        read_word_pairs(tmp_path / "pairs.txt", "pairs")
    (tmp_path / "pairs.txt").write_text("# nothing\n")
    with pytest.raises(ValueError, match="none"):
        read_word_pairs(tmp_path / "pairs.txt", "pairs")
