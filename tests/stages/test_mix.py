"""Which operators are kept out of int8, attempt by attempt."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgearch import profiles
from edgearch.stages import mix
from edgearch.stages._selective import Harm
from edgearch.work import Request, Work


@dataclass
class Model:
    """A role of ten operators of which some are harmful, the shares in percent."""

    role: str
    shares: tuple[int, ...]
    operators: int = 10
    made: list[int] = field(default_factory=list)

    def harms(self) -> list[Harm]:
        return [Harm(self.role, "ADD", f"{self.role}_{share}", 1.0, share / 100) for share in self.shares]

    def int8_but(self, kept: list[Harm]) -> bytes:
        self.made.append(len(kept))
        return b"model"


def attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *models: Model) -> list[mix.Attempt]:
    by_role = {model.role: model for model in models}
    monkeypatch.setattr(mix, "_selective_of", lambda _work, role: by_role[role])
    request = Request("vae", "vae", "digits", profiles.device("rpi"), "reconstruct")
    return list(mix._partly_float(Work(request, tmp_path), list(by_role)))


def test_most_harmful_are_kept_first_twice_as_many_each_time_and_half_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = attempts(tmp_path, monkeypatch, Model("model", (5, 40, 10, 20, 4, 3, 2, 1)))
    assert [len(one.kept) for one in found] == [1, 2, 4, 5]
    assert [harm.share for harm in found[2].kept] == [0.4, 0.2, 0.1, 0.05]


def test_no_attempt_is_made_twice_where_few_operators_do_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = attempts(tmp_path, monkeypatch, Model("model", (60, 30, 10)))
    assert [len(one.kept) for one in found] == [1, 2, 3]


def test_role_that_int8_does_not_harm_keeps_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, decoder = Model("encoder", ()), Model("decoder", (90, 10))
    found = attempts(tmp_path, monkeypatch, encoder, decoder)
    assert [set(one.files) for one in found] == [{"decoder"}] * 2
    assert encoder.made == []


def test_nothing_is_tried_where_int8_harms_no_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert attempts(tmp_path, monkeypatch, Model("model", ())) == []
