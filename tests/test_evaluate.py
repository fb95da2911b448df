"""`smileaccess evaluate` on real photographs: the door's own eyes and search, against an independent calculation."""

from __future__ import annotations

import csv
import json
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from smileaccess.errors import SmileAccessError
from smileaccess.evaluation import cores
from smileaccess.evaluation.cache import Cache
from smileaccess.evaluation.captures import read
from smileaccess.evaluation.identification import Plan, Usable, gallery_size, searches
from smileaccess.evaluation.looking import Looker, look_at
from smileaccess.evaluation.smiles import measure
from smileaccess.recognizers.similarity import similarity
from smileaccess.vision.eyes import LocalEyes
from smileaccess.vision.opencv import opencv
from tests.acting import Actors
from tests.builders import make_face
from tests.fakes_vision import FACES, framed, person, photograph
from tests.house import Result, run
from tests.test_report import Parsed

PEOPLE = {
    "obama": ("obama-neutral", "obama-smiling", "obama-speaking"),
    "biden": ("biden-neutral",),
    "collins": ("collins-smiling",),
}


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Return a folder with a folder of photographs for each of three people."""
    for name, photographs in PEOPLE.items():
        (tmp_path / "people" / name).mkdir(parents=True)
        for each in photographs:
            shutil.copy(FACES / f"{each}.jpg", tmp_path / "people" / name)
    return tmp_path / "people"


@pytest.fixture
def evaluate(tmp_path: Path) -> Callable[..., Result]:
    """Return what runs the command with settings of its own, and a cache in the test's folder."""
    config = tmp_path / "settings.toml"
    config.write_text("[liveness]\ncue_after_s = [0.4, 0.6]\nanswer_s = 1.5\npatience_s = 1.5\n")

    def call(command: str, *arguments: str | Path) -> Result:
        cache = () if command == "liveness" else ("--cache", tmp_path / "cache")
        return run("--config", config, "evaluate", command, "--seed", "7", *cache, *arguments)

    return call


def lines(path: Path) -> Iterator[Mapping[str, str]]:
    return csv.DictReader(StringIO(path.read_text("utf-8")))


class TestIdentification:
    def test_it_agrees_with_an_independent_calculation(
        self, evaluate: Callable[..., Result], people: Path, tmp_path: Path, eyes: LocalEyes
    ) -> None:
        """Each similarity is that of the picture's cosine with the mean of those enrolled; each rate a plain count."""
        table = tmp_path / "searches.csv"
        options = ("--enrolled", "2", "--splits", "4", "--fpir", "0.5", "--searches", table, "--json")
        told = evaluate("identification", people, *options)
        assert (told.code, told.err) == (0, "")
        found, embeddings = told.json(), self.embeddings(eyes)
        for _, each in groupby(lines(table), key=lambda line: line["split"]):
            split = list(each)
            searched = {Path(line["picture"]).stem for line in split}
            mean = np.mean([embeddings[name] for name in PEOPLE["obama"] if name not in searched], axis=0)
            assert len(searched) == 3
            for line in split:
                cosine = float(embeddings[Path(line["picture"]).stem] @ mean / np.linalg.norm(mean))
                assert (line["candidate_1"], line["enrolled"]) == ("obama", str(int(line["person"] == "obama")))
                assert float(line["similarity_1"]) == pytest.approx(similarity(cosine), abs=1e-4)
        self.check_rates(list(lines(table)), found["rows"])

    def embeddings(self, eyes: LocalEyes) -> dict[str, Any]:
        found = {}
        for name in (each for photographs in PEOPLE.values() for each in photographs):
            eyes.reset()
            frame = framed(photograph(name))
            found[name] = eyes.embed(frame, eyes.look(frame).faces[0])
        return found

    def check_rates(self, searched: list[Mapping[str, str]], rows: list[dict[str, Any]]) -> None:
        strangers = [float(line["similarity_1"]) for line in searched if line["enrolled"] == "0"]
        members = [float(line["similarity_1"]) for line in searched if line["enrolled"] == "1"]
        assert (len(strangers), len(members)) == (8, 4)
        for row in rows:
            fpir = sum(value >= row["threshold"] for value in strangers) / 8
            fnir = sum(value < row["threshold"] for value in members) / 4
            assert (row["fpir"]["share"], row["fnir"]["share"], row["rank_1"]) == (fpir, fnir, 1 - fnir)
        assert {row["fpir"]["count"] for row in rows} > {0}
        assert {row["fnir"]["count"] for row in rows} >= {0, 4}

    def test_people_read_what_was_measured(self, evaluate: Callable[..., Result], people: Path) -> None:
        told = evaluate("identification", people, "--enrolled", "2", "--splits", "2")
        assert told.out.startswith("pictures   5 usable of 3 people, 0 refused at the door, 0 at enrollment\n")
        assert "gallery    1 member with 2 pictures each, divided anew 2 times; seed 7\n" in told.out
        assert "searches   2 for members, 4 for 2 strangers\n" in told.out
        assert "99  0 % (0 % to 77.6 %)   0 % (0 % to 95 %)     in the settings" in told.out
        assert "These pictures do not prove that" in told.out

    def test_the_same_seed_repeats_it(self, evaluate: Callable[..., Result], people: Path) -> None:
        first, second = (evaluate("identification", people, "--enrolled", "2", "--json") for _ in range(2))
        assert first.out == second.out

    def test_what_the_gates_refuse_is_counted_not_hidden(self, evaluate: Callable[..., Result], people: Path) -> None:
        """Dark, faceless, covered: at the door and at enrollment by reason; what is no picture is warned of."""
        dark = (cv2.imread(str(FACES / "biden-neutral.jpg")) * 0.02).astype(np.uint8)
        cv2.imwrite(str(people / "biden" / "dark.png"), dark)
        (people / "collins" / "broken.jpg").write_bytes(b"no picture")
        told = evaluate("identification", people, "--enrolled", "2", "--json")
        found = told.json()
        assert (found["usable"], found["refused_at_door"]) == (5, {"too_dark": 1})
        assert found["refused_at_enrollment"] == {"too dark": 1}
        assert [Path(each.split(":")[0]).name for each in found["unreadable"]] == ["broken.jpg"]
        assert "broken.jpg: not a picture that can be read" in told.err

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ((), "nobody has 4 usable pictures, 3 to enroll and one to search for: add pictures, or give a smaller"),
            (("--enrolled", "2", "--gallery", "2"), "--gallery 2: people with 3 usable pictures: 1: add people"),
        ],
    )
    def test_too_few_pictures_are_told(
        self, evaluate: Callable[..., Result], people: Path, options: tuple[str, ...], expected: str
    ) -> None:
        told = evaluate("identification", people, *options)
        assert (told.code, told.out) == (1, "")
        assert expected in told.err
        assert "warning: evaluate: pictures: 5 usable of 3 people, 0 refused at the door, 0 at enrollment" in told.err

    def test_an_open_set_needs_strangers(self, evaluate: Callable[..., Result], people: Path) -> None:
        for name in ("biden", "collins"):
            shutil.rmtree(people / name)
        told = evaluate("identification", people, "--enrolled", "2")
        assert "--gallery 1: everybody with usable pictures would be enrolled, and an open set needs" in told.err

    @pytest.mark.parametrize("empty", [True, False])
    def test_a_folder_without_people_is_told(
        self, evaluate: Callable[..., Result], tmp_path: Path, empty: bool
    ) -> None:
        folder = tmp_path / "nothing"
        if empty:
            folder.mkdir()
        told = evaluate("identification", folder)
        expected = "holds no folder with pictures" if empty else "No such file or directory"
        assert (told.code, f"evaluate: {folder}: {expected}" in told.err) == (1, True)

    def test_without_a_settings_file_it_works_with_those_of_the_program(
        self, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A newcomer has pictures before there is a door; a file that was asked for must be there."""
        monkeypatch.delenv("SMILEACCESS_CONFIG", raising=False)
        options = ("identification", people, "--enrolled", "2", "--splits", "1", "--no-cache", "--json")
        assert run("evaluate", *options).json()["present"]["threshold"] == 99.0
        assert run("--config", tmp_path / "none.toml", "evaluate", *options).code == 2


class TestSplits:
    def usable(self, counts: Mapping[str, int]) -> dict[str, list[Usable]]:
        numbers = iter(range(1, 1000))
        return {
            name: [Usable(f"{name}/{n}", make_face(), person(next(numbers)), True) for n in range(count)]
            for name, count in counts.items()
        }

    def test_nobody_is_searched_for_with_an_enrolled_picture(self) -> None:
        """Of four pictures three are enrolled and the fourth is searched for; a stranger's are all searched for."""
        people = self.usable({"a": 4, "b": 4, "c": 4, "d": 2})
        for split in searches(people, Plan(enrolled=3, gallery=2, splits=5)):
            mated = [each for each in split if each.mated]
            strangers = [each for each in split if not each.mated]
            assert (len(mated), len({each.person for each in mated})) == (2, 2)
            assert len(strangers) == 6
            assert {each.person for each in mated}.isdisjoint({each.person for each in strangers})
            assert all({c.member_id for c in each.candidates} == {m.person for m in mated} for each in split)

    def test_each_split_divides_anew_and_each_seed_otherwise(self) -> None:
        people = self.usable({f"p{n}": 3 for n in range(20)})
        galleries = [
            frozenset(each.person for each in split if each.mated)
            for seed in (1, 2)
            for split in searches(people, Plan(enrolled=2, splits=4, seed=seed))
        ]
        assert len(set(galleries)) == 8
        assert {len(each) for each in galleries} == {10}

    def test_a_picture_that_would_not_be_enrolled_is_only_searched_for(self) -> None:
        people = self.usable({"a": 3, "b": 3})
        turned = people["a"].pop()
        people["a"].append(Usable(turned.path, turned.face, turned.embedding, enrollable=False))
        people["b"] = people["b"][:2]
        for split in searches(people, Plan(enrolled=2, splits=5)):
            assert [each.picture for each in split if each.mated] == [turned.path]
        people["a"] = people["a"][1:]
        with pytest.raises(SmileAccessError, match="nobody has 3 usable pictures"):
            gallery_size(people, Plan(enrolled=2))


class TestCache:
    def test_what_was_seen_comes_back_as_it_was(self, tmp_path: Path) -> None:
        looker, path = Looker(True, tmp_path / "cache"), str(FACES / "obama-smiling.jpg")
        first, second = looker(path), Looker(True, tmp_path / "cache")(path)
        assert first.sight is not None
        assert second.sight is not None
        assert first.embedding is not None
        assert second.embedding is not None
        assert np.array_equal(first.embedding, second.embedding)
        (a,), (b,) = first.sight.faces, second.sight.faces
        assert (a.box, a.quality, a.pose, a.smile, a.emotions) == (b.box, b.quality, b.pose, b.smile, b.emotions)
        assert (a.landmarks, first.sight.brightness) == (b.landmarks, second.sight.brightness)

    def test_an_entry_is_what_is_read_the_next_time(self, tmp_path: Path) -> None:
        """A made-up entry shows: the picture was not looked at again."""
        path = FACES / "biden-neutral.jpg"
        known = Looker(True, None)(str(FACES / "collins-smiling.jpg"))
        assert known.sight is not None
        Cache(tmp_path, emotions=True).put(path.read_bytes(), known.sight, known.embedding)
        again = Looker(True, tmp_path)(str(path))
        assert again.sight is not None
        assert again.sight.faces[0].box == known.sight.faces[0].box

    def test_only_the_picture_opens_its_entry(self, tmp_path: Path) -> None:
        """The file holds nothing that can be read, and another picture's content finds nothing."""
        path = FACES / "biden-neutral.jpg"
        seen = Looker(True, tmp_path / "cache")(str(path))
        (entry,) = (tmp_path / "cache").iterdir()
        assert seen.embedding is not None
        assert b"brightness" not in entry.read_bytes()
        assert seen.embedding.tobytes()[:8] not in entry.read_bytes()
        cache = Cache(tmp_path / "cache", emotions=True)
        assert cache.get(path.read_bytes()) is not None
        assert cache.get(path.read_bytes() + b"\0") is None
        assert Cache(tmp_path / "cache", emotions=False).get(path.read_bytes()) is None

    def test_another_opencv_has_entries_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It decodes and scales a little differently."""
        path = FACES / "biden-neutral.jpg"
        Looker(True, tmp_path)(str(path))
        monkeypatch.setattr(opencv(), "__version__", "0.0.0")
        assert Cache(tmp_path, emotions=True).get(path.read_bytes()) is None

    def test_nobody_else_may_read_it(self, tmp_path: Path) -> None:
        Looker(True, tmp_path / "cache")(str(FACES / "biden-neutral.jpg"))
        (entry,) = (tmp_path / "cache").iterdir()
        assert [stat.S_IMODE(each.stat().st_mode) for each in (entry.parent, entry)] == [0o700, 0o600]

    @pytest.mark.parametrize("damage", [b"", b"short", b"x" * 2000])
    def test_a_damaged_entry_is_made_anew(self, tmp_path: Path, damage: bytes) -> None:
        looker, path = Looker(True, tmp_path / "cache"), FACES / "biden-neutral.jpg"
        looker(str(path))
        (entry,) = (tmp_path / "cache").iterdir()
        entry.write_bytes(damage)
        assert looker(str(path)).sight is not None
        assert Cache(tmp_path / "cache", emotions=True).get(path.read_bytes()) is not None

    def test_a_picture_without_a_face_is_kept_as_well(self, tmp_path: Path) -> None:
        grey = tmp_path / "grey.png"
        cv2.imwrite(str(grey), np.full((200, 200, 3), 90, np.uint8))
        first, second = (Looker(True, tmp_path / "cache")(str(grey)) for _ in range(2))
        assert first.sight is not None
        assert second.sight is not None
        assert (first.sight.faces, second.sight.faces, second.embedding) == ((), (), None)

    def test_a_place_that_cannot_be_written_is_told(self, evaluate: Callable[..., Result], people: Path) -> None:
        told = evaluate("identification", people, "--enrolled", "2", "--cache", people / "obama" / "obama-neutral.jpg")
        assert told.code == 2
        in_a_file = people / "obama" / "obama-neutral.jpg" / "cache"
        told = evaluate("identification", people, "--enrolled", "2", "--cache", in_a_file)
        assert (told.code, "give a folder that you may write with --cache, or --no-cache" in told.err) == (1, True)

    def test_none_is_kept_when_told_so(self, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        options = ("evaluate", "smile", "--smiling", people / "collins", "--neutral", people / "biden")
        assert run(*options, "--no-cache").code == 0
        assert not (tmp_path / "xdg").exists()
        assert run(*options).code == 0
        assert len(list((tmp_path / "xdg" / "smileaccess" / "evaluation").iterdir())) == 2


class TestCores:
    def test_several_processes_see_what_one_sees(self, tmp_path: Path) -> None:
        """In order, and the same, whoever looked; each picture is told of once."""
        pictures = []
        for number in range(2 * cores.WORTH):
            name = [each for photographs in PEOPLE.values() for each in photographs][number % 5]
            pictures.append(tmp_path / f"{number:02}.jpg")
            shutil.copy(FACES / f"{name}.jpg", pictures[-1])
        told: list[None] = []
        alone = look_at(pictures[:5], emotions=True, cache=None, jobs=1)
        spread = look_at(pictures, emotions=True, cache=None, jobs=2, looked=lambda: told.append(None))
        assert [each.path for each in spread] == [str(path) for path in pictures]
        assert len(told) == len(pictures)
        for number, each in enumerate(spread):
            same = alone[number % 5]
            assert each.embedding is not None
            assert same.embedding is not None
            assert float(each.embedding @ same.embedding) == pytest.approx(1.0, abs=1e-4)


class TestSmile:
    def test_smiles_and_neutral_faces_are_told_apart(self, evaluate: Callable[..., Result], tmp_path: Path) -> None:
        for kind, names in {"smiling": ("obama-smiling", "collins-smiling"), "neutral": ("biden-neutral",)}.items():
            (tmp_path / kind).mkdir()
            for name in names:
                shutil.copy(FACES / f"{name}.jpg", tmp_path / kind)
        options = ("--smiling", tmp_path / "smiling", "--neutral", tmp_path / "neutral")
        told = evaluate("smile", *options, "--json").json()
        assert told["auc"] == {"area": 1.0, "low": None, "high": None}
        assert (told["accuracy"]["count"], told["accuracy"]["trials"], told["smile_at"]) == (3, 3, 50.0)
        assert (told["smiling"]["usable"], told["missed"]["count"], told["passing"]["count"]) == (2, 0, 0)
        assert "the two do not overlap" in evaluate("smile", *options).out

    def test_the_marks_of_the_settings_are_what_is_counted(self) -> None:
        """A smile at the mark is one; a neutral face at `neutral_below` is not neutral enough."""
        found = measure([50.0, 49.9, 80.0], [30.0, 29.9, 50.0, 10.0], 50.0, 30.0, seed=1)
        assert (found.missed.count, found.passing.count, found.unrested.count) == (1, 1, 2)
        assert (found.accuracy.count, found.accuracy.trials) == (5, 7)
        assert (found.best_at, found.best.count) == (31.0, 6)

    def test_a_folder_without_a_usable_picture_is_told(self, evaluate: Callable[..., Result], tmp_path: Path) -> None:
        (tmp_path / "grey").mkdir()
        cv2.imwrite(str(tmp_path / "grey" / "a.png"), np.full((200, 200, 3), 90, np.uint8))
        told = evaluate("smile", "--smiling", FACES, "--neutral", tmp_path / "grey")
        assert (told.code, "evaluate: --neutral: no picture is usable" in told.err) == (1, True)


@pytest.fixture(scope="module")
def recordings(scenes: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return captures of the scenes' member: who smiles half a second after the cue at 1 s, and one who never does."""
    folder, actors = tmp_path_factory.mktemp("recordings"), Actors(scenes)
    answer = [pixels for _, pixels in actors.changing(1.5)]
    write(folder / "people" / "ann", [*answer, *([answer[-1]] * 15)])
    (folder / "people" / "ann.cue").write_text("1.0")
    write(folder / "prints" / "calm", [actors.frame(1)] * 10)
    write(folder / "prints" / "smiling", [actors.frame(1, smiling=True)] * 10)
    write(folder / "empty" / "doorway", [actors.frame(5)] * 5)
    return folder


def write(folder: Path, frames: list[Any]) -> None:
    folder.mkdir(parents=True)
    for number, pixels in enumerate(frames):
        cv2.imwrite(str(folder / f"{number:03}.png"), pixels)


class TestLiveness:
    def test_a_living_face_passes_and_prints_do_not(self, evaluate: Callable[..., Result], recordings: Path) -> None:
        """The recording waits for the door's cue, whenever that comes; a still picture has no answer to it."""
        attacks = (f"print={recordings / 'prints'}", f"nobody={recordings / 'empty'}")
        options = ("--genuine", recordings / "people", "--attack", *attacks, "--fps", "10")
        told = evaluate("liveness", *options, "--json").json()
        assert list(told["attacks"]) == ["print", "nobody"]
        assert [each["granted"] for each in told["genuine"]["captures"]] == [True]
        assert told["genuine"]["bpcer"]["count"] == 0
        assert told["attacks"]["print"]["apcer"] == {**told["attacks"]["print"]["apcer"], "count": 0, "trials": 2}
        assert told["attacks"]["print"]["reasons"] == {"no_smile": 1, "no_expression_change": 1}
        assert told["worst"] == "print"

    def test_a_print_that_smiles_opens_where_one_smile_is_enough(
        self, evaluate: Callable[..., Result], recordings: Path
    ) -> None:
        """The mode `smile` lets through what the other one stops: APCER says so."""
        options = ("--attack", f"print={recordings / 'prints'}", "--fps", "10", "--mode", "smile")
        told = evaluate("liveness", *options)
        assert "print      2  APCER  50 % (9.45 % to 90.5 %)          0  no_smile 1" in told.out
        assert "The worst kind of attack is print: APCER 50 %" in told.out

    def test_without_the_moment_of_its_cue_a_recording_answers_by_chance(
        self, evaluate: Callable[..., Result], recordings: Path, tmp_path: Path
    ) -> None:
        """The same frames, the smile beginning before any cue of this door: no answer."""
        frames = sorted((recordings / "people" / "ann").iterdir())[11:]
        (tmp_path / "people" / "ann").mkdir(parents=True)
        for each in frames:
            shutil.copy(each, tmp_path / "people" / "ann")
        told = evaluate("liveness", "--genuine", tmp_path / "people", "--fps", "10", "--json").json()
        assert told["genuine"]["reasons"] == {"no_expression_change": 1}
        assert ["when the person was asked to smile: 1 of 1." in note for note in told["notes"]] == [True]
        (tmp_path / "people" / "ann.cue").write_text("0.2")
        told = evaluate("liveness", "--genuine", tmp_path / "people", "--fps", "10", "--json").json()
        assert [each["granted"] for each in told["genuine"]["captures"]] == [True]
        assert told["notes"] == []

    def test_what_the_door_cannot_see_is_no_answer(self, evaluate: Callable[..., Result], recordings: Path) -> None:
        told = evaluate("liveness", "--attack", f"nobody={recordings / 'empty'}", "--json").json()
        kind = told["attacks"]["nobody"]
        assert (kind["unanswered"], kind["reasons"], kind["apcer"]["count"]) == (1, {"no_face": 1}, 0)

    def test_a_video_file_is_a_capture_as_well(
        self, evaluate: Callable[..., Result], recordings: Path, tmp_path: Path
    ) -> None:
        frames = [cv2.imread(str(path)) for path in sorted((recordings / "people" / "ann").iterdir())]
        (tmp_path / "videos").mkdir()
        code = cv2.VideoWriter.fourcc(*"MJPG")
        video = cv2.VideoWriter(str(tmp_path / "videos" / "ann.avi"), code, 30.0, (640, 480))
        for pixels in frames:
            for _ in range(3):
                video.write(pixels)
        video.release()
        (tmp_path / "videos" / "ann.cue").write_text("1.0")
        capture = read(tmp_path / "videos" / "ann.avi", 15.0, 2.0)
        assert (len(capture.frames), capture.fps, capture.cue_at_s) == (30, 10.0, 1.0)
        told = evaluate("liveness", "--genuine", tmp_path / "videos", "--json").json()
        assert [each["granted"] for each in told["genuine"]["captures"]] == [True]

    @pytest.mark.parametrize(
        ("cue", "expected"),
        [("soon", "must hold one number"), ("99", "must be within the capture, which is"), ("nan", "must be within")],
    )
    def test_a_capture_that_cannot_be_played_is_in_no_rate(
        self, evaluate: Callable[..., Result], recordings: Path, tmp_path: Path, cue: str, expected: str
    ) -> None:
        shutil.copytree(recordings / "prints", tmp_path / "prints")
        (tmp_path / "prints" / "calm.cue").write_text(cue)
        told = evaluate("liveness", "--attack", f"print={tmp_path / 'prints'}", "--fps", "10", "--json")
        assert told.json()["attacks"]["print"]["apcer"]["trials"] == 1
        assert expected in told.err

    def test_what_is_no_video_is_told(self, evaluate: Callable[..., Result], recordings: Path, tmp_path: Path) -> None:
        """It is in no rate; where nothing else is left either, nothing was measured."""
        (tmp_path / "clips").mkdir()
        (tmp_path / "clips" / "a.mp4").write_bytes(b"no video")
        attacks = [f"screen={tmp_path / 'clips'}", f"nobody={recordings / 'empty'}"]
        told = evaluate("liveness", "--attack", *attacks)
        assert "a.mp4: OpenCV cannot read this video" in told.err
        assert "screen     0  APCER  -  " in told.out
        alone = evaluate("liveness", "--attack", attacks[0])
        assert (alone.code, alone.out) == (1, "")
        assert "evaluate: no capture can be played" in alone.err

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ((), "give --genuine DIR, --attack NAME=DIR, or both"),
            (("--attack", "prints"), "prints: must be NAME=DIR"),
            (("--attack", "genuine=prints"), "none of them genuine"),
            (("--attack", "a=prints", "--attack", "a=others"), "each NAME once"),
        ],
    )
    def test_wrong_usage_is_told(
        self, evaluate: Callable[..., Result], options: tuple[str, ...], expected: str
    ) -> None:
        told = evaluate("liveness", *options)
        assert (told.code, expected in told.err) == (2, True)

    def test_no_recording_answers_the_light(self, evaluate: Callable[..., Result], recordings: Path) -> None:
        """What is denied then says nothing about people, and the result says so."""
        told = evaluate("liveness", "--genuine", recordings / "empty", "--mode", "follow-the-light", "--json")
        assert ["is in no recording" in note for note in told.json()["notes"]] == [True]


class TestPlots:
    @pytest.mark.parametrize(
        ("kind", "begins"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".html", b"<!DOCTYPE html>")]
    )
    def test_curves_are_drawn_in_each_form(
        self, evaluate: Callable[..., Result], people: Path, tmp_path: Path, kind: str, begins: bytes
    ) -> None:
        place = tmp_path / f"curves{kind}"
        assert evaluate("identification", people, "--enrolled", "2", "--splits", "1", "--plot", place).code == 0
        content = place.read_bytes()
        assert content.startswith(begins)
        if kind != ".png":
            assert all(name in content.decode("utf-8") for name in ("FPIR", "FNIR", "threshold"))
        if kind == ".html":
            page = Parsed(content.decode("utf-8"))
            assert (page.tags.count("svg"), page.rows[0]) == (1, ["threshold", "FPIR", "FNIR"])
        if kind == ".svg":
            assert "var(--" not in content.decode("utf-8")
            assert "#0101" not in content.decode("utf-8")

    def test_the_other_commands_draw_as_well(
        self, evaluate: Callable[..., Result], people: Path, recordings: Path, tmp_path: Path
    ) -> None:
        smile = ("smile", "--smiling", people / "collins", "--neutral", people / "biden")
        assert evaluate(*smile, "--plot", tmp_path / "smile.html").code == 0
        assert "neutral_below" in (tmp_path / "smile.html").read_text("utf-8")
        liveness = ("liveness", "--attack", f"nobody={recordings / 'empty'}")
        assert evaluate(*liveness, "--plot", tmp_path / "liveness.svg").code == 0
        assert "APCER" in (tmp_path / "liveness.svg").read_text("utf-8")

    def test_nothing_is_measured_where_the_plot_cannot_be_put(
        self, evaluate: Callable[..., Result], people: Path, tmp_path: Path
    ) -> None:
        """Another form, a file that is there, a folder that is not: told before the work begins."""
        (tmp_path / "there.svg").write_text("mine")
        for name, code, expected in (
            ("curves.pdf", 2, "must end in .svg, .png, .html"),
            ("there.svg", 1, "exists: give another name, or --force"),
            ("none/curves.svg", 1, "give a place that you may write"),
        ):
            told = evaluate("identification", people, "--enrolled", "2", "--plot", tmp_path / name)
            assert (told.code, told.out, expected in told.err) == (code, "", True)
        assert not (tmp_path / "cache").exists()
        options = ("--enrolled", "2", "--splits", "1", "--plot", tmp_path / "there.svg", "--force")
        assert evaluate("identification", people, *options).code == 0
        assert (tmp_path / "there.svg").read_bytes().startswith(b"<?xml")


def test_json_is_one_value_of_plain_numbers(evaluate: Callable[..., Result], people: Path) -> None:
    """No NaN, which other languages' readers refuse."""
    text = evaluate("identification", people, "--enrolled", "2", "--splits", "1", "--json").out
    assert json.loads(text, parse_constant=pytest.fail)
