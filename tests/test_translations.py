"""Every text a person can read exists in Simplified Chinese."""

import io
import re
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from django.conf import settings

from cdp.messages import STUB, is_translated, messages_in, our_files, read_catalogue, unfold_stub

CATALOGUE = Path(settings.BASE_DIR, "locale/zh_Hans/LC_MESSAGES/django.po")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")


def translations():
    return {
        (message.context, message.id[0] if isinstance(message.id, tuple) else message.id): message
        for message in read_catalogue(CATALOGUE)
        if message.id
    }


@pytest.mark.needs("gettext")
def test_every_string_of_ours_is_in_the_catalogue_and_translated():
    known = translations()
    missing = []
    for context, text, _plural in sorted(messages_in(our_files()), key=str):
        message = known.get((context, text))
        if message is None or not is_translated(message):
            missing.append(text)
    assert not missing, f"{len(missing)} strings lack a translation; run `make messages`: {missing[:20]}"


@pytest.mark.needs("gettext")
def test_the_stub_holds_what_unfold_says_today():
    assert STUB.read_text() == unfold_stub(), "run `make messages`"


def test_a_translation_keeps_the_placeholders():
    wrong = []
    for message in translations().values():
        texts = [message.id] if isinstance(message.id, str) else list(message.id)
        strings = [message.string] if isinstance(message.string, str) else list(message.string)
        allowed = [set(PLACEHOLDER.findall(text)) for text in texts]
        wrong += [string for string in strings if string and set(PLACEHOLDER.findall(string)) not in allowed]
    assert not wrong


def test_the_compiled_catalogue_is_current():
    compiled = read_mo(io.BytesIO(CATALOGUE.with_suffix(".mo").read_bytes()))
    for message in read_catalogue(CATALOGUE):
        if message.id and not message.fuzzy and message.string and any(message.string):
            # Babel reads the contexts of a compiled catalogue as bytes
            found = (compiled.get(message.id, message.context) or compiled.get(message.id, (message.context or "").encode())).string
            assert (tuple(found) if isinstance(found, list) else found) == message.string, "run `make messages`"
