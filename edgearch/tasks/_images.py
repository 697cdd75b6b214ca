"""Images as JSON values, for reports: shape, and bytes in base64, for a number a line would fill pages."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np


def shown(caption: str, images: np.ndarray, originals: np.ndarray | None = None) -> dict[str, Any]:
    """Return images, (images, height, width, channels) in 0 to 1, and what they are made of, if anything."""
    found: dict[str, Any] = {"caption": caption, "images": _pixels(images)}
    return found if originals is None else {**found, "originals": _pixels(originals)}


def _pixels(images: np.ndarray) -> dict[str, Any]:
    pixels = np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)
    return {"shape": list(pixels.shape), "base64": base64.b64encode(pixels.tobytes()).decode()}
