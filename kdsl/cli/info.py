"""kdsl info: what a bug report needs to say."""

import typer

from kdsl.cli.options import Format, FormatOption, print_json


def info(format: FormatOption = Format.table) -> None:
    """Print versions, devices, installed extras and the embedded encoder, for a bug report."""
    from kdsl.config import EMBEDDED_ENCODER
    from kdsl.distribution import installation
    from kdsl.embeddings.load import load_encoder

    facts = installation()
    encoder = load_encoder(EMBEDDED_ENCODER)
    facts[f"encoder {encoder.name}"] = f"needs {encoder.lacks}" if encoder.lacks else encoder.identity
    if format is Format.json:
        print_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")
