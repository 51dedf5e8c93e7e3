"""What a model may be that is loaded: what this package has to know of whoever loads one."""

import msgspec


class LoadPolicy(msgspec.Struct, frozen=True):
    """Limits and expectations of one load. The defaults expect nothing and trust no pickle."""

    max_bytes: int = 2 * 1024**3
    """Bytes of the model, packed and unpacked."""
    allow_pickle: bool = False
    """Whether a pickle may be read, which can run any code."""
    digest: str = ""
    """The content digest that the files must have, `sha256:<hex>`; "" where any will do."""
    uri: str = ""
    """What the model is called in messages; "" for its folder."""
    signers: tuple[str, ...] = ()
    """Public keys in PEM, of which one must have signed the files; empty where none need be."""
    allow_code: bool = False
    """Whether a model may be code, which then runs in a process of its own."""
    python: str = ""
    """The interpreter of that process; "" for this one's."""
    load_seconds: float = 600
    """What loading may take there."""
    trusted_types: tuple[str, ...] = ()
    """Types and functions of skops files that the configuration trusts beside our own list."""
