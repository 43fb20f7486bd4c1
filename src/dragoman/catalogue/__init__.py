"""All that a hub's servers offer, under one roof: merged, named, found. It asks no server; the hub fills it."""
