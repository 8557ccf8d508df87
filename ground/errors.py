"""What can go wrong, in words for the person who has to mend it.

Every error says what was wrong, where (file, line, offset, topic) and what to do. The command line prints
``str(error)`` and nothing else; a traceback reaching a user is a defect.
"""

from __future__ import annotations


class GroundError(Exception):
    """Base of every error that this project raises on purpose."""


class ConfigError(GroundError):
    """A setting, a mission folder or a command-line argument that cannot be used."""


class DefinitionError(GroundError):
    """An XTCE file that cannot be compiled: carries the file and the line of the offending element."""

    def __init__(self, message: str, *, path: str, line: int | None = None) -> None:
        super().__init__(f"{path}:{line}: {message}" if line is not None else f"{path}: {message}")
        self.path = path
        self.line = line


class RecordingError(GroundError):
    """A recording that cannot be read or written: carries the segment file and the octet offset in it."""

    def __init__(self, message: str, *, path: str, offset: int | None = None) -> None:
        super().__init__(f"{path}, offset {offset}: {message}" if offset is not None else f"{path}: {message}")
        self.path = path
        self.offset = offset


class LinkError(GroundError):
    """The MQTT connection was refused or its peer broke the protocol."""


class StoreError(GroundError):
    """The database refused a write or a query. What was received stays in the recording.

    ``retry_after``: seconds that the database asked to be left alone for, None where it didn't.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RefusedError(StoreError):
    """The database refused for a reason that trying again does not remove."""
