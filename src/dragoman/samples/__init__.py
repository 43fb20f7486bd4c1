"""Small, well-behaved MCP servers that come along, to try things on: `python -m dragoman.samples.notes`, `….clock`.

They use the standard library only and nothing of this client, so that they can't agree with its mistakes. Each speaks
both eras of the protocol, over stdin and stdout, or over HTTP with `--http PORT`.
"""
