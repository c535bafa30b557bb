"""The OpenRPC document validates against OpenRPC's own meta-schema, and covers every method."""

import json
from pathlib import Path

from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from rpc.methods import all_methods
from rpc.openrpc import openrpc_document

_META = json.loads((Path(__file__).parent / "openrpc_meta_schema.json").read_text())
# The meta-schema refers to a meta-schema of JSON Schema that is draft 7 under another address.
_TOOLS = {
    "$id": "https://meta.json-schema.tools",
    "$ref": "http://json-schema.org/draft-07/schema#",
    "definitions": {"JSONSchemaObject": {"properties": {"$ref": {"type": "string"}}}},
}


def meta_validator() -> Draft7Validator:
    resources = [
        (uri, Resource.from_contents(contents, default_specification=DRAFT7))
        for uri, contents in (
            ("https://meta.json-schema.tools", _TOOLS),
            ("https://meta.json-schema.tools/", _TOOLS),
            ("http://json-schema.org/draft-07/schema", Draft7Validator.META_SCHEMA),
        )
    ]
    return Draft7Validator(_META, registry=Registry().with_resources(resources))


def test_the_document_fits_the_meta_schema() -> None:
    document = json.loads(json.dumps(openrpc_document(all_methods())))
    problems = [
        f"{list(error.absolute_path)}: {error.message[:200]}"
        for error in meta_validator().iter_errors(document)
    ]
    assert problems == []


def test_the_check_would_notice() -> None:
    document = json.loads(json.dumps(openrpc_document(all_methods())))
    document["methods"][0]["params"] = {"by": "name"}
    assert list(meta_validator().iter_errors(document))
    document = json.loads(json.dumps(openrpc_document(all_methods())))
    document["methods"][0]["result"]["schema"]["type"] = "nonsense"
    assert list(meta_validator().iter_errors(document))


def test_every_method_has_a_schema_for_its_answer_and_its_parameters() -> None:
    for method in all_methods():
        Draft7Validator.check_schema(dict(method.result))
        assert method.summary.endswith(".")
        for name in method.params.by_position():
            assert name in method.params.model_fields
