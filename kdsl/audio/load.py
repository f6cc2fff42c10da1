"""A recogniser by its name in `speech:` of kdsl.yaml."""

from importlib.util import find_spec

from kdsl.audio.decoding import require_decoder, voice_installed
from kdsl.audio.recogniser import Recogniser
from kdsl.audio.sphinx import SphinxRecogniser, require_sphinx, sphinx_installed
from kdsl.config import EMBEDDED_SPEECH
from kdsl.hosts import Consent, is_address
from kdsl.pretrained import without_extra


def load_recogniser(speech: str, consent: Consent | None = None) -> Recogniser:
    """PocketSphinx for `pocketsphinx`, else Whisper in a directory, of a hub id or behind an http:// address.

    `consent` is for a server that is not this machine. Raises KdslError for what cannot be loaded; a server is
    contacted when it is needed.
    """
    if speech == EMBEDDED_SPEECH:
        return SphinxRecogniser()
    if is_address(speech):
        from kdsl.audio.served import ServedRecogniser  # with a client of servers, which others need not wait for

        return ServedRecogniser(speech, consent)
    from kdsl.audio.whisper import WhisperRecogniser

    return WhisperRecogniser(speech)


def speech_installed(speech: str) -> bool:
    """Whether the packages are there that this recogniser needs, PyAV among them."""
    if not voice_installed():
        return False
    if speech == EMBEDDED_SPEECH:
        return sphinx_installed()
    return is_address(speech) or find_spec("transformers") is not None


def require_speech(speech: str) -> None:
    """Raise KdslError, with what to install, where a package is missing that this recogniser needs."""
    require_decoder()
    if speech == EMBEDDED_SPEECH:
        require_sphinx()
    elif not speech_installed(speech):
        raise without_extra(speech, ImportError("No module named 'transformers'"))
