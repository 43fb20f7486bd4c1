"""A morning briefing from several servers: an application of a few modules that uses public names of Dragoman only.

`sections` says what is asked, `desk` asks it side by side, `narrator` tells meanwhile what happens, `report` writes it
down, and `__main__` is the command: `python -m examples.briefing`. `briefing.yaml` holds servers and settings.
"""
