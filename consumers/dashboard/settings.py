"""What `bookstream dashboard` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from consumers.dashboard.choices import PageName, Sort
from marketdata.settings import RedisSettings, argument


def _named_svg(path: Path) -> Path:
    if path.suffix.lower() != ".svg":
        raise ValueError("the picture is an SVG, so its name must end in .svg")
    return path


SvgPath = Annotated[Path, AfterValidator(_named_svg)]


class DashboardSettings(RedisSettings):
    """Shows all workers, markets and consumers of a Redis in this terminal. It changes nothing there."""

    once: bool = argument(False, "Print one frame and end; also into a pipe.")
    export: SvgPath | None = argument(
        None, "Write one frame as an SVG and end.", allowed="a file named .svg", metavar="FILE.svg"
    )
    page: PageName = argument("books", "The page to begin with.")
    sort: Sort = argument("activity", "How the markets are sorted.")
    filter_: str = argument(
        "", "Only markets with these words.", allowed="text", metavar="TEXT", max_length=60
    )
