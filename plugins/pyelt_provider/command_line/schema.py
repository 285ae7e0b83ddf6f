"""`pyelt schema`: the JSON Schemas of the config files, printed or written, for editors."""

from __future__ import annotations

import argparse
from pathlib import Path

from pyelt_provider.config.json_schema import FILES, schema_text

DESCRIPTION = """\
Print the JSON Schema of one kind of config file, or write all of them. Editors complete and check YAML files with them:
put the line  # yaml-language-server: $schema=../schemas/pipeline.schema.json  at the top of a file."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "schema",
        help="print the JSON Schemas of the config files, for editors",
        description=DESCRIPTION,
        epilog="example: pyelt schema --output schemas",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = "; ".join(f"{name}: {files}" for name, (_, files) in FILES.items())
    parser.add_argument("name", nargs="?", choices=list(FILES), help=f"which schema to print ({kinds}); all by default")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="write <name>.schema.json into this folder instead of printing"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print or write the schemas; returns 0."""
    names = [arguments.name] if arguments.name else list(FILES)
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = arguments.output / f"{name}.schema.json"
            path.write_text(schema_text(name))
            print(f"{path} written")
    elif len(names) == 1:
        print(schema_text(names[0]), end="")
    else:
        inner = ",\n".join(f'"{name}": {schema_text(name).rstrip()}' for name in names)
        print("{" + inner + "}")
    return 0
