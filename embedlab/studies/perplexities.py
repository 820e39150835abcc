"""Which members of a study still write text, and their perplexity before and after training."""

import json

from embedlab.encoders.modules.decoder import Decoder
from embedlab.evaluation import perplexity
from embedlab.evaluation.perplexity import Perplexity
from embedlab.studies.members import Member


def writes(member: Member) -> bool:
    """Whether a trained member, or a twin, kept the head that generates, and its causal mask."""
    file = (member.folder / Decoder.config_file_name) if member.folder else None
    if file is None or not file.is_file():
        return False
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:  # loading it will say what is wrong
        return False
    return bool(settings.get("language_model")) and settings.get("attention") == "causal"


def missing(member: Member) -> bool:
    """Whether a member writes, and how well was not measured yet."""
    return writes(member) and perplexity.known(str(member.folder)) is None


def measure(member: Member, device: str | None) -> None:
    """Measure a member's perplexity, once for these weights.

    Raises:
        UserError: it cannot be loaded.
    """
    perplexity.measure(str(member.folder), device=device)


def known(member: Member) -> Perplexity | None:
    """What was measured of a member that writes."""
    return perplexity.known(str(member.folder)) if writes(member) else None
