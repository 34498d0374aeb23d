"""`attractor perplexity`: how well a language model foretells long documents with a memory, beside reading without one."""

from __future__ import annotations

import math
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attractor.app.console import out, progress, write_json
from attractor.app.figures import check_target, save_if_possible
from attractor.app.paper_figures import draw_chart
from attractor.app.tables import NARROW, new_table
from attractor.data.language_models import SMOLLM2, LanguageModel, load_language_model
from attractor.data.texts import Texts, load_speeches, read_texts
from attractor.papers.figures import Chart, Series
from attractor.papers.statistics import mean_interval

if TYPE_CHECKING:
    from torch import Tensor

    from attractor.language.camelot.config import CamelotConfig
    from attractor.language.perplexity import Evaluation, Progress

SPEECHES = "sotu"
MEMORY = "CAMELoT"


class MemoryName(StrEnum):
    """What stands beside the model."""

    CAMELOT = "camelot"
    NONE = "none"


class Preset(StrEnum):
    """Settings of the memory."""

    RECOMMENDED = "recommended"
    PAPER = "paper"


def perplexity(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"A folder that save_pretrained wrote, or [bold]{SMOLLM2}[/bold].")],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help=f"A file, a folder with files .txt, or [bold]{SPEECHES}[/bold]: long speeches.")
    ],
    memory: Annotated[MemoryName, typer.Option("--memory", help="The memory; the baselines stand beside it.")] = MemoryName.CAMELOT,
    window: Annotated[int, typer.Option(min=2, help="Tokens that the model sees at once.")] = 128,
    slots: Annotated[int, typer.Option(min=1, help="Entries of the memory for each key-value head, exact ones included.")] = 512,
    preset: Annotated[
        Preset, typer.Option(help="How it is written and read: the best measured here, or as the paper has it.")
    ] = Preset.RECOMMENDED,
    documents: Annotated[int, typer.Option(min=1, help="Read this many at most, the longest.")] = 4,
    tokens: Annotated[int, typer.Option(min=4, help="Read this many tokens of each at most, the first ones.")] = 2048,
    device: Annotated[str, typer.Option(help="Where the model runs.")] = "cpu",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FIGURE", help="Draw perplexity by position.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Perplexity of long documents, with a memory and without.

    A frozen model reads each document a window at a time: by itself, with the last window computed anew, with attention sinks, \
with a memory of the last tokens only, or of novel tokens only, with all that came before, and with the memory asked for. \
All are scored on the same tokens; changes are paired by document.

    [bold]attractor perplexity smollm2 sotu --window 128 -o curve.png[/bold]
    """
    if output is not None:
        check_target(output)
    texts = load_speeches() if text == SPEECHES else read_texts(text)
    chosen = texts.longest(min(documents, len(texts)))
    with progress("%") as bar:
        task = bar.add_task(f"loading {model}", total=None)
        loaded = load_language_model(model, device=device)
        config = memory_config(memory, preset, slots, window)
        read = tokenised(loaded, chosen, tokens)
        bar.update(task, total=100)

        def tell(what: str, done: float) -> None:
            bar.update(task, completed=round(100 * done), description=what)

        result, left_out = measure(loaded, read, config, window, slots, tell)
    path = None if output is None else save_if_possible(lambda: draw_chart(chart_of(result, loaded, texts)), output)
    if as_json:
        about = {"model": loaded.name, "text": texts.name, "source": texts.source, "window": window, "memory": memory.value}
        settings = None if config is None else {**asdict(config), "preset": preset.value}
        write_json({**about, "settings": settings, **plain(result), "left_out": left_out, "figure": path and str(path)})
        return
    report(result, loaded, texts, left_out, path)


def memory_config(memory: MemoryName, preset: Preset, slots: int, window: int) -> CamelotConfig | None:
    """The settings of the memory; None for none."""
    if memory is MemoryName.NONE:
        return None
    from attractor.language.camelot.config import CamelotConfig

    return CamelotConfig.paper(slots, window) if preset is Preset.PAPER else CamelotConfig.recommended(slots, window)


def tokenised(loaded: LanguageModel, texts: Texts, most: int) -> dict[str, Tensor]:
    """The first tokens of each document."""
    return {one.name: loaded.ids(one.text, most) for one in texts.documents}


def measure(
    loaded: LanguageModel, documents: dict[str, Tensor], config: CamelotConfig | None, window: int, slots: int, tell: Progress
) -> tuple[Evaluation, list[str]]:
    """What came of all ways of reading, and which baselines were left out as the model does not reach so far."""
    from attractor.language.perplexity import WithMemory, baselines, evaluate

    context = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    longest = max(len(ids) for ids in documents.values())
    ways, left_out = baselines(window, slots), []
    for way, how in list(ways.items()):
        needed = how.reach(longest, window)
        if context is not None and needed > context:
            del ways[way]
            left_out.append(f"{way} needs {needed} positions, the model has {context}")
    if config is not None:
        ways[MEMORY] = WithMemory(config)
    return evaluate(loaded.model, documents, ways, window=window, progress=tell), left_out


def changes(result: Evaluation) -> dict[str, tuple[float, tuple[float, float] | None]]:
    """The change of perplexity against no memory for each way, as a share, and its 95% interval."""
    from attractor.language.perplexity import NO_MEMORY

    found = {}
    for way in result.losses:
        mean, ends = mean_interval(result.differences(way, NO_MEMORY))
        found[way] = math.expm1(mean), None if ends is None else (math.expm1(ends[0]), math.expm1(ends[1]))
    return found


def report(result: Evaluation, loaded: LanguageModel, texts: Texts, left_out: list[str], path: Path | None) -> None:
    console = out()
    narrow = console.width < NARROW
    title = f"{loaded.name} reads {len(result.documents)} documents of {texts.name}, windows of {result.window} tokens"
    table = new_table(title, narrow=narrow)
    table.add_column("way of reading", no_wrap=True)
    for head in ("perplexity", "against\nno memory", "95% interval", "tokens/s"):
        table.add_column(head, justify="right", no_wrap=True)
    for way, (change, ends) in changes(result).items():
        between = "-" if ends is None or way == next(iter(result.losses)) else f"{100 * ends[0]:+.1f} to {100 * ends[1]:+.1f} %"
        cells = (f"{result.perplexity(way):.2f}", f"{100 * change:+.1f} %", between, f"{result.speed(way):,.0f}")
        table.add_row(way, *cells, style=None if way == MEMORY else "dim")
    console.print(table)
    curve = new_table("perplexity by position", narrow=narrow)
    curve.add_column("way of reading", no_wrap=True)
    curves = {way: result.curve(way, 6) for way in result.losses}
    for place, _ in next(iter(curves.values())):
        curve.add_column(f"{place:,.0f}", justify="right", no_wrap=True)
    for way, points in curves.items():
        curve.add_row(way, *(f"{value:.2f}" for _, value in points), style=None if way == MEMORY else "dim")
    console.print(curve)
    console.print(
        f"{result.scored:,} tokens scored. The first window is the same for all and is not; changes are paired by document."
    )
    for why in left_out:
        console.print(f"left out: {why}", markup=False)
    console.print(f"text: {texts.source}", markup=False)
    console.print(f"model: {loaded.source}", markup=False)
    if path is not None:
        console.print(f"figure: {path}", soft_wrap=True, markup=False)


def plain(result: Evaluation) -> dict[str, Any]:
    """JSON values."""
    ways = [
        {
            "way": way,
            "perplexity": result.perplexity(way),
            "change": change,
            "interval": None if ends is None else list(ends),
            "tokens_per_second": result.speed(way),
            "by_document": [float(losses.mean().exp()) for losses in result.losses[way]],
            "curve": [list(point) for point in result.curve(way)],
        }
        for way, (change, ends) in changes(result).items()
    ]
    return {"documents": list(result.documents), "tokens": list(result.tokens), "scored": result.scored, "ways": ways}


def chart_of(result: Evaluation, loaded: LanguageModel, texts: Texts) -> Chart:
    """Perplexity by position."""
    series = []
    for way in result.losses:
        places, values = zip(*result.curve(way), strict=True)
        series.append(Series(way, places, values, style="line"))
    title = f"{loaded.name} reads {texts.name}, windows of {result.window}"
    return Chart("perplexity", title, "position in the document, tokens", "perplexity", tuple(series))
