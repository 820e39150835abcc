"""What language models wrote on the way to an answer (rewritten questions, refined contexts,
verdicts), kept the moment it came: the same prompt is sent once, whichever pipeline asks.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from embedlab.rag.generator import Generated, Generator
from embedlab.resources import home
from embedlab.servers.answers import held


class KeptGenerator:
    """A generator whose generations are kept in EMBEDLAB_HOME/generations."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.name, self.identity = generator.name, generator.identity
        self.settings, self.sent = generator.settings, generator.sent
        self.url = generator.url

    def tokens(self, text: str) -> int:
        return self.generator.tokens(text)

    def fits(self, prompt: str) -> bool:
        return self.generator.fits(prompt)

    def generate(self, prompt: str) -> Generated:
        ((_, generated),) = self.generate_all([prompt])
        return generated

    def generate_all(self, prompts: Sequence[str]) -> Iterator[tuple[int, Generated]]:
        """Each prompt's place and answer: those that are kept, then the others as they come."""
        places: dict[bytes, list[int]] = {}
        for place, prompt in enumerate(prompts):
            places.setdefault(_key(prompt), []).append(place)
        with held(self._path()) as answers:
            for key, value in answers.get(list(places)).items():
                generated = Generated(**json.loads(value))
                yield from ((place, generated) for place in places.pop(key))
            keys = list(places)
            for n, generated in self.generator.generate_all([prompts[places[k][0]] for k in keys]):
                answers.put({keys[n]: json.dumps(vars(generated)).encode()})
                yield from ((place, generated) for place in places[keys[n]])

    def _path(self) -> Any:
        settings = {k: v for k, v in self.settings.items() if k not in ("device", "dtype_reason")}
        parts = json.dumps([self.identity, settings], sort_keys=True, default=str)
        name = hashlib.sha256(parts.encode()).hexdigest()[:16]
        return home() / "generations" / f"{name}.sqlite"


def _key(prompt: str) -> bytes:
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()
