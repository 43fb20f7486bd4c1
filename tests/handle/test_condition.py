"""What a server's condition tells those who want it all the same."""

from __future__ import annotations

import pytest

from dragoman.errors import ServerExited
from dragoman.handle.condition import Condition
from dragoman.model import ServerState


async def test_a_refusal_tells_the_last_words_of_a_server_that_ended() -> None:
    """They are what a caller needs to mend it; nobody has to start it by hand to see them."""
    ended = ServerExited("the server exited with status 1", server="files", stderr="No module named 'files'")
    condition = Condition("files", "connecting", "an attempt is under way")
    condition.become("waiting", ended.what, ended)
    refusal = condition.refusal()
    assert refusal.__cause__ is ended
    assert refusal.stderr == ended.stderr
    assert str(refusal).endswith("Its last words on stderr:\nNo module named 'files'")


async def test_a_refusal_without_an_error_behind_it_tells_the_reason_alone() -> None:
    """Nothing has failed: it was stopped."""
    condition = Condition("files", "stopped", "it was stopped")
    refusal = condition.refusal()
    assert (refusal.__cause__, refusal.stderr) == (None, "")
    assert str(refusal).startswith("files: it is stopped (it was stopped).")


@pytest.mark.parametrize(
    ("state", "said"), [("failed", "it has failed"), ("needs_login", "it needs a login"), ("waiting", "it is waiting")]
)
async def test_a_refusal_is_a_sentence_in_every_state(state: ServerState, said: str) -> None:
    """People read it: the states' names alone are not always English."""
    condition = Condition("files", state, "the reason")
    assert str(condition.refusal()).startswith(f"files: {said} (the reason).")
