"""The language of everything that is said: English is written in the code, others come from `locale/`.

A text is marked where it is made, with named places for its values: `_("{n} layers in RAM").format(n=4)`.
Texts of module level, made before the language is known, are marked with `N_` and go through `_` where they
are used. The language is the process's: the core asks for words, never for the language. `tests/texts.py`
collects what is marked into `locale/*/LC_MESSAGES/advisor.po` and compiles it.
"""

from __future__ import annotations

import gettext as _gettext
import os
from collections.abc import Mapping
from typing import Final

DOMAIN: Final = "advisor"
SOURCE_LANGUAGE: Final = "en"
LANGUAGES: Final = (SOURCE_LANGUAGE, "ko")

_ENVIRONMENT: Final = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""Where a language is wished for, the first that is set: the order of GNU gettext."""

_NO_DOMAIN: Final = "messages"
"""The standard library's own, which has no texts."""

_texts: _gettext.NullTranslations = _gettext.NullTranslations()


def use_language(language: str) -> None:
    """Say everything from now on in one of `LANGUAGES`, what click says included.

    click asks the standard library, which knows a text domain and an environment instead of a language.
    """
    global _texts
    if language == SOURCE_LANGUAGE:
        _texts = _gettext.NullTranslations()
        _gettext.textdomain(_NO_DOMAIN)
        return
    from advisor.resources import LOCALE_DIR  # where English is spoken, no file is looked for

    _texts = _gettext.translation(DOMAIN, LOCALE_DIR, [language])
    _gettext.bindtextdomain(DOMAIN, LOCALE_DIR)
    _gettext.textdomain(DOMAIN)
    os.environ[_ENVIRONMENT[0]] = language


def language() -> str:
    """The language in use."""
    return _texts.info().get("language", SOURCE_LANGUAGE)


def language_of(environment: Mapping[str, str]) -> str:
    """The language that the environment asks for, English where it asks for none that there is."""
    wished = next((environment[name] for name in _ENVIRONMENT if environment.get(name)), "")
    for one in wished.split(":"):
        language = one.replace("-", "_").split("_")[0].split(".")[0].lower()
        if language in LANGUAGES:
            return language
    return SOURCE_LANGUAGE


def _(text: str) -> str:
    """The text in the language in use; itself where that has no words for it."""
    return _texts.gettext(text) if text else text


def ngettext(one: str, many: str, n: int) -> str:
    """The text for one or for many, by `n`."""
    return _texts.ngettext(one, many, n)


def N_(text: str) -> str:  # noqa: N802 (gettext's own name for a text that is only marked)
    """Mark a text for translation where it is not yet said."""
    return text
