"""What cohorts read: the cache, the user's folder, and servers that do not end."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from faulty import AFFINE, lumirage, make_image, make_labels, write
from numpy.testing import assert_array_equal
from test_images import DAMAGE

from lumirage_lib.cohorts import cache, get_cohort, sources
from lumirage_lib.cohorts.sources import Source, fetch
from lumirage_lib.errors import InputError, SourceError

# ---- the cache -----------------------------------------------------------------------------------


def mirror(path) -> None:
    """The arrays left for right, and the old digest beside them."""
    with np.load(path) as arrays:
        changed = {k: v[::-1] if v.ndim == 3 else v for k, v in arrays.items()}
    np.savez_compressed(path, **changed)


def change(path, **others) -> None:
    with np.load(path) as arrays:
        kept = dict(arrays) | others
    np.savez_compressed(path, **{k: v for k, v in kept.items() if v is not None})


SPOILED = {
    "mirrored": mirror,
    "of another scan": lambda p: shutil.copy(p.with_name("other.npz"), p),
    "of another kind": lambda p: shutil.copy(p.parent.parent / "kind2" / p.name, p),
    "without a digest": lambda p: change(p, sha256=None),
    "a digest of nothing": lambda p: change(p, sha256=np.array(hashlib.sha256().hexdigest())),
    "one voxel": lambda p: change(p, labels=one_voxel(p)),
    "another type": lambda p: change(p, labels=make_labels().astype(np.int32)),
    "another shape": lambda p: change(p, labels=make_labels().reshape(-1)),
    "an array more": lambda p: change(p, more=np.zeros(3)),
    "an array less": lambda p: change(p, affine=None),
    "no archive": lambda p: p.write_bytes(b"nothing"),
    "empty": lambda p: p.write_bytes(b""),
    "half": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "a flipped bit": lambda p: p.write_bytes(flip_inside(p.read_bytes())),
    "objects": lambda p: np.savez(p, labels=np.array([{}], object)),
    "text": lambda p: p.write_text("labels"),
}


def one_voxel(path) -> np.ndarray:
    labels = make_labels()
    labels[11, 13, 10] += 1
    return labels


def flip_inside(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[200] ^= 4
    return bytes(changed)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The path of arrays that were kept, and a function that keeps them again and counts."""
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))
    calls = []

    def make():
        calls.append(1)
        return {"labels": make_labels(), "affine": AFFINE}

    for kind, name in (("kind", "scan"), ("kind2", "scan")):
        cache.keep_arrays(kind, name, make)
    cache.keep_arrays("kind", "other", lambda: {"labels": make_labels(1), "affine": AFFINE})
    calls.clear()
    return cache.get_path("kind", "scan"), lambda: cache.keep_arrays("kind", "scan", make), calls


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.fault(10, value=True, by="how")
def test_a_kept_file_that_is_not_what_was_kept_is_made_again(kept, how):
    path, keep, calls = kept
    assert_array_equal(keep()["labels"], make_labels())
    assert not calls
    SPOILED[how](path)
    assert_array_equal(keep()["labels"], make_labels())
    assert len(calls) == 1
    assert_array_equal(cache.load_arrays("kind", "scan")["labels"], make_labels())


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.fault(10, by="how")
def test_where_it_cannot_be_made_it_is_refused(kept, how):
    path, _, calls = kept
    SPOILED[how](path)
    with pytest.raises(SourceError, match=r"scan\.npz.*(makes it again|write or copy it again)"):
        cache.load_arrays("kind", "scan")
    assert not calls


@pytest.mark.fault(10)
def test_what_was_never_made_says_how_it_is(kept):
    path, _, _ = kept
    path.unlink()
    with pytest.raises(SourceError, match=r"not made on this machine yet; a run makes it.*prepare"):
        cache.load_arrays("kind", "scan")


NOTES = {
    "another value": lambda c: c.replace("[1, 2]", "[1, 3]"),
    "no digest": lambda c: json.dumps({"value": [1, 2]}),
    "the bare value": lambda c: "[1, 2]",
    "cut": lambda c: c[:-5],
    "empty": lambda c: "",
    "a number": lambda c: "7",
    "nothing": lambda c: "null",
    "digest of another": lambda c: c.replace('"digest": "', '"digest": "0'),
    "text": lambda c: "once upon a time",
    "a list": lambda c: json.dumps([json.loads(c)]),
}


@pytest.mark.parametrize("how", NOTES)
@pytest.mark.fault(10, value=True)
def test_a_remembered_number_that_was_changed_is_computed_again(tmp_path, monkeypatch, how):
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path))
    calls = []

    def compute():
        calls.append(1)
        return [1, 2]

    assert cache.remember(["box"], compute) == cache.remember(["box"], compute) == [1, 2]
    (path,) = (tmp_path / "local").iterdir()
    path.write_text(NOTES[how](path.read_text()))
    assert cache.remember(["box"], compute) == [1, 2]
    assert len(calls) == 2


# ---- the user's folder ---------------------------------------------------------------------------


def make_folder(root):
    """neurite-OASIS with three subjects."""
    for number in (1, 2, 3):
        folder = root / f"OASIS_OAS1_000{number}_MR1"
        write(folder / "aligned_norm.nii.gz", make_image(number))
        labels = np.where(make_labels(number) > 0, 2 + make_labels(number), 0)
        write(folder / "aligned_seg35.nii.gz", labels.astype(np.int16))
    return root / "OASIS_OAS1_0002_MR1"


def check(root):
    return lumirage("data", "check", "oasis-l2r", "--root", root)


def test_a_good_folder_has_its_pairs(tmp_path):
    make_folder(tmp_path)
    told = check(tmp_path)
    assert told.code == 0
    assert "complete pairs: 2" in told.text


@pytest.mark.parametrize("kind", ["aligned_norm", "aligned_seg35"])
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.fault(1)
def test_a_damaged_file_is_found_by_the_check_and_refused_by_the_cohort(tmp_path, kind, damage):
    folder = make_folder(tmp_path)
    path = folder / f"{kind}.nii.gz"
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    told = check(tmp_path)
    assert told.code == 1
    assert path.name in told.text
    assert "download it again" in told.text
    cohort = get_cohort("oasis-l2r", root=str(tmp_path))
    labels = ["seg35"] if kind == "aligned_seg35" else []
    load = cohort.load_labels if labels else cohort.load_image
    with pytest.raises(InputError, match=path.name):
        load(cohort.scans[1], *labels)


PLACES = {
    "elsewhere": {"affine": AFFINE + np.eye(4, k=3) * 9},
    "turned": {"affine": AFFINE @ np.diag([-1, 1, 1, 1])},
    "larger voxels": {"affine": np.diag([2, 2, 2, 1.0])},
    "in metres": {"xyzt_units": 1},
    "in microns": {"xyzt_units": 3},
    "nowhere": {"sform_code": 0, "qform_code": 0},
    "flat": {"srow_z": 0},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.fault(2)
def test_labels_that_lie_elsewhere_than_their_image_are_refused(tmp_path, place):
    folder = make_folder(tmp_path)
    write(folder / "aligned_seg35.nii.gz", make_labels(2) + 2, **PLACES[place])
    told = check(tmp_path)
    assert told.code == 1
    assert "aligned_seg35.nii.gz" in told.text
    assert "complete pairs: 0" in told.text


# ---- servers -------------------------------------------------------------------------------------

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def endless(monkeypatch, tmp_path):
    """A server that sends for as long as anyone reads, and how much it sent."""
    sent = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rsplit("/", 1)[-1]
            self.send_response(200)
            if name.startswith("sized"):
                self.send_header("Content-Length", str(10**12))
            if name.startswith("promised"):
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            piece = CONTENT if name.endswith("right") else b"\0" * 65536
            try:
                while sent.get(name, 0) < 500 << 20:
                    self.wfile.write(piece)
                    sent[name] = sent.get(name, 0) + len(piece)
            except OSError:
                pass

        def log_message(self, *_):
            pass

    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.handle_error = lambda *_: None
    service.daemon_threads = True
    threading.Thread(target=service.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("LUMIRAGE_MIRROR", f"http://127.0.0.1:{service.server_port}")
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(sources, "PAUSES_SECONDS", (0.0,))
    yield sent
    service.shutdown()


@pytest.mark.parametrize("name", ["open", "open-right", "sized", "sized-right", "open.nii.gz"])
@pytest.mark.fault(16)
def test_a_download_stops_at_the_known_size(endless, tmp_path, name):
    source = Source(
        "owner/name", "c0" * 20, name, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "CC0"
    )
    with pytest.raises(
        SourceError, match=rf"{name}: expected .* found more than {len(CONTENT)} bytes"
    ):
        fetch(source, quiet=True)
    assert endless[name] < 50 << 20  # what was on the way, twice
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
