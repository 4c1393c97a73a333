"""One module a command, each with `main(argv) -> exit code`; bodies are imported when they run.

May import all packages; imported by `bookstream.cli` alone, a module at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SUMMARIES: Final[Mapping[str, str]] = {
    "up": "run everything in this terminal: worker, Redis, dashboard",
    "worker": "read the venue's order books and write them to Redis Streams",
    "dashboard": "watch workers, books and consumers in this terminal",
    "tail": "print the entries of markets as they are written",
    "verify": "prove that nothing is missing, doubled or out of order in the streams",
    "replay": "play what was recorded once more, as JSON lines or into other streams",
    "groups": "show who reads the streams and how far behind, and deal with dead letters",
    "catalog": "show families and events, their legs, and why a market was left out",
    "arbitrage": "find arbitrage in the streams, or sum up what was found",
    "opportunities": "list the opportunities that were found, or follow them",
    "simulate": "stand in for the venue: a synthetic market or captured traffic",
    "health": "tell by the exit code whether the worker on this host is well",
    "redis-url": "print where other programs reach the Redis that is in use",
    "config": "show all settings in force, and where each comes from",
    "version": "print the version",
}
"""What each command does, in one line."""
