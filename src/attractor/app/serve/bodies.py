"""What goes over the wire, as JSON: the bodies of requests and answers, from which the OpenAPI document is made."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

LARGEST = 1e15
"""Entry: squares of larger ones would overflow in float32."""


def whole(value: object) -> object:
    """JSON writes 1 and 1.0 for the same integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def writable(entry: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """What can be answered as JSON in UTF-8 again: no infinity, and no half of a pair of surrogates.

    Raises:
        ValueError: it cannot.
    """
    json.dumps(entry, ensure_ascii=False, allow_nan=False).encode()
    return entry


Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Rows = Annotated[list[list[Number]], Field(min_length=1)]
Entry = Annotated[dict[str, JsonValue], AfterValidator(writable)]
Id = Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(whole)]


class Body(BaseModel):
    """Takes nothing for something else: no text for numbers, no unknown names."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Patterns(Body):
    """Patterns to store."""

    patterns: Rows
    values: Rows | None = Field(None, description="What a recall gives back for each pattern. Default: the pattern.")
    metadata: list[Entry | None] | None = Field(None, description="One object, or null, for each pattern.")


class Cues(Body):
    """Cues to recall."""

    cues: Rows
    known: list[list[bool]] | None = Field(None, description="True where a cue is trusted. Default: everywhere.")
    reject: Number | None = Field(None, description="Refuse cues whose score is below this.")


class Ids(Body):
    """Rows to forget."""

    ids: Annotated[list[Id], Field(min_length=1, json_schema_extra={"uniqueItems": True})]


class Stored(BaseModel):
    """Ids of the patterns stored, in their order."""

    ids: list[int]


class Recalled(BaseModel):
    """One entry for each cue. `margin` is null where nothing else is stored, `metadata` what was stored with the item."""

    patterns: list[list[float]]
    index: list[int]
    score: list[float]
    margin: list[float | None]
    accepted: list[bool]
    energy: list[float] | None
    steps: list[int]
    converged: list[bool]
    metadata: list[dict[str, JsonValue] | None]


class Forgotten(BaseModel):
    """How many patterns were forgotten."""

    forgotten: int


class Stats(BaseModel):
    """What is stored and what was asked. `batches` calls recalled `cues`."""

    patterns: int
    dim: int
    value_dim: int | None
    dtype: str | None
    version: int
    cues: int
    batches: int


class Health(BaseModel):
    """The service answers."""

    status: Literal["ok"] = "ok"


class Problem(BaseModel):
    """What was wrong."""

    detail: str


def with_sizes(document: dict[str, Any], dim: int, rows: int) -> dict[str, Any]:
    """The OpenAPI document with the width of the memory and the limit of rows, which the bodies alone do not know."""
    schemas = document["components"]["schemas"]
    for name, field in (("Patterns", "patterns"), ("Patterns", "values"), ("Cues", "cues"), ("Cues", "known"), ("Ids", "ids")):
        found = schemas[name]["properties"][field]
        array = next(one for one in found.get("anyOf", [found]) if one.get("type") == "array")
        array |= {"minItems": 1, "maxItems": rows}
        if field in ("patterns", "cues", "known"):
            array["items"] |= {"minItems": dim, "maxItems": dim}
        if field == "known":
            array["items"] |= {"contains": {"const": True}}
    return document
