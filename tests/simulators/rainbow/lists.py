"""Lists in pages: {data, total, limit, offset}, as all list operations of OPENAPI answer.  [F]

limit is 100 unless told [F: SDK, getAllSystems; OPENAPI, examples]; more than 1000 is refused here [I: the CLI never
asks for more], and so is less than 1 [?].  An offset beyond the total gives an empty page.  [F]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from simulators.rainbow.fields import MAX_LIMIT, Query

PAGING: Final = ("format", "limit", "offset", "sortField", "sortOrder")
"""The query parameters that every list knows."""


def page(
    documents: Sequence[dict[str, Any]], query: Query, formats: Mapping[str, Sequence[str]], sort_fields: Sequence[str]
) -> dict[str, Any]:
    """Return a page of full documents, sorted (by the first of `sort_fields` unless told) and cut to the format.

    A format is a sequence of fields; an empty one means all fields.  `small` is the default.  [F: SDK]
    """
    field = query.choice("sortField", sort_fields, sort_fields[0])
    descending = query.choice("sortOrder", ("1", "-1"), "1") == "-1"
    wanted = formats[query.choice("format", formats, "small")]
    limit = query.number("limit", 100, 1, MAX_LIMIT)
    offset = query.number("offset", 0, 0)
    ordered = sorted(documents, key=lambda document: (str(document[field]), document["id"]), reverse=descending)
    cut = [shaped(document, wanted) for document in ordered[offset : offset + limit]]
    return {"data": cut, "total": len(documents), "limit": limit, "offset": offset}


def shaped(document: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """Return the wanted fields that a document has; all if none is named."""
    return {name: document[name] for name in wanted if name in document} if wanted else document
