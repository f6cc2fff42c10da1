"""The edits that turn a draft into a variant of it, in structure and in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdsl.rules.condition import Condition
from kdsl.rules.wording import FIELD_NAMES, Language, condition_words


@dataclass(frozen=True, slots=True)
class Edit:
    """One condition of a draft that became another one, is new, or is gone."""

    before: Condition | None
    """None where it is new."""
    after: Condition | None
    """None where it is gone."""

    def words(self, language: Language = "en") -> list[str]:
        """A line for each thing that changed: `+ "退款" (last user turn)`, `- last user turn contains 物流`.

        What is merely another number is `turns >3 → turns >5`.
        """
        before, after = self.before, self.after
        if before is None or after is None:
            return [
                f"{'-' if after is None else '+'} {condition_words(each, language)}"
                for each in (before or after,)
                if each
            ]
        old, new = _wordings(before), _wordings(after)
        if old == new:
            return [f"{condition_words(before, language)} → {condition_words(after, language)}"]
        field = FIELD_NAMES[language][after.reads]
        gone = [f'- "{text}" ({field})' for text in old if text not in new]
        return gone + [f'+ "{text}" ({field})' for text in new if text not in old]


def edit_words(edits: Sequence[Edit], language: Language = "en") -> list[str]:
    """All lines of all edits."""
    return [line for edit in edits for line in edit.words(language)]


def _wordings(condition: Condition) -> tuple[str, ...]:
    """What may occur, or be meant: one of these suffices."""
    return condition.sought if condition.meaning is None else condition.meaning.wordings
