"""Waiters of keys: each is removed once, and gets an object of its own."""

import asyncio

from support.virtual import run

from smmfanfast_async._engine.waiters import Waiters


class Scene:
    """Two keys: "a" has three waiters, "b" has one."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiters: Waiters[str, list[str]] = Waiters()
        self.first, self.second, self.third, self.other = (
            self.loop.create_future() for _ in range(4)
        )
        self.add("a", self.first, 1.0)
        self.add("b", self.other, 4.0)
        self.waiters.join("a", self.second, 2.0)
        self.waiters.join("a", self.third, 9.0)

    def add(self, key: str, future: "asyncio.Future[list[str]]", deadline_s: float) -> None:
        self.waiters.futures[key], self.waiters.deadlines_s[key] = future, deadline_s


def test_all_waiters_of_a_key_come_before_the_next_key() -> None:
    async def main() -> None:
        scene = Scene()

        assert list(scene.waiters) == [
            ("a", scene.first, 1.0),
            ("a", scene.second, 2.0),
            ("a", scene.third, 9.0),
            ("b", scene.other, 4.0),
        ]
        assert scene.waiters.last_deadline_s() == 9.0

    run(main())


def test_next_waiter_takes_the_place_of_the_first() -> None:
    async def main() -> None:
        scene = Scene()
        waiters = scene.waiters

        assert waiters.remove("a", scene.first)
        assert waiters.futures["a"] is scene.second
        assert not waiters.remove("a", scene.first)
        assert waiters.remove("a", scene.third)
        assert waiters.remove("a", scene.second)
        assert "a" not in waiters
        assert not waiters.remove("a", scene.second)
        assert waiters.joined == {}
        assert [key for key, _, _ in waiters] == ["b"]

    run(main())


def test_waiter_that_ended_is_removed_when_it_expires() -> None:
    async def main() -> None:
        scene = Scene()
        scene.first.set_result(["found"])
        scene.second.cancel()

        scene.waiters.expire(2.0)

        assert [future for _, future, _ in scene.waiters] == [scene.third, scene.other]
        assert not scene.third.done()
        assert scene.first.result() == ["found"]

    run(main())


def test_taken_keys_keep_their_waiters() -> None:
    async def main() -> None:
        scene = Scene()
        last = scene.loop.create_future()
        scene.add("c", last, 5.0)

        taken = scene.waiters.take(2)

        assert [future for _, future, _ in taken] == [
            *(scene.first, scene.second, scene.third),
            scene.other,
        ]
        assert [future for _, future, _ in scene.waiters] == [last]
        assert scene.waiters.joined == {}

    run(main())


def test_results_are_separate_objects_and_ended_waiters_are_skipped() -> None:
    async def main() -> None:
        scene = Scene()
        scene.second.cancel()

        scene.waiters.resolve({"a": ["result"]})

        assert scene.first.result() == scene.third.result() == ["result"]
        assert scene.first.result() is not scene.third.result()
        assert isinstance(scene.other.exception(), KeyError)
        scene.waiters.resolve({"a": ["late"], "b": ["late"]})
        assert scene.first.result() == ["result"]

    run(main())
