"""What the client remembers of an upload, where it can."""

from __future__ import annotations

from worker.client_notes import Begun, Notes


def notes() -> Notes:
    return Notes("https://bevara.example", b"/srv/delivery", "p")


def test_what_was_begun_is_found_again_until_it_is_done(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    notes().keep(Begun("u1", "k1"))

    assert notes().begun() == Begun("u1", "k1")
    notes().forget()
    assert notes().begun() is None


def test_a_user_without_a_home_can_send_all_the_same(tmp_path, monkeypatch) -> None:
    (tmp_path / "no folder").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "no folder"))

    notes().keep(Begun("u1", "k1"))

    assert notes().begun() is None
    notes().forget()
