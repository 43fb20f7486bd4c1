"""The listings that a catalogue is made of, by the name that the hub knows them under.

The values lie a floor below, in `dragoman.cache.offers`, because the store keeps them on disk.
"""

from __future__ import annotations

from dragoman.cache.offers import Listed, Offer, listing_of
from dragoman.events import Listing

__all__ = ["Listed", "Listing", "Offer", "listing_of"]
