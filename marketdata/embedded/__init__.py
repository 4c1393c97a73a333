"""The private server behind `embedded://NAME`: one guard and one server for each data folder.

Imports nothing of ours but `marketdata.errors`.
"""

from marketdata.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer"]
