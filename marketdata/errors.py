"""Every error that bookstream raises on purpose.

    BookstreamError
    ├── SettingsError          a setting that cannot be used
    │   ├── PartitionsError    a number of partitions that this Redis does not have
    │   ├── FaultError         a fault that the simulated venue cannot play
    │   └── WorkerTakenError   a worker whose name another one uses
    ├── VenueFormatError       the venue sent something that cannot be read
    │   └── DecimalError       a price or size that is not a decimal number
    ├── CatalogError           a market that cannot be described, or a catalog that disagrees
    │   └── StrikeError        a title, question and slug that name different strikes
    ├── DiscoveryError         the list of markets cannot be read
    ├── EntryError             an entry of a stream that does not follow the contract
    ├── ContractError          the Redis server holds streams of another contract
    ├── RedisAwayError         Redis cannot be reached
    ├── RedisRefusedError      Redis answers, but refuses this client
    ├── EmbeddedServerError    the private server cannot be started
    ├── GroupError             a group that cannot be read
    │   ├── LeaseLostError     a partition that another member reads now
    │   └── MemberTakenError   a member whose name another program uses
    ├── ReplayError            a replay that cannot begin or go on
    ├── ChildError             a process that `up` needs cannot be started
    └── CaptureError           a recording that cannot be played

The docstring of a class is its default message.
"""


class BookstreamError(Exception):
    """Something went wrong in bookstream."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message if message is not None else type(self).__doc__)


class SettingsError(BookstreamError):
    """A setting cannot be used; nothing was started."""


class PartitionsError(SettingsError):
    """This Redis has another number of partitions; use the same value, another KEY_PREFIX or another server."""


class FaultError(SettingsError):
    """The simulated venue cannot play this fault; it was not injected."""


class WorkerTakenError(SettingsError):
    """Another worker runs under this one's name; this one stopped; give each its own WORKER_ID."""


class VenueFormatError(BookstreamError):
    """The venue sent something that cannot be read; it was not used."""


class DecimalError(VenueFormatError):
    """A price or size is not a decimal number of at most six places; it was not used."""


class CatalogError(BookstreamError):
    """A market cannot be described; it was left out."""


class StrikeError(CatalogError):
    """A market's title, question and slug name different strikes; it was left out of its family."""


class DiscoveryError(BookstreamError):
    """The list of markets cannot be read; the markets known so far stay in use, it will be tried again."""


class EntryError(BookstreamError):
    """An entry of a stream does not follow the contract; was it written by another program?"""


class ContractError(BookstreamError):
    """This Redis holds streams of another contract; use another KEY_PREFIX or server."""


class RedisAwayError(BookstreamError):
    """Redis cannot be reached; nothing was lost so far, it will be tried again."""


class RedisRefusedError(BookstreamError):
    """Redis refuses this client; nothing was written; check user, password and database in REDIS_URL."""


class EmbeddedServerError(BookstreamError):
    """The private server could not be started; see its log in the data folder."""


class GroupError(BookstreamError):
    """A group cannot be read; what was not acknowledged comes again."""


class LeaseLostError(GroupError):
    """Another member reads this partition now; what was not acknowledged is handled there."""


class MemberTakenError(GroupError):
    """Another program reads under this member's name; this one stopped, its entries are handled there."""


class ReplayError(BookstreamError):
    """A replay cannot go on; what it wrote so far is not whole."""


class ChildError(BookstreamError):
    """A process could not be started; nothing of it was left running."""


class CaptureError(BookstreamError):
    """A recording cannot be played; nothing of it was served."""
