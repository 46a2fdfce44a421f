"""The weights cache: downloads from a server on this machine, import, names, and the list."""

import contextlib
import http.server
import json
import logging
import os
import resource
import threading
from pathlib import Path

import checkpoints
import numpy as np
import pytest
from checkpoints import small, write_stream, write_zip
from safetensors.numpy import load_file

from napari_cem import _core, download, weights

FILE = weights.KNOWN["cem1.5m"].files[0]


class Server(http.server.ThreadingHTTPServer):
    """Serves one file; a test says how it misbehaves."""

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data = data
        self.tag = '"1"'
        self.ranges = True
        self.length = True
        self.cuts: list[int] = []  # how many bytes of each answer to send, in turn
        self.status = 200
        self.asked: list[str | None] = []  # the Range of each request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if self.path != f"/{FILE}" or server.status != 200:
            self.send_error(404 if server.status == 200 else server.status)
            return
        start = 0
        if server.ranges and wanted and self.headers.get("If-Range") == server.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        size = len(server.data)
        if start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if server.length:
            self.send_header("Content-Length", str(size - start))
        if server.tag:
            self.send_header("ETag", server.tag)
        self.end_headers()
        count = server.cuts.pop(0) if server.cuts else size
        with contextlib.suppress(ConnectionError):
            self.wfile.write(server.data[start : start + count])


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> bytes:
    """The bytes of a checkpoint in the layout of CEM1.5M."""
    path = tmp_path_factory.mktemp("published") / FILE
    return write_zip(path, checkpoints.torchvision()).read_bytes()


@pytest.fixture
def server(published):
    server = Server(published)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, and no way to a network but this machine."""
    monkeypatch.setenv("NAPARI_CEM_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "cache"


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# ---- Fetching ----


def test_fetched_weights_are_converted_once_and_their_hash_is_recorded(server, cache, tmp_path):
    path = weights.fetch("cem1.5m", base_url=server.url)
    assert path == cache / "cem1.5m.safetensors"
    assert names(cache) == ["cem1.5m.json", "cem1.5m.safetensors"]
    (tmp_path / "copy").write_bytes(server.data)
    digest = weights.sha256(tmp_path / "copy")
    record = json.loads((cache / "cem1.5m.json").read_text())
    assert record == {
        "name": "cem1.5m",
        "sha256": digest,
        "size": len(server.data),
        "url": f"{server.url}/{FILE}",
    }
    card = weights.read_card(path)
    assert card["norms"] == [0.575710, 0.127650]
    assert card["base"] == {"name": "cem1.5m", "sha256": digest}
    assert weights.fetch("cem1.5m", base_url=server.url) == path
    assert server.asked == [None]


def test_progress_is_told_up_to_the_end(server):
    told = []
    weights.fetch("cem1.5m", lambda done, total: told.append((done, total)), server.url)
    assert told == sorted(told)
    assert told[-1] == (len(server.data), len(server.data))


def test_a_connection_cut_half_way_is_resumed_where_it_was(server, cache):
    server.cuts = [len(server.data) // 2]
    path = weights.fetch("cem1.5m", base_url=server.url)
    assert server.asked == [None, f"bytes={len(server.data) // 2}-"]
    assert len(load_file(path)) == 318


def test_a_later_fetch_goes_on_where_an_interrupted_one_stopped(server, cache):
    def interrupt(done: int, total: int | None) -> None:
        if done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.fetch("cem1.5m", interrupt, server.url)
    kept = (cache / f"{FILE}.part").stat().st_size
    assert 1_000_000 < kept < len(server.data)
    [entry] = [entry for entry in weights.listing() if entry.name == "cem1.5m"]
    assert (entry.state, entry.size) == ("partly downloaded", kept)
    weights.fetch("cem1.5m", base_url=server.url)
    assert server.asked == [None, f"bytes={kept}-"]
    assert names(cache) == ["cem1.5m.json", "cem1.5m.safetensors"]


def test_a_server_without_ranges_sends_all_again(server):
    server.ranges = False
    server.cuts = [1000]
    assert len(load_file(weights.fetch("cem1.5m", base_url=server.url))) == 318
    assert server.asked == [None, "bytes=1000-"]


def test_two_versions_of_a_file_are_never_joined(server, cache):
    server.cuts = [1000, 0, 0]
    with pytest.raises(OSError):
        weights.fetch("cem1.5m", base_url=server.url)
    (cache / f"{FILE}.part").write_bytes(b"old" * 300)
    server.tag = '"2"'
    server.cuts = []
    assert len(load_file(weights.fetch("cem1.5m", base_url=server.url))) == 318


def test_a_server_that_names_no_version_is_asked_for_all_again(server):
    server.tag = ""
    server.cuts = [1000]
    assert len(load_file(weights.fetch("cem1.5m", base_url=server.url))) == 318
    assert server.asked == [None, None]


def test_a_server_that_tells_no_length_is_believed(server):
    server.length = False
    told = []
    weights.fetch("cem1.5m", lambda done, total: told.append(total), server.url)
    assert set(told) == {None}


def test_a_download_that_was_complete_is_not_repeated(server, cache):
    def stop(done: int, total: int | None) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.fetch("cem1.5m", stop, server.url)
    assert len(load_file(weights.fetch("cem1.5m", base_url=server.url))) == 318
    assert server.asked == [None, f"bytes={len(server.data)}-"]


def test_a_failed_download_says_how_to_do_it_by_hand(server, cache):
    server.cuts = [1000, 1000, 1000]
    with pytest.raises(OSError) as caught:
        weights.fetch("cem1.5m", base_url=server.url)
    line = str(caught.value)
    assert "3000 bytes are kept" in line
    assert weights.KNOWN["cem1.5m"].url in line
    assert "napari-cem weights import FILE" in line
    assert "\n" not in line
    assert (cache / f"{FILE}.part").read_bytes() == server.data[:3000]
    assert weights.cached("cem1.5m") is None


def test_an_answer_that_is_no_file_is_told_by_its_number(server):
    server.status = 503
    with pytest.raises(OSError, match="answers 503"):
        weights.fetch("cem1.5m", base_url=server.url)
    assert server.asked == [None]


def test_a_server_that_is_not_there_is_an_os_error(server):
    server.server_close()
    with pytest.raises(OSError, match=r"could not be downloaded: .*; by hand: download https://"):
        weights.fetch("cem1.5m", base_url=server.url)


def test_what_differs_from_the_first_download_is_refused(server, cache):
    weights.fetch("cem1.5m", base_url=server.url).unlink()
    first = json.loads((cache / "cem1.5m.json").read_text())["sha256"]
    server.data = server.data + b"\0"
    with pytest.raises(ValueError, match=f"but {first} was recorded"):
        weights.fetch("cem1.5m", base_url=server.url)
    assert names(cache) == ["cem1.5m.json"]
    (cache / "cem1.5m.json").unlink()
    server.data = server.data[:-1]
    assert weights.fetch("cem1.5m", base_url=server.url).is_file()


def test_a_download_that_is_no_checkpoint_leaves_nothing(server, cache):
    server.data = b"<html>log in</html>"
    with pytest.raises(ValueError, match="no PyTorch checkpoint"):
        weights.fetch("cem1.5m", base_url=server.url)
    assert names(cache) == []


def test_two_processes_do_not_write_one_download(server, cache):
    part = cache / f"{FILE}.part"
    with download.alone(part), pytest.raises(OSError, match="another process"):
        weights.fetch("cem1.5m", base_url=server.url)
    assert server.asked == []


@pytest.mark.parametrize("url", ["http://example.org", "ftp://127.0.0.1", "file:///etc", "x"])
def test_what_is_not_https_is_refused(url):
    with pytest.raises(ValueError, match="is not an https address"):
        weights.fetch("cem1.5m", base_url=url)


def test_a_redirect_away_from_https_is_refused(monkeypatch):
    request = download.urllib.request.Request("https://zenodo.org/a")
    follow = download._SafeRedirects().redirect_request
    for target in ("http://zenodo.org/a", "file:///etc/passwd"):
        with pytest.raises(ValueError, match="is not an https address"):
            follow(request, None, 302, "Found", {}, target)
    with pytest.raises(OSError, match="redirects from https"):
        follow(request, None, 302, "Found", {}, "http://127.0.0.1/a")
    assert follow(request, None, 302, "Found", {}, "https://b.org/a").full_url == "https://b.org/a"


def test_an_unknown_name_cannot_be_fetched():
    with pytest.raises(ValueError, match=r"what can be fetched: cem500k, cem1\.5m"):
        weights.fetch("imagenet")


def test_the_published_addresses_are_https():
    for known in weights.KNOWN.values():
        assert known.url.startswith("https://zenodo.org/record/")
        assert known.files[0] in known.url


# ---- Importing ----


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("cem500k_mocov2_resnet50_200ep.pth.tar", "cem500k"),
        ("cem500k_mocov2_resnet50_200ep_pth.tar", "cem500k"),
        ("cellemnet_filtered_moco_v2_200ep.pth.tar", "cem500k"),
        (FILE, "cem1.5m"),
        ("mine.pth", "mine"),
        ("my file (2).pth.tar", "my-file-2-"),
        ("scratch.pt", "imported"),
        ("....pth", "imported"),
    ],
)
def test_imported_weights_go_by_their_published_name_or_their_own(published, cache, file, name):
    source = cache.parent / file
    source.write_bytes(published)
    path = weights.import_file(source)
    assert path == cache / f"{name}.safetensors"
    assert weights.cached(name) == path
    assert weights.resolve(name) == path
    assert weights.read_card(path)["base"]["name"] == name


def test_an_encoder_file_has_the_tensors_and_the_card(tmp_path):
    content = checkpoints.moco()
    source = write_stream(tmp_path / "moco.pth.tar", content)
    path = weights.import_file(source, tmp_path / "w.safetensors")
    found = load_file(path)
    assert len(found) == 318
    for name, array in found.items():
        saved = content["state_dict"]["module.encoder_q." + name.removeprefix("encoder.")]
        assert array.dtype == saved.dtype
        assert array.shape == saved.shape
        np.testing.assert_array_equal(array, saved)
    assert weights.read_card(path) == {
        "format": "napari-cem",
        "version": 1,
        "kind": "encoder",
        "architecture": "resnet50",
        "norms": checkpoints.NORMS,
        "base": {"name": "moco", "sha256": weights.sha256(source)},
    }


def test_importing_twice_gives_the_same_bytes(tmp_path):
    source = write_zip(tmp_path / "a.pth", checkpoints.torchvision())
    first = weights.import_file(source, tmp_path / "1.safetensors")
    second = weights.import_file(source, tmp_path / "2.safetensors")
    assert first.read_bytes() == second.read_bytes()


def test_missing_norms_are_replaced_with_a_warning(tmp_path, caplog):
    source = write_zip(tmp_path / "a.pth", checkpoints.encoder())
    logging.getLogger("napari_cem").addHandler(caplog.handler)
    path = weights.import_file(source, tmp_path / "w.safetensors")
    logging.getLogger("napari_cem").removeHandler(caplog.handler)
    assert weights.read_card(path)["norms"] == [0.58331613, 0.09966064]
    [record] = {record.getMessage() for record in caplog.records}
    assert "taking 0.583316 and 0.0996606" in record


def test_an_existing_file_is_not_overwritten(tmp_path):
    out = tmp_path / "w.safetensors"
    out.write_text("precious")
    source = write_zip(tmp_path / "a.pth", small())
    with pytest.raises(FileExistsError, match="exists already"):
        weights.import_file(source, out)
    assert out.read_text() == "precious"


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path, monkeypatch):
    out = tmp_path / "w.safetensors"
    source = write_zip(tmp_path / "a.pth", checkpoints.torchvision())
    read = weights.checkpoint.read
    monkeypatch.setattr(
        weights.checkpoint, "read", lambda path: (out.write_text("precious"), read(path))[1]
    )
    with pytest.raises(FileExistsError, match="exists already"):
        weights.import_file(source, out)
    assert out.read_text() == "precious"
    assert names(tmp_path) == ["a.pth", "w.safetensors"]


def test_a_refused_checkpoint_leaves_nothing(tmp_path, cache):
    source = write_zip(tmp_path / "a.pth", small(norms=[5, 5]))
    with pytest.raises(ValueError, match=r"a\.pth: its norms are \[5, 5\]"):
        weights.import_file(source)
    assert names(tmp_path) == ["a.pth"]


def test_a_file_by_hand_must_be_the_one_that_was_recorded(server, cache, tmp_path):
    weights.fetch("cem1.5m", base_url=server.url).unlink()
    source = tmp_path / FILE
    source.write_bytes(server.data + b"\0")
    with pytest.raises(ValueError, match="was recorded"):
        weights.import_file(source)
    source.write_bytes(server.data)
    assert weights.import_file(source) == cache / "cem1.5m.safetensors"


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    source = write_zip(tmp_path / "a.pth", checkpoints.torchvision())
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        weights.import_file(source, tmp_path / "file" / "w.safetensors")


@pytest.fixture
def little_room():
    """Files of this process may not pass 10 MB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_import_without_room_is_an_os_error_and_leaves_nothing(published, tmp_path, request):
    source = tmp_path / "a.pth"
    source.write_bytes(published)
    request.getfixturevalue("little_room")
    with pytest.raises(OSError, match=r"w\.safetensors"):
        weights.import_file(source, tmp_path / "w.safetensors")
    assert names(tmp_path) == ["a.pth"]


def test_a_download_without_room_names_the_file_and_keeps_what_came(server, cache, little_room):
    with pytest.raises(OSError, match=r"File too large: .*\.part") as caught:
        weights.fetch("cem1.5m", base_url=server.url)
    assert "by hand" not in str(caught.value)
    kept = (cache / f"{FILE}.part").read_bytes()
    assert kept == server.data[: len(kept)]


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_a_whole_unet_becomes_a_model_that_the_core_loads(tmp_path, outputs):
    widths = (32, 24, 16, 8, 8)
    content = checkpoints.unet(outputs, widths)
    source = write_zip(tmp_path / "unet.pth", content)
    path = weights.import_file(source, tmp_path / "model.safetensors")
    model = _core.Model.load(str(path))
    card = json.loads(model.card())
    assert model.classes == max(2, outputs)
    assert model.outputs == (1 if outputs < 3 else outputs)
    assert card["widths"] == list(widths)
    assert card["norms"] == checkpoints.NORMS
    assert card["intensity_rule"] == "norms"
    assert [entry["value"] for entry in card["classes"]] == list(range(1, max(2, outputs) + 1))
    state = content["state_dict"]
    if outputs == 2:
        for name in ("segmentation_head.0.weight", "segmentation_head.0.bias"):
            state[name] = state[name][1:] - state[name][:1]
    for index, (name, _) in enumerate(model.tensors()):
        np.testing.assert_array_equal(model.tensor_get(index), state[name].astype(np.float32))


def test_the_core_loads_an_imported_encoder(tmp_path):
    content = checkpoints.torchvision()
    path = weights.import_file(write_zip(tmp_path / "a.pth", content), tmp_path / "w.safetensors")
    model = _core.Model(classes=2)
    model.load_encoder(str(path))
    for index, (name, _) in enumerate(model.tensors()):
        if name.startswith("encoder."):
            saved = content["state_dict"][name.removeprefix("encoder.")].astype(np.float32)
            np.testing.assert_array_equal(model.tensor_get(index), saved)


# ---- Names, cards, the list ----


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_CEM_CACHE", str(tmp_path / "other"))
    assert weights.folder() == tmp_path / "other"
    monkeypatch.delenv("NAPARI_CEM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.folder().name == "napari-cem"


def test_a_name_that_is_not_cached_and_cannot_be_fetched_says_what_to_do(server, monkeypatch):
    server.status = 404
    known = weights.KNOWN["cem1.5m"]
    there = weights.Known(f"{server.url}/{FILE}", known.files, known.norms)
    monkeypatch.setattr(weights, "KNOWN", {**weights.KNOWN, "cem1.5m": there})
    with pytest.raises(OSError) as caught:
        weights.resolve("cem1.5m")
    assert str(caught.value) == (
        f"{there.url} answers 404 Not Found; by hand: download {there.url} and run: "
        "napari-cem weights import FILE"
    )


def test_a_name_that_is_not_cached_is_fetched(server, monkeypatch):
    known = weights.KNOWN["cem1.5m"]
    there = weights.Known(f"{server.url}/{FILE}", known.files, known.norms)
    monkeypatch.setattr(weights, "KNOWN", {**weights.KNOWN, "cem1.5m": there})
    assert weights.resolve("cem1.5m") == weights.cached("cem1.5m")


def test_a_checkpoint_in_place_of_weights_says_to_import_it(tmp_path):
    path = write_zip(tmp_path / "a.pth", small())
    with pytest.raises(ValueError, match=f"napari-cem weights import {path}"):
        weights.resolve(path)


@pytest.mark.parametrize("name", ["nothing", "../cache", "/etc/none", "", "cem500k.safetensors"])
def test_names_of_nothing_are_refused_with_the_names_there_are(name):
    with pytest.raises(OSError, match=r"nor the name of weights: starter, cem500k, cem1\.5m"):
        weights.resolve(name)


def test_the_list_has_what_is_known_and_what_was_imported(published, cache, tmp_path):
    assert [(e.name, e.state) for e in weights.listing()] == [
        ("starter", "in the package"),
        ("cem500k", "not in the cache"),
        ("cem1.5m", "not in the cache"),
    ]
    source = tmp_path / "b.pth"
    source.write_bytes(published)
    path = weights.import_file(source)
    entry = weights.listing()[3]
    assert (entry.name, entry.state, entry.path) == ("b", "cached", path)
    assert (entry.size, entry.sha256) == (path.stat().st_size, weights.sha256(source))


def test_a_stranger_in_the_cache_does_not_break_the_list(cache):
    cache.mkdir()
    (cache / "odd.safetensors").write_bytes(b"nonsense")
    (cache / "cem500k.safetensors").write_bytes(b"")
    states = [entry.state for entry in weights.listing()]
    assert states == ["in the package", "cached", "not in the cache", "cached"]


@pytest.mark.parametrize("card", ["[1]", "{", '"x"', "[" * 100_000])
def test_a_card_that_is_no_object_is_refused(tmp_path, card):
    from safetensors.numpy import save_file

    path = tmp_path / "w.safetensors"
    save_file({"a": np.zeros(1)}, path, metadata={"card": card})
    with pytest.raises(ValueError, match="card that is no JSON object"):
        weights.read_card(path)


def test_a_file_without_a_card_has_an_empty_one(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(1)}, tmp_path / "w.safetensors")
    assert weights.read_card(tmp_path / "w.safetensors") == {}
