"""Bytes in, bytes out: one file for each way to reach a server, all behind `base.Transport`."""
