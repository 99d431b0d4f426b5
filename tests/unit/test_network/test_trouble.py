"""What is told of a trouble that lasts."""

from __future__ import annotations

from pbx_operator.network.trouble import LOG_INTERVAL, Trouble


def test_it_is_told_once_and_so_is_its_end() -> None:
    trouble = Trouble()
    assert [trouble.is_news("dead", now) for now in (0.0, 1.0, 1e6)] == [True, False, False]
    assert [trouble.end(), trouble.end()] == [True, False]


def test_another_one_is_told_but_not_too_often() -> None:
    trouble = Trouble()
    assert [trouble.is_news(text, now) for text, now in (("a", 0.0), ("b", 1.0), ("b", LOG_INTERVAL))] == [
        True,
        False,
        True,
    ]


def test_what_ended_is_news_when_it_comes_back_after_a_while() -> None:
    trouble = Trouble()
    assert trouble.is_news("dead", 0.0)
    assert trouble.end()
    assert not trouble.is_news("dead", 1.0)
    assert not trouble.end(), "nobody was told that it came back"
    assert trouble.is_news("dead", LOG_INTERVAL)
