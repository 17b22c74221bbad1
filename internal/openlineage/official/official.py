"""Holds events and schemas against the classes of OpenLineage's own client.

    python official.py events < events.jsonl
    python official.py schemas < schemas.json

openlineage-python has its classes generated from the published schemas, so they
know every member, its type, whether it must be there, and the URL of its schema.
For every event, or every type of a file of schemas, one line is printed: a JSON
list of what is wrong and where. The exit code is REFUSED if anything is.

It is stricter than the published schemas, which allow members that they do not
name, and than the client, which takes nearly any text for a URI. The classes
can't tell three things, which are added here:

  - FILLED: the client fills these members in, so they look as if they might be
    left out; events and facets must have them.
  - None stands for a member that is not there, so null is refused.
  - KEYS: a facet's class does not know the name under which it lies.

Unions of classes, which some facets have that nobody sends here, end it.
"""

import enum
import importlib
import json
import pkgutil
import re
import sys
import types
import typing

import attr
from openlineage.client import generated
from openlineage.client.generated import base

REFUSED = 3  # Python's own failures end with 1 and 2
FILLED = {"producer", "schemaURL", "_producer", "_schemaURL"}
# Others lie under the name of their class, less its kind.
KEYS = {"DatasourceDatasetFacet": "dataSource", "DatasetVersionDatasetFacet": "version", "ProcessingEngineRunFacet": "processing_engine"}
JSON = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}

# What a format looks like, and a text by which the classes' own checks are told apart.
FORMATS = {
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I),
    "date-time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.I | re.A),
    "uri": re.compile(r"[a-z][a-z0-9+.-]*:([\w.~:/?#\[\]@!$&'()*+,;=-]|%[0-9a-f]{2})*", re.I | re.A),
}
SAMPLES = {"uuid": "0198a6e2-8f3c-7a51-9a55-6f1d2c3b4a59", "date-time": "2026-03-01T12:00:00Z", "uri": "scheme:path"}


def published():
    """The classes by the URL of their schema; some types inside facets have none."""
    found = {}
    for entry in pkgutil.iter_modules(generated.__path__):
        module = importlib.import_module(f"{generated.__name__}.{entry.name}")
        for cls in vars(module).values():
            if isinstance(cls, type) and cls.__module__ == module.__name__ and "_get_schema" in vars(cls):
                assert found.setdefault(cls._get_schema(), cls) is cls, cls
    return found


PUBLISHED = published()


class Member(typing.NamedTuple):
    kind: type
    required: bool
    format: str | None
    const: str | None
    argument: str | None  # of the class's constructor


def members(cls):
    hints, found = typing.get_type_hints(cls), {}
    for a in attr.fields(cls):
        kind = hints[a.name]
        if types.NoneType in typing.get_args(kind):
            (kind,) = (k for k in typing.get_args(kind) if k is not types.NoneType)
        found[a.name] = Member(
            kind=kind,
            required=a.default is attr.NOTHING or a.name in FILLED,
            format=format_of(a.validator),
            const=cls._get_schema() if a.name in ("schemaURL", "_schemaURL") else None,
            argument=a.alias if a.init else None,
        )
    return found


def format_of(validator):
    """The format that a check of the classes is for; that of URIs takes any text."""
    if validator is None:
        return None
    accepted = {name for name, sample in SAMPLES.items() if accepts(validator, sample)}
    (name,) = {"uri"} if accepted == set(SAMPLES) else accepted
    return name


def accepts(validator, text):
    try:
        validator(None, None, text)
    except ValueError:
        return False
    return True


def misplaced(url, kind, key):
    """Why a facet of this schema can't lie under this key among facets of this kind."""
    cls = PUBLISHED.get(str(url))
    if cls is None:
        return f"{url} is no published schema"
    if not issubclass(cls, kind):
        return f"{cls.__name__} is no {kind.__name__}"
    name = cls.__name__.removesuffix(kind.__name__)
    name = KEYS.get(cls.__name__, name[:1].lower() + name[1:])
    return None if key == name else f"{cls.__name__} lies under {name}"


def is_facet(kind):
    return isinstance(kind, type) and issubclass(kind, base.BaseFacet)


class Reading:
    """One event that is put into the classes, and what is wrong with it."""

    def __init__(self):
        self.complaints = []

    def refuse(self, at, why):
        self.complaints.append(f"{at}: {why}")

    def read(self, value, kind, at):
        outer, inner = typing.get_origin(kind), typing.get_args(kind)
        if attr.has(kind):
            return self.instance(value, kind, at)
        if outer is list:
            return [self.read(v, inner[0], f"{at}[{i}]") for i, v in enumerate(self.typed(value, list, at))]
        if outer is dict:
            read = self.facet if is_facet(inner[1]) else self.value
            return {key: read(v, inner[1], key, f"{at}.{key}") for key, v in self.typed(value, dict, at).items()}
        if isinstance(kind, enum.EnumType):
            if value not in [m.value for m in kind]:
                return self.refuse(at, f"{json.dumps(value)} is no {kind.__name__}")
            return kind(value)
        return self.typed(value, kind, at)

    def typed(self, value, kind, at):
        if type(value) is kind or (kind is float and type(value) is int):
            return value
        self.refuse(at, f"{json.dumps(value)} is no {JSON[kind]}")
        return kind()

    def value(self, value, kind, _key, at):
        return self.read(value, kind, at)

    def facet(self, value, kind, key, at):
        url = value.get("_schemaURL") if isinstance(value, dict) else None
        if why := misplaced(url, kind, key):
            return self.refuse(f"{at}._schemaURL", why)
        return self.instance(value, PUBLISHED[url], at)

    def instance(self, value, cls, at):
        if not isinstance(value, dict):
            return self.typed(value, dict, at)
        before, known, arguments = len(self.complaints), members(cls), {}
        for name in sorted(value.keys() - known.keys()):
            self.refuse(f"{at}.{name}", f"{cls.__name__} has no such member")
        for name, m in known.items():
            if name in value:
                read = self.member(value[name], m, f"{at}.{name}")
                if m.argument:
                    arguments[m.argument] = read
            elif m.required:
                self.refuse(f"{at}.{name}", f"{cls.__name__} must have it")
        if len(self.complaints) > before:
            return None
        try:
            return cls(**arguments)
        except (TypeError, ValueError) as error:
            return self.refuse(at, f"{cls.__name__} refuses it: {error}")

    def member(self, value, m, at):
        read = self.read(value, m.kind, at)
        if isinstance(value, str):
            if m.format and not FORMATS[m.format].fullmatch(value):
                self.refuse(at, f"{json.dumps(value)} is no {m.format}")
            if m.const and value != m.const:
                self.refuse(at, f"{json.dumps(value)} is not {m.const}")
        return read


def judge_event(line):
    reading = Reading()
    reading.read(json.loads(line), base.RunEvent, "$")
    return reading.complaints


def schema(kind):
    """The JSON Schema of a type."""
    outer, inner = typing.get_origin(kind), typing.get_args(kind)
    if attr.has(kind):
        return {"$ref": kind._get_schema()} if "_get_schema" in vars(kind) else shape(kind)
    if outer is list:
        return {"type": "array", "items": schema(inner[0])}
    if outer is dict:
        return {"type": "object", "additionalProperties": schema(inner[1])}
    if isinstance(kind, enum.EnumType):
        return {"enum": [m.value for m in kind]}
    return {"type": JSON[kind]}


def shape(cls):
    properties, known = {}, members(cls)
    for name, m in known.items():
        properties[name] = {"const": m.const} if m.const else schema(m.kind)
        if m.format and not m.const:
            properties[name]["format"] = m.format
    required = [name for name, m in known.items() if m.required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def facets_of(schema):
    """The kind of facets that a schema takes any of; None if it is not about facets."""
    rest = schema.get("additionalProperties")
    kind = PUBLISHED.get(rest.get("$ref")) if rest else None
    return kind if is_facet(kind) else None


def differences(ours, theirs, at):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if kind := facets_of(theirs):
            yield from misplaced_facets(ours, kind, at)
            return
        for key in sorted(ours.keys() | theirs.keys()):
            if key not in ours or key not in theirs:
                yield f"{at}.{key}: only {'ours' if key in ours else 'theirs'} has it"
            else:
                yield from differences(ours[key], theirs[key], f"{at}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        for item in sorted(set(ours) ^ set(theirs)):
            yield f"{at}: only {'ours' if item in ours else 'theirs'} has {item}"
    elif ours != theirs:
        yield f"{at}: ours is {json.dumps(ours)}, theirs {json.dumps(theirs)}"


def misplaced_facets(ours, kind, at):
    """Ours names the facets that are sent; theirs says of what kind they are."""
    closed = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    yield from differences(ours | {"properties": {}}, closed, at)
    for key, facet in ours.get("properties", {}).items():
        if why := misplaced(facet.get("$ref"), kind, key):
            yield f"{at}.properties.{key}: {why}"


def judge_schemas(text):
    for file, document in json.loads(text).items():
        for name, ours in document["$defs"].items():
            url = f"{file}#/$defs/{name}"
            if url not in PUBLISHED:
                yield [f"{name}: {url} is no published schema"]
            else:
                yield list(differences(ours, shape(PUBLISHED[url]), name))


def main(what):
    text = sys.stdin.buffer.read()
    judged = list(judge_schemas(text)) if what == "schemas" else [judge_event(line) for line in text.split(b"\n") if line]
    for complaints in judged:
        print(json.dumps(complaints))
    if not judged:
        sys.exit("there is nothing to judge")
    sys.exit(REFUSED if any(judged) else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
