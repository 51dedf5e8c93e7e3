"""The server's configuration, read from the environment once, at start."""

import json
import math
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from rollout_inference.control_group import CGROUPS
from rollout_model.digest import DIGEST
from rollout_model.load_policy import LoadPolicy
from rollout_model.model_signature import public_key

_LETTERS = (
    r"A-Za-z0-9\u00c0-\u061b\u061d-\u167f\u1681-\u180d\u180f-\u1fff\u2c00-\u2fef\u3001-\ud7ff"
)
_URI = re.compile(
    f"models:/[{_LETTERS}_-]([{_LETTERS}_. -]*[{_LETTERS}_.-])?(/[1-9][0-9]*|@[{_LETTERS}_-]+)"
)
"""What the CRD takes as modelUri."""
_WHOLE = {
    "PORT": "port",
    "MODEL_MAX_BYTES": "max_model",
    "MODEL_CACHE_BYTES": "cache_bytes",
    "MAX_BODY_BYTES": "max_body",
    "MAX_ROWS": "max_rows",
    "LOAD_SECONDS": "load_seconds",
    "HEADER_SECONDS": "header_seconds",
    "BODY_SECONDS": "body_seconds",
    "FEEDBACK_SECONDS": "feedback_seconds",
    "FEEDBACK_STORE_ENTRIES": "store_entries",
    "FEEDBACK_STORE_BYTES": "store_bytes",
    "ACCURACY_WINDOW": "accuracy_window",
    "ACCURACY_FROM": "accuracy_from",
    "MODEL_COMPARE_PERCENT": "compare_percent",
    "MODEL_COMPARE_SECONDS": "compare_seconds",
}
"""Variables that hold a whole number, and the setting that each is."""
_STORE = re.compile(r"sqlite:/[^/\0][^\0]*|postgres(ql)?://\S*")
_SCOPE = re.compile(r"[A-Za-z0-9_-]{1,200}")
_MOST = {"PORT": 65535, "MODEL_COMPARE_PERCENT": 100}
_MOST_BOUNDS = 60


class SettingsError(ValueError):
    """A setting is missing or wrong; the message says which and what to write."""


class Settings(BaseModel):
    """Frozen. Exactly one of model_uri and model_path is set."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model_uri: str = ""
    """`models:/<name>/<version>` or `models:/<name>@<alias>`."""
    model_path: Path | None = None
    """A folder with an MLmodel file."""
    model_folder: Path | None = None
    """Files of model_uri that another step of the pod fetched; None where the server does."""
    model_cache: Path | None = None
    """Where the step that fetches keeps models for later; None for nowhere."""
    cache_bytes: int = 10 * 1024**3
    """Bytes of all models in it."""
    model_digest: str = ""
    """The content digest that its files must have; "" where any will do."""
    model_revision: str = ""
    """The label of every series."""
    log_level: str = "INFO"
    """DEBUG (every request), INFO, WARNING or ERROR."""
    host: str = "0.0.0.0"  # noqa: S104 - a pod serves its own network
    """The address that is listened on."""
    port: int = 8080
    """TCP, for all routes."""
    max_body: int = 8 * 1024 * 1024
    """Bytes of a request's body."""
    max_rows: int = 100_000
    """Rows of one request."""
    max_model: int = LoadPolicy().max_bytes
    """Bytes of a model, packed and unpacked."""
    load_seconds: float = 600
    """Time that loading may take."""
    header_seconds: float = 10
    """Time that a client has to send a request's headers."""
    body_seconds: float = 30
    """Time that a client has to send its body."""
    feedback_key: str = Field(default="", repr=False, exclude=True)
    """The secret that prediction ids are signed with; made up where it is ""."""
    feedback_seconds: int = 7 * 24 * 3600
    """How long after its prediction a label is taken."""
    feedback_store: str = Field(default="", repr=False, exclude=True)
    """Where predictions and labels are remembered, as in store.py; "" for nowhere."""
    feedback_scope: str = ""
    """Whose predictions they are: the same in all pods of a rollout, and in no other's."""
    store_entries: int = 1_000_000
    """Predictions that are remembered."""
    store_bytes: int = 512 * 1024**2
    """Bytes of them."""
    accuracy_window: int = 1_000
    """Labels that the live accuracy rests on, at most."""
    accuracy_from: int = 100
    """Labels from which on there is a live accuracy."""
    value_max: float = 0.0
    """The greatest value that feedback may have, the least is 0; 0 where none is taken."""
    compare_percent: int = 0
    """Of live requests, those that are compared with scikit-learn."""
    compare_seconds: int = 300
    """Time between two comparisons."""
    shadow_url: str = ""
    """Where copies go outside of a cluster; "" for the candidate's Service."""
    shadow_tolerance: float = 0.01
    """What numbers may differ by in answers that are alike, as in shadow/compare.py."""
    latency_buckets: tuple[float, ...] = ()
    """Bounds in seconds that the latency histogram has beside the usual ones."""
    signers: tuple[str, ...] = ()
    """Public keys in PEM, of which one must have signed the model's files; empty where none."""
    allow_pickle: bool = False
    """Whether a pickled model is loaded, which can run any code."""
    allow_code: bool = False
    """Whether a model may be code, which then runs in a process of its own."""
    model_python: str = ""
    """The interpreter of that process; "" for the server's."""
    trusted_types: tuple[str, ...] = ()
    """Types and functions that are read from skops files beside our own list."""
    termination_log: Path = Path("/dev/termination-log")
    """Where the reason is written when the model cannot be loaded."""
    cgroups: Path = CGROUPS
    """Where the kernel says what memory the pod may have."""

    @property
    def files(self) -> Path | None:
        """The model's files, where they need not be fetched."""
        return self.model_path or self.model_folder

    @cached_property
    def name(self) -> str:
        """The model's registered name; of a path its last part."""
        if self.model_path is not None:
            return self.model_path.resolve().name
        return re.sub(r"^models:/([^/@]+).*$", r"\1", self.model_uri)

    @cached_property
    def version(self) -> str:
        """The version in the registry; "local" for a path."""
        return "local" if self.model_path is not None else re.sub(r"^.*[/@]", "", self.model_uri)

    @property
    def load_policy(self) -> LoadPolicy:
        """What of it counts where a model is loaded, whoever loads it."""
        return LoadPolicy(
            max_bytes=self.max_model,
            allow_pickle=self.allow_pickle,
            digest=self.model_digest,
            uri=self.model_uri,
            signers=self.signers,
            allow_code=self.allow_code,
            python=self.model_python,
            load_seconds=self.load_seconds,
            trusted_types=self.trusted_types,
        )

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read the settings; raises SettingsError for what is missing or wrong."""
        uri, path = env.get("MODEL_URI", "").strip(), env.get("MODEL_PATH", "").strip()
        if bool(uri) == bool(path):
            raise SettingsError(
                "set exactly one of MODEL_URI, for example models:/iris/7, and MODEL_PATH, a folder"
                " with an MLmodel file"
            )
        if uri and not _URI.fullmatch(uri):
            raise SettingsError(
                f"MODEL_URI={uri!r} is none: write models:/<name>/<version> or"
                " models:/<name>@<alias>"
            )
        folder = env.get("MODEL_FOLDER", "").strip()
        digest = env.get("MODEL_DIGEST", "").strip()
        if digest and not DIGEST.fullmatch(digest):
            raise SettingsError(f"MODEL_DIGEST={digest!r} is none: write sha256: and 64 hex digits")
        level = env.get("LOG_LEVEL", "INFO").upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise SettingsError(
                f"LOG_LEVEL={level!r} is unknown: write DEBUG, INFO, WARNING or ERROR"
            )

        def whole(name: str, most: int) -> int:
            text, known = env.get(name, "").strip(), cls.model_fields[_WHOLE[name]].default
            if text and not (text.isdigit() and 0 < int(text) <= most):
                raise SettingsError(
                    f"{name}={text!r} is out of range: write a whole number from 1 to {most}"
                )
            return int(text or known)

        return cls(
            model_uri=uri,
            model_path=Path(path) if path else None,
            model_folder=Path(folder) if uri and folder else None,
            model_cache=Path(cache) if (cache := env.get("MODEL_CACHE", "").strip()) else None,
            model_digest=digest,
            model_revision=env.get("MODEL_REVISION", ""),
            log_level=level,
            **{field: whole(name, _MOST.get(name, 2**50)) for name, field in _WHOLE.items()},
            feedback_key=env.get("FEEDBACK_KEY", ""),
            feedback_store=_store(env.get("FEEDBACK_STORE", "")),
            feedback_scope=_scope(env.get("FEEDBACK_SCOPE", "")),
            latency_buckets=_bounds(env.get("LATENCY_BUCKETS", "")),
            value_max=_most(env.get("MODEL_VALUE_MAX", "")),
            shadow_url=_url(env.get("MODEL_SHADOW_URL", "").strip()),
            shadow_tolerance=_tolerance(env.get("MODEL_SHADOW_TOLERANCE", "")),
            signers=_signers(env.get("MODEL_SIGNERS", "")),
            allow_pickle=env.get("MODEL_ALLOW_PICKLE", "").lower() in {"1", "true"},
            allow_code=env.get("MODEL_ALLOW_CODE", "").lower() in {"1", "true"},
            model_python=env.get("MODEL_PYTHON", "").strip(),
            trusted_types=_names(env.get("MODEL_TRUSTED_TYPES", "")),
            termination_log=Path(env.get("TERMINATION_LOG", "/dev/termination-log")),
        )


def _names(text: str) -> tuple[str, ...]:
    """Full names of types and functions, separated by commas. Raises SettingsError."""
    names = tuple(one for part in text.split(",") if (one := part.strip()))
    for name in names:
        if "." not in name or not all(part.isidentifier() for part in name.split(".")):
            raise SettingsError(
                f"MODEL_TRUSTED_TYPES has {name!r}, which is no full name: write such as"
                " category_encoders.target_encoder.TargetEncoder"
            )
    return names


def _store(text: str) -> str:
    """Where labels are remembered. Raises SettingsError; the address may hold a password, so it is
    not repeated.
    """
    if (where := text.strip()) and not _STORE.fullmatch(where):
        raise SettingsError(
            "FEEDBACK_STORE is no address: write sqlite:/FOLDER, for example"
            " sqlite:/var/lib/feedback, or postgresql://USER:PASSWORD@HOST/DATABASE, in which user"
            " and password have special characters as %XX"
        )
    return where


def _scope(text: str) -> str:
    """Whose labels they are; it becomes part of a file's name. Raises SettingsError."""
    if (scope := text.strip()) and not _SCOPE.fullmatch(scope):
        raise SettingsError(
            f"FEEDBACK_SCOPE={scope!r} is none: write up to 200 letters, digits, - and _"
        )
    return scope


def _most(text: str) -> float:
    """The greatest value of feedback; 0 for none. Raises SettingsError."""
    if not text.strip():
        return 0.0
    try:
        most = float(text)
    except ValueError:
        most = math.nan
    if not 0 < most < 1e150:
        raise SettingsError(
            f"MODEL_VALUE_MAX={text!r} is out of range: write the greatest value that feedback may"
            " have, such as 200"
        )
    return most


def _url(text: str) -> str:
    """An address of http; "" for none. Raises SettingsError."""
    if text and not re.fullmatch(r"http://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?", text):
        raise SettingsError(
            f"MODEL_SHADOW_URL={text!r} is no address: write such as http://127.0.0.1:8081"
        )
    return text


def _tolerance(text: str) -> float:
    """Raises SettingsError."""
    if not text.strip():
        return 0.01
    try:
        tolerance = float(text)
    except ValueError:
        tolerance = math.nan
    if not 0 <= tolerance < 1:
        raise SettingsError(
            f"MODEL_SHADOW_TOLERANCE={text!r} is out of range: write a share from 0 to below 1,"
            " such as 0.01"
        )
    return tolerance


def _bounds(text: str) -> tuple[float, ...]:
    """Bounds of buckets in seconds, separated by commas. Raises SettingsError."""
    try:
        bounds = tuple(sorted({float(part) for part in text.split(",") if part.strip()}))
    except ValueError:
        bounds = (0.0,)
    if len(bounds) > _MOST_BOUNDS or not all(0 < bound < math.inf for bound in bounds):
        raise SettingsError(
            f"LATENCY_BUCKETS={text!r} cannot be read: write at most {_MOST_BOUNDS} bounds in"
            " seconds, for example 0.25,1.5"
        )
    return bounds


def _signers(text: str) -> tuple[str, ...]:
    """The keys of MODEL_SIGNERS, a JSON list of objects with `key`. Raises SettingsError."""
    if not text.strip():
        return ()
    try:
        keys = tuple(str(one["key"]) for one in json.loads(text))
        for key in keys:
            public_key(key)
    except (ValueError, TypeError, KeyError) as failure:
        raise SettingsError(
            f"MODEL_SIGNERS cannot be read: {failure}: write a JSON list of objects, each with a"
            " `key`, a public one of P-256, P-384 or P-521 in PEM"
        ) from failure
    return keys
