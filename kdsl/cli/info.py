"""kdsl info: what a bug report needs to say."""

import typer

from kdsl.cli.options import Format, FormatOption, print_json


def info(format: FormatOption = Format.table) -> None:
    """Print versions, devices and installed extras, for a bug report."""
    from kdsl.distribution import installation

    facts = installation()
    if format is Format.json:
        print_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")
