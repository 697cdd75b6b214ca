"""Every neural architecture family, on every edge device, with proof."""

__version__ = "0.1.0"
