"""One node's settings: flags, then `MGSNODE_SECTION__KEY`, then `config.toml`, then defaults.

Every key is known and every value has one type: an unknown key or a wrong type is a
`ConfigError` that names the key, where it was said, and the nearest key that exists. What
all nodes must agree on stands in the genesis, never here.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mgsnode.base.errors import ConfigError
from rpc.limits import RpcSettings

ENV_PREFIX = "MGSNODE_"
ENV_DELIMITER = "__"
BASE_PORT = 26_600  # peers; JSON-RPC is the next one
VIEW_TIMEOUT_MS = 4_000
_CONFIG_BYTES_MAX = 1_000_000  # a hand-written file

Port = Annotated[int, Field(ge=1, le=65_535)]
Host = Annotated[str, Field(min_length=1, max_length=255)]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Observer(_Section):
    """A node outside the validator set that may fetch blocks and gossip transactions."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    certificate: Annotated[str, Field(pattern=r"^([0-9a-f]{2})+$")]  # DER in hex
    host: str = ""  # empty: it dials us, we do not dial it
    port: Annotated[int, Field(ge=0, le=65_535)] = 0


class P2P(_Section):
    """How peers reach this node, and whom it admits beside the members."""

    host: Host = "127.0.0.1"
    port: Port = BASE_PORT
    observers: tuple[Observer, ...] = ()
    endpoints: dict[str, str] = {}  # member name -> host:port that stands in for its genesis one

    @field_validator("observers", mode="before")
    @classmethod
    def _array_of_tables(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


class Rpc(_Section):
    """The JSON-RPC door; see `rpc/limits.py` for what the numbers bound."""

    host: Host = "127.0.0.1"
    port: Port = BASE_PORT + 1
    allowed_hosts: tuple[str, ...] = ()  # names besides loopback that a Host header may carry
    cors_origins: tuple[str, ...] = ()  # none: no page of another origin may call
    connections_max: Annotated[int, Field(ge=1, le=65_536)] = 1_024
    connections_per_ip_max: Annotated[int, Field(ge=1, le=65_536)] = 256
    items_per_s: Annotated[int, Field(ge=1)] = 20_000
    items_burst: Annotated[int, Field(ge=1)] = 40_000

    @field_validator("allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _array(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


class Consensus(_Section):
    """Patience. It may differ between nodes without harm to safety."""

    view_timeout_ms: Annotated[int, Field(ge=100, le=600_000)] = VIEW_TIMEOUT_MS


class StoreSettings(_Section):
    """The disk below the store."""

    free_bytes_min: Annotated[int, Field(ge=0)] = 512 * 1024 * 1024  # below: no votes, only reads
    snapshot_every: Annotated[int, Field(ge=0)] = 0  # heights; 0: only on command
    snapshots_kept: Annotated[int, Field(ge=1, le=100)] = 2
    from_snapshot: bool = False  # an empty home begins with a snapshot of its peers


class Log(_Section):
    """What is written to standard error, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Verify(_Section):
    """Processes that check signatures; 0 checks in a thread of the node's own process."""

    workers: Annotated[int, Field(ge=0, le=256)] = 0


class Settings(_Section):
    """Everything that one node is told."""

    p2p: P2P = P2P()
    rpc: Rpc = Rpc()
    consensus: Consensus = Consensus()
    store: StoreSettings = StoreSettings()
    log: Log = Log()
    verify: Verify = Verify()

    def rpc_settings(self) -> RpcSettings:
        """The `rpc` section as the server takes it."""
        rpc = self.rpc
        return RpcSettings(
            host=rpc.host,
            port=rpc.port,
            hosts=rpc.allowed_hosts,
            cors_origins=rpc.cors_origins,
            connections_max=rpc.connections_max,
            connections_per_ip_max=rpc.connections_per_ip_max,
            items_per_s=rpc.items_per_s,
            items_burst=rpc.items_burst,
        )


SECTIONS: Mapping[str, type[BaseModel]] = {
    "p2p": P2P,
    "rpc": Rpc,
    "consensus": Consensus,
    "store": StoreSettings,
    "log": Log,
    "verify": Verify,
}
assert SECTIONS.keys() == Settings.model_fields.keys()


def config_path(home: Path) -> Path:
    """Where a node's settings stand."""
    return home / "config" / "config.toml"


def load_settings(
    home: Path | None,
    *,
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of the node at `home` (None: no file), else `ConfigError`.

    `flags` maps "section.key" to text, spelled as in TOML except that strings need no quotes;
    so do the values in `environ` (default: the process's own).
    """
    merged: dict[str, Any] = {}
    said: dict[str, str] = {}  # "section.key" -> who said it
    if home is not None and config_path(home).exists():
        _merge(merged, said, _read_toml(config_path(home)), str(config_path(home)))
    environ = os.environ if environ is None else environ
    for variable in sorted(environ):
        path = _path_of(variable)
        if path is not None:
            _put(merged, said, path, environ[variable], variable)
    for dotted, text in (flags or {}).items():
        _put(merged, said, dotted, text, f"--set {dotted}")
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise ConfigError("; ".join(_sentences(error, said))) from None


def _path_of(variable: str) -> str | None:
    """ "p2p.port" of `MGSNODE_P2P__PORT`; None for a variable that is not a setting."""
    if not variable.startswith(ENV_PREFIX) or ENV_DELIMITER not in variable:
        return None
    section, _, key = variable.removeprefix(ENV_PREFIX).lower().partition(ENV_DELIMITER)
    return f"{section}.{key}"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
        if len(raw) > _CONFIG_BYTES_MAX:
            raise ConfigError(f"{path}: longer than {_CONFIG_BYTES_MAX} bytes")
        return tomllib.loads(raw.decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _merge(
    merged: dict[str, Any], said: dict[str, str], document: dict[str, Any], source: str
) -> None:
    for section, values in document.items():
        if not isinstance(values, dict):
            if section not in SECTIONS:
                raise ConfigError(f"{source}: {_unknown(section)}")
            raise ConfigError(f"{source}: {section} is a section: write [{section}]")
        merged.setdefault(section, {}).update(values)
        said[section] = source
        said.update({f"{section}.{key}": source for key in values})


def _put(merged: dict[str, Any], said: dict[str, str], dotted: str, text: str, source: str) -> None:
    section, _, key = dotted.partition(".")
    model = SECTIONS.get(section)
    field = model.model_fields.get(key) if model is not None else None
    if field is None:
        raise ConfigError(f"{source}: {_unknown(dotted)}")
    merged.setdefault(section, {})[key] = _value_of(text, dotted, source)
    said[dotted] = source


def _value_of(text: str, dotted: str, source: str) -> Any:
    section, key = dotted.split(".")
    annotation = SECTIONS[section].model_fields[key].annotation
    if annotation is str or "Literal" in str(annotation):
        return text
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        document = {}
    if document.keys() != {"value"}:  # a line break would smuggle in a second key
        raise ConfigError(f"{source}: {dotted} is not spelled as in TOML")
    return document["value"]


def _unknown(dotted: str) -> str:
    """The sentence for a key that does not exist, with the nearest one that does."""
    plain = ".".join(step for step in dotted.split(".") if not step.isdecimal())
    observer = [f"p2p.observers.{key}" for key in Observer.model_fields]
    paths = [f"{s}.{k}" for s, m in SECTIONS.items() for k in m.model_fields] + observer
    section, dot, key = plain.partition(".")
    if not dot:  # a section, or a key that lost it
        near = [path for path in paths if path.endswith("." + plain)]
        near = near[:1] or difflib.get_close_matches(plain, [*SECTIONS, *paths], n=1, cutoff=0.6)
    elif section in SECTIONS:  # by the key alone: all keys of a section begin alike
        inside = [path.removeprefix(section + ".") for path in paths if path.startswith(section)]
        near = [f"{section}.{k}" for k in difflib.get_close_matches(key, inside, n=1, cutoff=0.6)]
    else:
        near = difflib.get_close_matches(plain, paths, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else ""
    if not near and section in SECTIONS:
        hint = f"; {section} has {', '.join(SECTIONS[section].model_fields)}"
    return f"unknown key {dotted}{hint}"


def _sentences(error: ValidationError, said: Mapping[str, str]) -> list[str]:
    out: list[str] = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        dotted = ".".join(str(part) for part in item["loc"])
        source = said.get(".".join(str(part) for part in item["loc"][:2])) or said.get(
            str(item["loc"][0]), "settings"
        )
        if item["type"] == "extra_forbidden":
            out.append(f"{source}: {_unknown(dotted)}")
        else:
            message = item["msg"][0].lower() + item["msg"][1:]
            where = source if source.endswith(dotted) else f"{source}: {dotted}"
            out.append(f"{where}: {message}")
    return out


def settings_toml(settings: Settings) -> str:
    """The settings as a `config.toml`: every section, tables of observers last."""
    lines: list[str] = []
    for section, model in SECTIONS.items():
        values = getattr(settings, section)
        lines.append(f"[{section}]")
        tables: list[str] = []
        for key in model.model_fields:
            value = getattr(values, key)
            if key == "observers":
                for observer in value:
                    tables += ["", f"[[{section}.observers]]"]
                    tables += [f"{k} = {_toml(v)}" for k, v in observer.model_dump().items()]
                continue
            lines.append(f"{key} = {_toml(value)}")
        lines += [*tables, ""]
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in sorted(value.items()))
        return "{ " + pairs + " }" if pairs else "{}"
    raise TypeError(type(value).__name__)
