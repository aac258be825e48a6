"""A small corpus for reports to speak of."""

from tests.train.conftest import manifest

__all__ = ["manifest"]
