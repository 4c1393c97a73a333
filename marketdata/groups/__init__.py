"""The group loop: consumer groups over all markets, whose members share the partitions.

`group.py` wires the parts; backlog, sequence, shares and messages are pure. May import marketdata only.
"""

from marketdata.groups.batch import Batch, Item
from marketdata.groups.directory import Directory
from marketdata.groups.group import Group
from marketdata.groups.messages import Clock, Lost, Message, Notice, Silent
from marketdata.groups.role import Role
from marketdata.groups.tenure import BatchHandler, Partition

__all__ = [
    "Batch",
    "BatchHandler",
    "Clock",
    "Directory",
    "Group",
    "Item",
    "Lost",
    "Message",
    "Notice",
    "Partition",
    "Role",
    "Silent",
]
