"""A project's model as something to hand in to FusionBrain Challenge 3.0."""

from pathlib import Path

from kdsl.project.project import Project


def export_fusionbrain(project: Project, out: Path, copies: bool) -> None:
    """Write what plays with the model of `large:` into `out`, with its weights or, without `copies`, places for them.

    Raises KdslError where `large:` names no model that runs without a network, and where `out` is not empty.
    """
    from kdsl.chat.fusionbrain import weights
    from kdsl.chat.fusionbrain.export import write_export
    from kdsl.chat.fusionbrain.settings import Settings

    config = project.config
    sources = weights.sources(config)
    chat = config.chat.model_dump(include={"system", "max_new_tokens", "max_tokens"})
    places = {name: weights.FOLDER / name for name in sources}
    settings = Settings.model_validate({**places, **chat, "pixels": config.pixels})
    write_export(out, settings, sources, copies, project.progress)
