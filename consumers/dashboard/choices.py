"""What the user may choose from. Imports nothing, as settings are read before anything else is."""

from __future__ import annotations

from typing import Final, Literal, get_args

Sort = Literal["activity", "spread", "age", "volume", "name"]
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)

RISING: Final = frozenset({"spread", "age", "name"})
"""What is listed from the smallest on; of the others the largest comes first."""

PageName = Literal["books", "connections", "opportunities", "groups", "log"]
PAGES: Final[tuple[PageName, ...]] = get_args(PageName)
"""In the order of the keys 1 to 5: what one watches, why it may be wrong, what it is good for, who reads it, what
happened."""
