"""The OpenRPC document: every method with its parameters, result and errors, for machines.

A pure function of the methods. Source: OpenRPC 1.3.2, https://spec.open-rpc.org
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import orjson

from rpc import errors
from rpc.dispatch import Method
from rpc.schema import Params

_OPENRPC: Final = "1.3.2"


def software_version() -> str:
    """The version of the installed package, or "0" where it runs uninstalled."""
    try:
        return version("mgsnode")
    except PackageNotFoundError:
        return "0"


@cache
def openrpc_bytes(methods: tuple[Method, ...]) -> bytes:
    """The document as JSON; made once, since it takes 50 ms."""
    return orjson.dumps(openrpc_document(methods))


def openrpc_document(methods: Sequence[Method]) -> dict[str, object]:
    """What `rpc.discover` and `/openrpc.json` answer."""
    return {
        "openrpc": _OPENRPC,
        "info": {
            "title": "MGS node",
            "version": software_version(),
            "description": (
                "Amounts are decimal strings of the unit that their schema names, micro-dollars or "
                "micro-MGS unless it says otherwise, bytes lower-case hex without prefix, "
                "addresses bech32m, heights and times numbers."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "methods": [_method(method) for method in sorted(methods, key=lambda m: m.name)],
        "components": {
            "errors": {
                message.replace(" ", ""): {"code": code, "message": message}
                for code, message in errors.MESSAGES.items()
            }
        },
    }


def _method(method: Method) -> dict[str, object]:
    return {
        "name": method.name,
        "summary": method.summary,
        "paramStructure": "either",
        "params": _params(method.params),
        "result": {"name": "result", "schema": dict(method.result)},
        "errors": [
            {"$ref": f"#/components/errors/{message.replace(' ', '')}"}
            for message in errors.MESSAGES.values()
        ],
    }


def _params(model: type[Params]) -> list[dict[str, object]]:
    """Descriptors in the order by position, then those that go by name only."""
    schema = model.model_json_schema(mode="validation")
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    properties: Mapping[str, Any] = schema.get("properties", {})
    required = set(schema.get("required", ()))
    names = list(model.by_position())
    names += [name for name in properties if name not in names]
    # OpenRPC wants no optional parameter before a required one.
    assert [n in required for n in names] == sorted((n in required for n in names), reverse=True)
    return [
        {
            "name": name,
            "required": name in required,
            "schema": _inlined(properties[name], definitions),
        }
        for name in names
    ]


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """`schema` with its references to `definitions` written out (none is recursive)."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return _inlined(definitions[reference.rpartition("/")[2]], definitions)
        return {name: _inlined(value, definitions) for name, value in schema.items()}
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    return schema
