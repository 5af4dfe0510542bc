"""Fetching pinned files, against a server on this machine that also misbehaves."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from lumirage_lib.cohorts import sources
from lumirage_lib.cohorts.sources import (
    Source,
    check_sources,
    fetch,
    fetch_all,
    find_sources,
    get_address,
    get_source,
    is_local,
    load_sources,
)
from lumirage_lib.errors import InputError, SourceError

CONTENT = bytes(range(256)) * 1200  # several of the pieces that a download comes in
WRONG = CONTENT[:-1] + b"?"


def make_source(path: str, content: bytes = CONTENT) -> Source:
    sha256 = hashlib.sha256(content).hexdigest()
    return Source("owner/name", "c0" * 20, path, sha256, len(content), "CC0")


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server that behaves as the requested file's name says; the cache is a fresh folder."""
    asked: Counter[str] = Counter()
    crowd = threading.Barrier(4)
    hurry = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rsplit("/", 1)[-1]
            asked[name] += 1
            first = asked[name] == 1
            if name.startswith("absent") or (name.startswith("flaky") and first):
                self.send_error(404 if name.startswith("absent") else 503)
                return
            if name.startswith("crowd"):
                crowd.wait(timeout=60)
            body = WRONG if name.startswith("wrong") else CONTENT
            self.send_response(200)
            if not name.startswith("unsized"):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            half = len(body) // 2
            self.wfile.write(body[:half])
            if name.startswith("slow") and first:
                hurry.wait(timeout=60)
            if not (name.startswith(("cut", "unsized")) or (name.startswith("hiccup") and first)):
                self.wfile.write(body[half:])

        def log_message(self, *_):
            pass

    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.handle_error = lambda *_: None  # a client that was killed is not worth a traceback
    threading.Thread(target=service.serve_forever, args=(0.01,), daemon=True).start()
    base = f"http://127.0.0.1:{service.server_port}"
    monkeypatch.setenv("LUMIRAGE_MIRROR", base)
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(sources, "PAUSES_SECONDS", (0.0, 0.0))
    yield SimpleNamespace(base=base, asked=asked, hurry=hurry, cache=tmp_path / "cache")
    hurry.set()
    service.shutdown()
    service.server_close()


def list_files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


# The registry


def test_registry_rows_are_well_formed():
    table = Path(sources.__file__).parents[1] / "data" / "sources.tsv"
    assert len(load_sources()) == len(table.read_text().splitlines()) - 1 > 100
    for name, source in load_sources().items():
        assert name == source.name == f"{source.repository}/{source.path}"
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", source.repository)
        assert re.fullmatch(r"[0-9a-f]{40}", source.commit)
        assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
        assert source.bytes > 0
        assert source.licence.strip()
        assert not {"", ".", ".."} & set(source.path.split("/"))


def test_registry_cannot_be_changed_by_a_caller():
    with pytest.raises(TypeError):
        load_sources()["mine"] = make_source("mine")


def test_find_and_get():
    everything = find_sources("muschellij2/malf.templates")
    images = find_sources("muschellij2/malf.templates", under="inst/extdata/")
    assert set(images) < set(everything)
    assert all(s.path.startswith("inst/extdata/") for s in images)
    assert get_source(images[3].repository, images[3].path) is images[3]
    assert images[3].size_mb == pytest.approx(images[3].bytes / 1e6)


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: get_source("muschellij2/malf.template", "x"), "muschellij2/malf.templates"),
        (lambda: get_source("muschellij2/malf.templates", "demographics.xls"), "demographics.xlsx"),
        (lambda: find_sources("muschellij2/malf.templates", "inst/ext"), "inst/extdata"),
        (lambda: check_sources("nobody/nothing"), "voxelmorph/voxelmorph"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(call, hint):
    with pytest.raises(InputError, match=re.escape(hint)):
        call()


# Where files come from


@pytest.mark.parametrize(
    ("setting", "base"),
    [
        (None, "https://raw.githubusercontent.com"),
        ("", "https://raw.githubusercontent.com"),
        ("http://mirror.example/files/", "http://mirror.example/files"),
    ],
)
def test_address_is_the_public_one_unless_set(monkeypatch, setting, base):
    monkeypatch.delenv("LUMIRAGE_MIRROR", raising=False)
    if setting is not None:
        monkeypatch.setenv("LUMIRAGE_MIRROR", setting)
    address = get_address(make_source("a folder/scan#1.nii.gz"))
    assert address == f"{base}/owner/name/{'c0' * 20}/a%20folder/scan%231.nii.gz"


def test_without_setting_files_are_fetched_from_the_public_base(monkeypatch, server):
    monkeypatch.delenv("LUMIRAGE_MIRROR")
    monkeypatch.setattr(sources, "PUBLIC_BASE", server.base)
    assert fetch(make_source("good.bin"), quiet=True).read_bytes() == CONTENT


@pytest.mark.parametrize("base", ["/no/such/folder", "ftp://example.org/mirror"])
def test_setting_that_is_neither_folder_nor_address_is_refused(monkeypatch, base):
    monkeypatch.setenv("LUMIRAGE_MIRROR", base)
    with pytest.raises(SourceError, match=r"LUMIRAGE_MIRROR: expected .*\n.*unset it"):
        fetch(make_source("good.bin"))


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A mirror folder with one good file; the cache's place is named, and must stay empty."""
    source = make_source("folder/good.bin")
    path = tmp_path / "mirror" / source.location
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    monkeypatch.setenv("LUMIRAGE_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "cache"))
    return SimpleNamespace(source=source, path=path, cache=tmp_path / "cache")


def test_mirror_folder_is_used_in_place_and_in_silence(mirror, capsys):
    assert is_local(mirror.source)
    assert fetch(mirror.source) == mirror.path
    assert fetch_all([mirror.source, mirror.source]) == [mirror.path, mirror.path]
    assert not mirror.cache.exists()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "content", [b"", CONTENT[:-1], CONTENT + b"x", WRONG], ids=["empty", "cut", "long", "flipped"]
)
def test_mirror_file_with_other_bytes_is_refused_and_left_alone(mirror, content):
    mirror.path.write_bytes(content)
    with pytest.raises(SourceError) as refusal:
        fetch(mirror.source)
    message = str(refusal.value)
    for part in (mirror.source.name, str(mirror.path), f"found {len(content)} bytes", "Fix: "):
        assert part in message
    assert mirror.source.sha256 in message
    assert hashlib.sha256(content).hexdigest() in message
    assert not is_local(mirror.source)
    assert mirror.path.read_bytes() == content


def test_mirror_without_the_file_says_where_it_should_be(mirror):
    absent = make_source("folder/absent.bin")
    with pytest.raises(SourceError, match=r"found no file, at .*absent\.bin\.\nFix: "):
        fetch(absent)
    with pytest.raises(SourceError, match=r"could not get 1 files:\n- owner/name/folder/absent"):
        fetch_all([mirror.source, absent])


# Downloading


def test_download_is_announced_verified_and_kept(server, capsys):
    source = make_source("good.bin")
    assert not is_local(source)
    path = fetch(source)
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(r"owner/name/good\.bin: 0\.3 MB, licence: CC0", said.err)
    assert path.read_bytes() == CONTENT
    assert is_local(source)
    assert fetch(source) == path
    assert server.asked["good.bin"] == 1
    assert list_files(server.cache) == ["good.bin"]


def test_quiet_download_says_nothing(server, capsys):
    fetch(make_source("good.bin"), quiet=True)
    fetch_all([make_source("other.bin")], quiet=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("path", "found", "attempts"),
    [
        (
            "wrong.bin",
            rf"found {len(WRONG)} bytes with sha256 {hashlib.sha256(WRONG).hexdigest()}",
            3,
        ),
        ("unsized.bin", rf"found {len(CONTENT) // 2} bytes with sha256 \w{{64}}", 3),
        ("cut.bin", r"no whole file came \(.*IncompleteRead", 3),
        ("absent.bin", r"no whole file came \(404", 1),
    ],
)
def test_what_is_not_the_pinned_file_is_refused_by_name(server, path, found, attempts):
    source = make_source(path)
    with pytest.raises(SourceError) as refusal:
        fetch(source, quiet=True)
    message = str(refusal.value)
    assert message.startswith(
        f"owner/name/{path}: expected {len(CONTENT)} bytes with sha256 {source.sha256}, "
    )
    assert re.search(found, message)
    assert f"at {server.base}/" in message
    assert "\nFix: " in message
    assert server.asked[path] == attempts
    assert list_files(server.cache) == []
    assert not is_local(source)


@pytest.mark.parametrize("path", ["flaky.bin", "hiccup.bin"])
def test_passing_failure_is_tried_again(server, path):
    assert fetch(make_source(path), quiet=True).read_bytes() == CONTENT
    assert server.asked[path] == 2
    assert list_files(server.cache) == [path]


@pytest.mark.parametrize("damage", [CONTENT[:1000], WRONG], ids=["truncated", "flipped"])
def test_cached_file_that_went_bad_is_fetched_again(server, damage):
    source = make_source("good.bin")
    path = fetch(source, quiet=True)
    path.write_bytes(damage)
    assert not is_local(source)
    assert fetch(source, quiet=True).read_bytes() == CONTENT
    assert server.asked["good.bin"] == 2


def test_cached_file_that_went_bad_is_refused_if_there_is_no_other(monkeypatch, server):
    source = make_source("good.bin")
    fetch(source, quiet=True).write_bytes(WRONG)
    monkeypatch.setenv("LUMIRAGE_MIRROR", "http://127.0.0.1:1")
    with pytest.raises(SourceError, match=r"^owner/name/good\.bin: expected"):
        fetch(source, quiet=True)


def test_cache_that_cannot_be_written_is_said(monkeypatch, server, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LUMIRAGE_CACHE", str(tmp_path / "file"))
    with pytest.raises(SourceError, match=r"cannot write .*\n.*LUMIRAGE_CACHE"):
        fetch(make_source("good.bin"), quiet=True)


def test_fetch_all_goes_on_past_failures_and_reports_them_at_the_end(server, capsys):
    names = ["good.bin", "wrong.bin", "absent.bin", "other.bin", "good.bin"]
    wanted = [make_source(name) for name in names]
    with pytest.raises(SourceError) as refusal:
        fetch_all(wanted)
    said, message = capsys.readouterr().err, str(refusal.value)
    assert "Fetching 4 file(s), 1.2 MB in all:" in said
    assert "4 files of owner/name: 1.2 MB, licence: CC0" in said
    assert message.startswith("could not get 2 files:")
    assert re.findall(r"^- owner/name/(\w+)", message, re.MULTILINE) == ["wrong", "absent"]
    assert list_files(server.cache) == ["good.bin", "other.bin"]
    assert [p.name for p in fetch_all([wanted[3], wanted[0]])] == ["other.bin", "good.bin"]


def test_fetch_all_does_not_knock_again_where_nobody_answers(monkeypatch, server):
    kept = make_source("good.bin")
    fetch(kept, quiet=True)
    monkeypatch.setenv("LUMIRAGE_MIRROR", "http://127.0.0.1:1")
    with pytest.raises(SourceError) as refusal:
        fetch_all([make_source("a"), make_source("b"), kept, make_source("c")], quiet=True)
    assert re.findall(r"^- owner/name/(\w)(: not tried)?", str(refusal.value), re.MULTILINE) == [
        ("a", ""),
        ("b", ": not tried"),
        ("c", ": not tried"),
    ]


def start_fetch(source: Source) -> subprocess.Popen:
    code = (
        f"from lumirage_lib.cohorts.sources import *; print(fetch({source!r}, quiet=True), end='')"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_processes_and_threads_may_fetch_the_same_file_at_once(server):
    source = make_source("crowd.bin")  # the server answers once four have asked
    processes = [start_fetch(source) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda s: str(fetch(s, quiet=True)), [source] * 2))
    paths += [process.communicate(timeout=60)[0] for process in processes]
    assert len(set(paths)) == 1
    assert Path(paths[0]).read_bytes() == CONTENT
    assert server.asked["crowd.bin"] == 4
    assert list_files(server.cache) == ["crowd.bin"]


def test_process_killed_in_mid_download_leaves_nothing_that_is_taken_for_the_file(server):
    source = make_source("slow.bin")
    process = start_fetch(source)
    deadline = time.monotonic() + 60
    while not any(p.stat().st_size for p in server.cache.rglob("*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert "slow.bin" not in list_files(server.cache)
    assert not is_local(source)
    assert fetch(source, quiet=True).read_bytes() == CONTENT


# What is here


def test_check_tells_present_missing_and_corrupt(monkeypatch, server):
    known = [make_source(name) for name in ("good.bin", "other.bin", "never.bin")]
    monkeypatch.setattr(sources, "load_sources", lambda: {s.name: s for s in known})
    good, other = fetch_all(known[:2], quiet=True)
    other.write_bytes(WRONG)
    table = check_sources("owner/name").set_index("name")
    assert table.state.to_dict() == {
        "owner/name/good.bin": "present",
        "owner/name/other.bin": "corrupt",
        "owner/name/never.bin": "missing",
    }
    assert table["where"].tolist() == [str(good), str(other), get_address(known[2])]
    assert (table.licence == "CC0").all()
    assert table.size_mb.tolist() == pytest.approx([len(CONTENT) / 1e6] * 3)
    assert server.asked["never.bin"] == 0


@pytest.mark.mirror
def test_every_known_file_is_in_the_mirror():
    paths = fetch_all(load_sources().values(), quiet=True)
    assert len(paths) == len(load_sources())
    assert (check_sources().state == "present").all()
