"""Picture files: what is read and how, and that everything else is refused with a reason."""

from __future__ import annotations

import contextlib
import os
import random
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smileaccess.errors import PictureError
from smileaccess.vision.pictures import LONGEST_SIDE, MOST_BYTES, load_picture
from tests.fakes_vision import FACES, photograph

RED, BLUE = (200, 30, 40), (20, 40, 210)


def two_colors() -> Image.Image:
    """Red on the left, blue on the right, 60 x 40."""
    image = Image.new("RGB", (60, 40), RED)
    image.paste(BLUE, (30, 0, 60, 40))
    return image


def near(pixel: np.ndarray, rgb: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel[::-1].astype(int) - rgb).max() <= 12)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_every_format_becomes_bgr(tmp_path: Path, kind: str) -> None:
    two_colors().save(tmp_path / "picture", kind, quality=95)
    pixels = load_picture(tmp_path / "picture")
    assert (pixels.shape, pixels.dtype) == ((40, 60, 3), np.uint8)
    assert near(pixels[20, 10], RED)
    assert near(pixels[20, 50], BLUE)


@pytest.mark.parametrize(
    ("orientation", "shape", "red"),
    [
        (1, (40, 60), (20, 10)),
        (3, (40, 60), (20, 50)),
        (6, (60, 40), (10, 20)),
        (8, (60, 40), (50, 20)),
        (2, (40, 60), (20, 50)),
        (4, (40, 60), (20, 10)),
        (5, (60, 40), (10, 20)),
        (7, (60, 40), (50, 20)),
        (9, (40, 60), (20, 10)),
    ],
)
def test_the_camera_s_turn_is_undone(
    tmp_path: Path, orientation: int, shape: tuple[int, int], red: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    two_colors().save(tmp_path / "turned.jpg", exif=exif, quality=95)
    pixels = load_picture(tmp_path / "turned.jpg")
    assert pixels.shape[:2] == shape
    assert near(pixels[red], RED)


def with_exif(path: Path) -> tuple[bytes, range]:
    """Save a small JPEG with all sorts of EXIF; return its bytes, and where among them the EXIF is."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera of some make"
    exif[0x011A] = 72.0
    exif.get_ifd(0x8769)[0x829A] = 0.01
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.5)
    two_colors().save(path, "JPEG", exif=exif, quality=95)
    content = path.read_bytes()
    begin = content.index(b"Exif\0\0")
    return content, range(begin, begin + len(exif.tobytes()))


@pytest.mark.parametrize("length", [7, 10, 13, 14, 20])
def test_a_picture_whose_exif_cannot_be_read_is_taken_as_it_lies(tmp_path: Path, length: int) -> None:
    two_colors().save(tmp_path / "damaged.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12"[:length], quality=95)
    assert load_picture(tmp_path / "damaged.jpg").shape == (40, 60, 3)


def test_damage_elsewhere_in_exif_leaves_the_turn(tmp_path: Path) -> None:
    """A value that cannot be written again, as a turn by Pillow itself would, is no reason to fail."""
    turned, width = b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0", b"\x01\0\0\x09\0\0\0\x01\xff\xff\xff\xff"
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + turned + width + bytes(4)
    two_colors().save(tmp_path / "damaged.jpg", exif=exif, quality=95)
    assert load_picture(tmp_path / "damaged.jpg").shape == (60, 40, 3)


def test_no_damage_to_exif_is_anything_but_a_picture_or_a_refusal(tmp_path: Path) -> None:
    content, exif = with_exif(tmp_path / "whole.jpg")
    assert load_picture(tmp_path / "whole.jpg").shape == (60, 40, 3)
    chance = random.Random(7)
    shapes = set()
    for _ in range(600):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.choice(exif)] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        (tmp_path / "damaged.jpg").write_bytes(damaged)
        shapes.add(load_picture(tmp_path / "damaged.jpg").shape)
    assert shapes == {(60, 40, 3), (40, 60, 3)}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_no_damage_anywhere_is_anything_but_a_picture_or_a_refusal(tmp_path: Path, kind: str) -> None:
    options = {} if kind == "BMP" else {"exif": Image.Exif()}
    two_colors().save(tmp_path / "whole", kind, **options)
    content, chance = (tmp_path / "whole").read_bytes(), random.Random(7)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (tmp_path / "damaged").write_bytes(damaged[: chance.choice((len(damaged), chance.randrange(len(damaged))))])
        with contextlib.suppress(PictureError):
            assert load_picture(tmp_path / "damaged").ndim == 3


def test_a_photograph_is_read_as_opencv_reads_it() -> None:
    mine = load_picture(FACES / "biden-neutral.jpg").astype(int)
    theirs = photograph("biden-neutral").astype(int)
    assert mine.shape == theirs.shape
    assert np.abs(mine - theirs).mean() < 1


def saved(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    pixels = load_picture(saved(Image.new("L", (8, 6), 77), tmp_path / "grey.png"))
    assert (pixels == 77).all()
    assert pixels.shape == (6, 8, 3)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    wide = np.full((6, 8), 0x8080, np.uint16)
    pixels = load_picture(saved(Image.fromarray(wide), tmp_path / "wide.png"))
    assert (pixels == 0x80).all()


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 6), (*RED, 0))
    clear.paste((*BLUE, 255), (4, 0, 8, 6))
    pixels = load_picture(saved(clear, tmp_path / "clear.png"))
    assert (pixels[3, 1] == 255).all()
    assert near(pixels[3, 6], BLUE)


def test_printers_colors_become_bgr(tmp_path: Path) -> None:
    pixels = load_picture(saved(two_colors().convert("CMYK"), tmp_path / "print.jpg"))
    assert near(pixels[20, 10], RED)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    pixels = load_picture(saved(two_colors().convert("P"), tmp_path / "palette.png"))
    assert near(pixels[20, 50], (0, 51, 204))


def test_a_large_picture_is_scaled_down_and_a_small_one_is_not_scaled_up(tmp_path: Path) -> None:
    large = load_picture(saved(Image.new("RGB", (4000, 1000), RED), tmp_path / "large.png"))
    assert large.shape == (LONGEST_SIDE // 4, LONGEST_SIDE, 3)
    assert load_picture(saved(two_colors(), tmp_path / "small.png")).shape == (40, 60, 3)


def png(width: int, height: int) -> bytes:
    """Return a PNG's beginning and end: its size, and a few bytes of pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(1000))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("side", [50_000, 12_000, 11_000, 7_200])
def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    (tmp_path / "huge.png").write_bytes(png(side, side))
    tracemalloc.start()
    with pytest.raises(PictureError) as caught:
        load_picture(tmp_path / "huge.png")
    told = f"{side} x {side} pixels: must be at most 50 megapixels: scale it down"
    assert str(caught.value) == f"{tmp_path / 'huge.png'}: {told}"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(PictureError, match=r"huge\.jpg.*at most 50 MB"):
        load_picture(tmp_path / "huge.jpg")


@pytest.mark.parametrize("name", ["biden-neutral.jpg", "picture.png"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_picture_is_refused(tmp_path: Path, name: str, share: float) -> None:
    Image.fromarray(photograph("collins-smiling")).save(tmp_path / "picture.png")
    whole = (FACES / name if name.endswith("jpg") else tmp_path / name).read_bytes()
    (tmp_path / "half").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(PictureError, match="half: truncated or damaged"):
        load_picture(tmp_path / "half")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"hello", "not a picture"),
        (b"GIF89a" + bytes(40), "not a picture"),
        (b"\xff\xd8\xff", "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "file.jpg").write_bytes(content)
    with pytest.raises(PictureError, match=rf"file\.jpg: {problem}"):
        load_picture(tmp_path / "file.jpg")


def test_a_damaged_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zero.png").write_bytes(png(0, 10))
    with pytest.raises(PictureError, match=r"zero\.png"):
        load_picture(tmp_path / "zero.png")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("gone.jpg", "no such file: check the name"),
        ("gone/a.jpg", "no such file: check the name"),
        (".", "a folder: name the picture files in it"),
        ("pipe", "not a file: name a picture file"),
        ("a\0b", "cannot be opened (embedded null byte): check the name and who may read it"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PictureError) as caught:
        load_picture(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {problem}"


def test_text_names_a_file_as_well(tmp_path: Path) -> None:
    assert load_picture(str(saved(two_colors(), tmp_path / "a.png"))).shape == (40, 60, 3)
