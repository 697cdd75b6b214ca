"""Images of a score as SVG: float beside deployed."""

from __future__ import annotations

import base64
import re
from typing import Any

import numpy as np
import pytest

from edgearch.reports import html, pictures
from edgearch.tasks import _images
from tests.reports import samples
from tests.reports.samples import Document
from tests.reports.test_plots import texts


def shown(count: int, shape: tuple[int, ...] = (4, 6, 1), originals: bool = True) -> dict[str, Any]:
    values = np.random.default_rng(count).random((count, *shape))
    return _images.shown("copied", values, values / 2 if originals else None)


def document(*groups: dict[str, Any]) -> Document:
    found = samples.deployment()
    found["score"]["details"] = {"images": {"labels": [], "float": list(groups), "deployed": list(groups)}}
    return found


def test_float_stands_above_deployed_and_original_above_both() -> None:
    said = texts(pictures.images(document(shown(3), shown(2, originals=False))))
    assert said == [
        "original",
        "float",
        "deployed, stand-in",
        "copied",
        "float",
        "deployed, stand-in",
        "copied",
    ]


def test_more_images_than_a_line_holds_go_on_below() -> None:
    said = texts(pictures.images(document(shown(12, originals=False))))
    assert said.count("float") == said.count("deployed, stand-in") == 2


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_arrive_unchanged_ink_dark_and_colours_as_they_are(channels: int) -> None:
    values = np.linspace(0, 1, 2 * 4 * 4 * channels).reshape(2, 4, 4, channels)
    found = pictures._pixels(_images.shown("", values)["images"])
    expected = np.round(values * 255)
    assert found is not None
    np.testing.assert_array_equal(found, np.repeat(255 - expected, 3, -1) if channels == 1 else expected)


def test_page_holds_the_images_and_lets_no_other_source_in() -> None:
    page = html.deployment(document(shown(3)))
    assert "<h2>Images</h2>" in page
    assert "data:image/png;base64," in page
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy and policy.group(1) == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert "<h2>Images</h2>" not in html.deployment(samples.deployment())


def test_same_images_give_the_same_bytes() -> None:
    assert pictures.images(document(shown(3))) == pictures.images(document(shown(3)))


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        {"shape": [2, 4, 4, 1], "base64": "not base64"},
        {"shape": [2, 4, 4, 1], "base64": base64.b64encode(b"short").decode()},
        {"shape": [2, 2, 4, 4], "base64": base64.b64encode(bytes(64)).decode()},
        {"shape": [0, 4, 4, 1], "base64": ""},
        {"shape": [float("inf")], "base64": ""},
        {"shape": [-1], "base64": base64.b64encode(bytes(4)).decode()},
    ],
)
def test_what_is_no_image_is_not_drawn(value: object) -> None:
    group = {"caption": "broken", "images": value}
    assert pictures.images(document(group)) == ""
