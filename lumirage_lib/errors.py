"""One family of errors, so that a caller can catch what the library refuses and nothing else.

Every message says what was expected, what came, where, and how to mend it.
"""


class LumirageError(Exception):
    """Anything this library refuses: catch this to catch them all."""


class InputError(LumirageError, ValueError):
    """A value, shape, label map, affine or name that cannot be used as given."""


class SourceError(LumirageError, OSError):
    """A public file that could not be fetched, or whose bytes are not the pinned ones."""


class WeightsError(LumirageError, ValueError):
    """A checkpoint that does not fit its network: wrong keys, shapes or file format."""


class StoreError(LumirageError, RuntimeError):
    """The results store is missing, of another version, or refuses what it was given."""


class RegistrationError(LumirageError, RuntimeError):
    """A registration that did not yield a usable displacement; `status` says how it failed."""

    def __init__(self, message: str, status: str = "failed"):
        super().__init__(message)
        self.status = status
