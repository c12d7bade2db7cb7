"""What the role ``condor`` is told about a site."""

from __future__ import annotations

import pytest

from casa_install.rolevars import condor


def test_numbers_of_users_stay() -> None:
    """A user's number depends on nobody else and lies outside of all ranges that systems give out."""
    alone = condor.user_numbers(["bob"])
    assert condor.user_numbers(["alice", "bob", "carol"])["bob"] == alone["bob"]
    # a change of the rule would hand running users' files to others: this number is for ever
    assert alone["bob"] == 1892880277
    assert all(condor.FIRST_UID <= number <= condor.LAST_UID
               for number in condor.user_numbers(f"u{n}" for n in range(500)).values())


def test_users_with_one_number_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names both users and what to do."""
    monkeypatch.setattr(condor, "user_number", lambda name: 1900000000)
    with pytest.raises(ValueError, match="casa_users: 'alice' and 'bob' would share UID 1900000000"):
        condor.user_numbers(["alice", "bob"])


@pytest.mark.parametrize(("cores", "seconds"), [(2, 5), (500, 5), (2000, 20), (100_000, 300)])
def test_daemons_report_as_often_as_the_manager_can_bear(cores: int, seconds: int) -> None:
    """Seconds in a small pool, minutes in a very large one."""
    assert condor.update_seconds(cores) == seconds
