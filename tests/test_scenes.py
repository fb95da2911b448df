"""Tests of the demonstration's scenes, seen with the real local eyes."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from smileaccess.demo import morph
from smileaccess.demo.morph import Portrait, framed, morphed
from smileaccess.demo.scenes import (
    MEMBER_PHOTOGRAPH,
    MORPH_S,
    REACTION_S,
    SMILE_S,
    Living,
    SideBySide,
    build_scenes,
    doorway,
)
from smileaccess.errors import PictureError
from smileaccess.gates import Limits, hindrance
from smileaccess.liveness import LivenessRules, Stage, advance, beats_for, begin, observe, words
from smileaccess.model import Frame, LivenessMode, Outcome, Reason, Sight
from tests.fakes_devices import picture

FPS = 15
CUE_S = 2.0
SMILING_S = CUE_S + REACTION_S + MORPH_S
RESTING_S = SMILING_S + SMILE_S + MORPH_S


def frames(scene, until_s, step=1, cue_s=CUE_S):
    """Yield a scene's frames as a camera of 15 frames a second gives them, with the cue at `cue_s`."""
    for number in range(0, int(until_s * FPS), step):
        at = number / FPS
        yield Frame(scene.clip.picture(at, at - cue_s if at >= cue_s else None), number + 1, at)


@pytest.fixture(scope="module")
def watched(eyes, scenes):
    """Return what the eyes see, a scene, in every fifth frame of 9 seconds (every one around the change)."""
    seen = {}
    for number, scene in scenes.items():
        eyes.reset()
        seen[number] = [
            eyes.look(frame)
            for frame in frames(scene, 9.0)
            if frame.sequence % 5 == 0 or CUE_S < frame.captured_at < SMILING_S + 0.2
        ]
    return seen


@pytest.fixture(scope="module")
def enrolled(eyes):
    """Return the embedding of the photograph that the member is enrolled from."""
    frame = Frame(cv2.imread(str(MEMBER_PHOTOGRAPH)), 1, 0.0)
    eyes.reset()
    return eyes.embed(frame, eyes.look(frame).faces[0])


def test_eight_scenes_end_as_promised(scenes):
    """Numbers, outcomes and reasons are the reel's contract; only the last begins with REX."""
    assert [(s.number, s.outcome, s.reason, s.rex_first) for s in scenes.values()] == [
        (1, Outcome.GRANTED, None, False),
        (2, Outcome.DENIED, Reason.NO_SMILE, False),
        (3, Outcome.DENIED, Reason.NOT_RECOGNIZED, False),
        (4, Outcome.DENIED, Reason.NO_EXPRESSION_CHANGE, False),
        (5, Outcome.DENIED, Reason.NO_FACE, False),
        (6, Outcome.DENIED, Reason.MULTIPLE_FACES, False),
        (7, Outcome.DENIED, Reason.TOO_DARK, False),
        (8, Outcome.GRANTED, None, True),
    ]


@pytest.mark.parametrize("number", range(1, 9))
def test_frames_are_a_camera_s_and_repeatable(scenes, number):
    """640 x 480 BGR; the same moment looks the same again, and another moment does not (noise alone sees to it)."""
    clip = scenes[number].clip
    seen = clip.picture(1.0, None)
    assert (seen.shape, seen.dtype) == ((480, 640, 3), np.uint8)
    assert np.array_equal(seen, clip.picture(1.0, None))
    assert not np.array_equal(seen, clip.picture(1.0 + 1 / FPS, None))


def smiles(sights, begin_s, end_s):
    return [s.faces[0].smile for s in sights if begin_s <= s.frame.captured_at < end_s]


@pytest.mark.parametrize("number", [1, 8])
def test_the_member_turns_from_neutral_to_smiling_and_back(watched, number):
    """Below 30 until the reaction, above 60 once the face has changed, and at rest again later."""
    assert max(smiles(watched[number], 0.0, CUE_S + REACTION_S)) < 30
    assert min(smiles(watched[number], SMILING_S, SMILING_S + SMILE_S)) > 60
    assert max(smiles(watched[number], RESTING_S, 9.0)) < 30


@pytest.mark.parametrize("number", [1, 2, 3, 4, 8])
def test_a_face_is_one_unbroken_track_and_clear(watched, number):
    """One face in every frame, never lost, good enough to be examined: the change is no cut."""
    assert {len(sight.faces) for sight in watched[number]} == {1}
    assert len({sight.faces[0].track for sight in watched[number]}) == 1
    assert {hindrance(sight, Limits()) for sight in watched[number]} == {None}


def test_who_never_smiles_stays_neutral(watched):
    """The cue changes nothing in scene 2."""
    assert max(smiles(watched[2], 0.0, 9.0)) < 30


@pytest.mark.parametrize("number", [3, 4])
def test_stranger_and_print_smile_all_the_time(watched, number):
    """Neither is ever seen neutral."""
    assert min(smiles(watched[number], 0.0, 9.0)) > 60


@pytest.mark.parametrize("number", [1, 2, 4, 8])
def test_the_member_is_the_enrolled_person(eyes, watched, enrolled, number):
    """At rest, in the middle of the change and smiling, the cosine with the enrolled photograph is above 0.6."""
    cosines = [float(enrolled @ eyes.embed(sight.frame, sight.faces[0])) for sight in watched[number][::4]]
    assert min(cosines) > 0.6


def test_the_stranger_is_somebody_else(eyes, watched, enrolled):
    """Far below the 0.50 at which somebody is taken for a member."""
    cosines = [float(enrolled @ eyes.embed(sight.frame, sight.faces[0])) for sight in watched[3][::8]]
    assert max(cosines) < 0.3


@pytest.mark.parametrize(("number", "reason"), [(5, Reason.NO_FACE), (6, Reason.MULTIPLE_FACES), (7, Reason.TOO_DARK)])
def test_what_hinders_is_seen_in_every_frame(watched, number, reason):
    """The doorway is empty, the two are of comparable size, the dark is dark: always."""
    assert {hindrance(sight, Limits()) for sight in watched[number]} == {reason}


def test_the_change_has_no_jump(scenes):
    """From frame to frame the change is a small part of the whole: about ten frames carry it."""
    faces = [frame.pixels[130:360, 240:400].astype(int) for frame in frames(scenes[1], SMILING_S + 0.5)]
    steps = [float(np.abs(one - other).mean()) for one, other in pairwise(faces)]
    whole = float(np.abs(faces[-1] - faces[int(CUE_S * FPS)]).mean())
    assert max(steps) < whole / 2


def test_the_cue_alone_starts_the_smile(scenes):
    """Before the reaction time is over the picture is the uncued one."""
    clip = scenes[1].clip
    assert np.array_equal(clip.picture(3.0, REACTION_S), clip.picture(3.0, None))
    assert not np.array_equal(clip.picture(3.0, REACTION_S + 0.2), clip.picture(3.0, None))


@pytest.mark.parametrize(
    ("since_cue_s", "since_calm_s", "smiling"),
    [
        (None, None, 0.0),
        (REACTION_S, None, 0.0),
        (REACTION_S + MORPH_S, None, 1.0),
        (2.0, REACTION_S, 1.0),
        (2.0, REACTION_S + MORPH_S / 2, 0.5),
        (2.0, REACTION_S + MORPH_S, 0.0),
        (0.1, REACTION_S + MORPH_S / 2, 0.5),
        (REACTION_S, 1.2, 0.0),
        (REACTION_S + MORPH_S, 2.0, 1.0),
    ],
)
def test_a_face_smiles_and_rests_as_it_was_last_asked(since_cue_s, since_calm_s, smiling):
    """Each change begins a reaction after its cue and takes as long up as down."""
    stages = [picture(shade) for shade in range(0, 201, 20)]
    clip = Living(stages, 1, sway=0.0)
    assert clip.picture(1.0, since_cue_s, since_calm_s).mean() == pytest.approx(200 * smiling, abs=1)


@pytest.mark.parametrize("number", [5, 20, 40])
def test_the_member_follows_the_light(eyes, scenes, number):
    """What the eyes see of scene 1, eight frames a second, answers the sequence that was drawn, on one track."""
    rules = LivenessRules(LivenessMode.FOLLOW_THE_LIGHT)
    challenge = begin(rules, ((number + 0.5) / len(words(beats_for(rules))),))
    asked, cue_at, calm_at, tracks = None, None, None, set()
    eyes.reset()
    for frame in range(60):
        at = frame / 8
        challenge = advance(challenge, rules, at)
        if challenge.asked is not None and challenge.asked is not asked:
            cue_at, calm_at = (at, calm_at) if challenge.asked else (cue_at, at if cue_at is not None else None)
            asked = challenge.asked
        since = [None if told is None else at - told for told in (cue_at, calm_at)]
        (face,) = eyes.look(Frame(scenes[1].clip.picture(at, *since), frame + 1, at)).faces
        tracks.add(face.track)
        challenge = observe(challenge, rules, face.smile, at)
        if challenge.over or challenge.missed:
            break

    assert (challenge.stage, len(tracks)) == (Stage.PASSED, 1)


def test_the_doorway_stands_still(scenes):
    """A wall does not sway: only the sensor's noise differs from the drawing."""
    wall = doorway().astype(int)
    assert np.abs(scenes[5].clip.picture(4.0, None) - wall).max() < 12


def test_people_move_a_little(scenes):
    """Somebody who stands still moves by pixels, not by tens of them."""
    clip = scenes[2].clip
    grays = [cv2.cvtColor(clip.picture(at, None), cv2.COLOR_BGR2GRAY).astype(np.float32) for at in (0.0, 1.5)]
    (across, down), _ = cv2.phaseCorrelate(*grays)
    assert 0.3 < np.hypot(across, down) < 10


def test_light_is_dimmed():
    """With a twentieth of the light, 200 becomes 10."""
    clip = Living([picture(200)], 1, light=0.05)
    assert 9 < clip.picture(0.0, None).mean() < 11


def test_a_small_stage_is_held_before_the_background():
    """A print covers the middle of the wall and leaves its corners."""
    clip = Living([picture(250, (200, 200))], 1, background=picture(20))
    seen = clip.picture(0.0, None)
    assert seen[200:280, 280:360].mean() > 240
    assert seen[:60].mean() < 25


def test_two_clips_share_the_frame():
    """Left of the seam the one, right of it the other."""
    both = SideBySide(Living([picture(40)], 1), Living([picture(220)], 2)).picture(0.0, None)
    assert abs(both[:, :200].mean() - 40) < 2
    assert abs(both[:, 440:].mean() - 220) < 2


def mesh(moved=0.0):
    """Return a round mesh of rings about (100, 100), whose inner ring may be moved down."""
    rings = []
    for radius in (60, 45, 30, 15):
        turns = np.arange(24) * (2 * np.pi / 24) + radius
        ring = np.column_stack([100 + radius * np.cos(turns), 100 + radius * np.sin(turns)])
        ring[:, 1] += moved if radius == 15 else 0
        rings.append(ring)
    return np.concatenate(rings).astype(np.float32)


def textured(seed):
    """Return a 200 x 200 picture with smooth random texture."""
    rough = np.random.default_rng(seed).integers(40, 220, (20, 20, 3), dtype=np.uint8)
    return cv2.resize(rough, (200, 200), interpolation=cv2.INTER_CUBIC)


def test_a_morph_begins_with_the_first_picture_and_keeps_what_is_around():
    """Outside the mesh every step is the first picture; inside it is not."""
    first = Portrait(textured(1), mesh())
    steps = morphed(first, Portrait(textured(2), mesh(6.0)), 5)
    yy, xx = np.mgrid[:200, :200]
    outside = np.hypot(xx - 100, yy - 100) > 63
    assert len(steps) == 6
    assert np.array_equal(steps[0], first.pixels)
    for step in steps[1:]:
        assert np.array_equal(step[outside], first.pixels[outside])
        assert not np.array_equal(step, first.pixels)


def test_a_morph_into_itself_changes_nothing_to_be_seen():
    """Warp, light and blend are exact: the same portrait comes out within rounding."""
    first = Portrait(textured(1), mesh())
    last = morphed(first, first, 2)[-1]
    assert np.abs(last.astype(int) - first.pixels).max() <= 2


def test_a_morph_moves_the_points_with_the_texture():
    """A dark spot at a mesh point that moves down by 8 is found lower by about as much."""
    shape, moved = mesh(), mesh(8.0)
    plain = np.full((200, 200, 3), 180, np.uint8)
    before, after = (cv2.circle(plain.copy(), (100, 100 + by), 5, (20, 20, 20), cv2.FILLED) for by in (0, 8))
    last = morphed(Portrait(before, shape), Portrait(after, moved), 4)[-1]
    rows = np.nonzero(last[60:140, 60:140].mean(axis=2) < 90)[0]
    assert 104 < rows.mean() + 60 < 110


def test_framing_puts_the_face_where_it_is_wanted():
    """Center and width of the face are those asked for, and the mesh goes with the pixels."""
    portrait = framed(Portrait(textured(1), mesh()), (320, 240), (160.0, 110.0), 90.0)
    low, high = portrait.mesh.min(axis=0), portrait.mesh.max(axis=0)
    assert portrait.pixels.shape == (240, 320, 3)
    assert np.allclose((low + high) / 2, (160, 110), atol=0.01)
    assert high[0] - low[0] == pytest.approx(90, abs=0.01)


def test_shares_are_slow_at_both_ends():
    """The change grows steadily, ends at 1, and is fastest in the middle."""
    shares = [0.0, *morph._shares(10)]
    steps = np.diff(shares)
    assert shares[-1] == 1.0
    assert (steps > 0).all()
    assert steps[4] > 2 * steps[0]


class BlindEyes:
    """Eyes that see no face in anything."""

    model = "blind"

    def look(self, frame):
        return Sight(frame, (), 50.0)

    def embed(self, frame, face):
        raise NotImplementedError

    def reset(self):
        pass

    def close(self):
        pass


def test_a_photograph_without_a_face_is_refused():
    """The error names the file."""
    with pytest.raises(PictureError, match=r"obama-neutral\.jpg: no face"):
        build_scenes(BlindEyes())
