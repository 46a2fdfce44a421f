"""Curation from files to the kept patches: places, names, counts, resuming, broken sources."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_hashing import plainly

import napari_cem as cem
from napari_cem import curation_sources, hashing, informative
from napari_cem.curation_patches import bands_of, places
from napari_cem.curation_store import SHARD_PATCHES, merge_archives, read_patches
from napari_cem.curation_tasks import Settings, seed_of
from napari_cem.images import open_volume


def texture(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A volume of blobs that change slowly with z."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    return np.clip(128 + 40 * field / field.std(), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack, an image, a 16-bit image of the same name in a subfolder, and stray files."""
    folder = tmp_path_factory.mktemp("sources")
    tifffile.imwrite(folder / "stack.tif", texture((40, 96, 130)))
    Image.fromarray(texture((150, 100), 1)).save(folder / "one.png")
    (folder / "below").mkdir()
    page = texture((90, 90), 2).astype(np.uint16) * 257
    tifffile.imwrite(folder / "below" / "one.tif", page)
    (folder / "Thumbs.db").write_bytes(b"nothing")
    return folder


def run(sources: Path, **options: object) -> object:
    """Curates with small patches and no filter."""
    return cem.curate(sources, **{"side": 32, "axes": "all", "filter": "none", **options})


def test_every_patch_is_where_the_table_says(sources: Path) -> None:
    table = run(sources)
    volumes = {
        name: curation_sources.eight_bit(np.stack([v.slice(z) for z in range(v.shape[0])]), v)
        for name, path in (
            ("stack", "stack.tif"),
            (f"{sources.name}-one", "one.png"),
            ("below-one", "below/one.tif"),
        )
        for v in [open_volume(sources / path)]
    }  # fmt: skip
    assert set(table["source"]) == set(volumes)
    for row in table.itertuples():
        section = np.moveaxis(volumes[row.source], ["xy", "xz", "yz"].index(row.axis), 0)[row.slice]
        patch = section[row.y : row.y + row.height, row.x : row.x + row.width]
        assert patch.shape == (row.height, row.width)
        assert f"{hashing.dhash(np.ascontiguousarray(patch))[0]:016x}" == row.hash


def test_the_last_section_of_every_axis_is_left_out(sources: Path) -> None:
    table = run(sources / "stack.tif")
    assert {axis: part["slice"].max() for axis, part in table.groupby("axis")} == {
        "xy": 38, "xz": 94, "yz": 128,
    }  # fmt: skip
    assert len(table) == 39 * 3 * 4 + 95 * 4 + 129 * 3  # 40 slices are one patch along z


def test_names_are_those_of_the_paper(sources: Path) -> None:
    table = run(sources)
    names = set(table["name"])
    assert len(names) == len(table)
    assert {"stack-LOC-0_00_0_0", "stack-LOC-1_07_0_32", "stack-LOC-2_128_0_64"} <= names
    assert any(name.endswith("one-LOC-2d_32_64") for name in names)


def test_kept_patches_are_written_and_read_as_they_were(sources: Path, tmp_path: Path) -> None:
    table = run(sources, out=tmp_path / "out")
    patches = dict(read_patches(tmp_path / "out"))
    assert list(patches) == table["name"][table["kept"]].tolist()
    for row in table[table["kept"]].itertuples():
        assert patches[row.name].shape == (row.height, row.width)
        assert f"{hashing.dhash(patches[row.name])[0]:016x}" == row.hash
        assert row.shard == "00000.tar"
    assert (table["shard"][~table["kept"]] == "").all()


def test_the_manifest_is_the_table(sources: Path, tmp_path: Path) -> None:
    import pandas as pd

    table = run(sources, out=tmp_path / "a")
    run(sources, out=tmp_path / "b", manifest="parquet")
    csv = pd.read_csv(tmp_path / "a" / "manifest.csv", dtype={"hash": str}, keep_default_na=False)
    parquet = pd.read_parquet(tmp_path / "b" / "manifest.parquet")
    for found in (csv, parquet):
        assert found["name"].tolist() == table["name"].tolist()
        assert found["hash"].tolist() == table["hash"].tolist()
        assert found["kept"].tolist() == table["kept"].tolist()


def test_a_data_set_is_thinned_as_a_plain_loop_does_it(sources: Path) -> None:
    for seed in range(5):
        table = run(sources / "stack.tif", seed=seed)
        hashes = np.array([int(text, 16) for text in table["hash"]], np.uint64)
        order = hashing.order(len(hashes), seed_of(Settings(seed=seed), "stack"))
        expected = plainly(hashes, order, 12)
        assert (table["name"].to_numpy()[expected] == table["exemplar"]).all()


def test_duplicates_are_looked_for_within_a_data_set_only(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.fromarray(texture((64, 64), 3)).save(tmp_path / f"{name}.png")
    table = run(tmp_path)
    assert (table["exemplar"].str[0] == table["source"]).all()


def test_the_result_does_not_depend_on_workers(sources: Path, tmp_path: Path) -> None:
    tables = [run(sources, out=tmp_path / str(n), workers=n) for n in (1, 2, 3)]
    for n in (2, 3):
        assert tables[n - 1].equals(tables[0])
        assert (tmp_path / str(n) / "patches" / "00000.tar").read_bytes() == (
            tmp_path / "1" / "patches" / "00000.tar"
        ).read_bytes()


def test_a_volume_goes_through_in_bands_and_gives_the_same(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_cem import curation_patches

    whole = run(sources / "stack.tif")
    monkeypatch.setattr(curation_patches, "BAND_BYTES", 96 * 130 * 3)
    monkeypatch.setattr(curation_patches, "MOST_IN_MEMORY", 1000)
    monkeypatch.setattr(curation_patches, "CHUNK", 7)
    assert len(bands_of((40, 96, 130), 1, 32)) == 14
    parts = run(sources / "stack.tif")
    assert set(zip(whole["name"], whole["hash"], strict=True)) == set(
        zip(parts["name"], parts["hash"], strict=True)
    )


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 40), (2, 5, 300), (47, 16, 17), (48, 48, 48)])
def test_bands_hold_every_patch_once(shape: tuple[int, int, int]) -> None:
    for axes in (1, 3):
        bands = bands_of(shape, axes, 32)
        found = np.concatenate([places(band, shape, 32) for band in bands])
        keys = {tuple(row)[:4] for row in found.tolist()}
        assert len(keys) == len(found)
        assert [b.first for b in bands[1:]] == [b.last for b in bands[:-1]]
        assert bands[-1].last == shape[0]


def test_a_broken_source_is_reported_and_skipped(
    sources: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = (sources / "stack.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("not an image")
    tifffile.imwrite(tmp_path / "negative.tif", np.full((20, 40, 40), -1, np.int16))
    tifffile.imwrite(tmp_path / "good.tif", texture((64, 64)))
    table = run(tmp_path, out=tmp_path / "out")
    assert set(table["source"]) == {"good"}
    assert set(table.attrs["failed"]) == {"cut", "text", "negative"}
    assert "negative" in table.attrs["failed"]["negative"]
    report = (tmp_path / "out" / "report.html").read_text()
    assert all(name in report for name in ("cut", "text", "negative"))
    with pytest.raises(ValueError, match="no source could be read"):
        run([tmp_path / "cut.tif", tmp_path / "text.png"])


def test_the_axes_follow_the_voxel(sources: Path) -> None:
    volume = open_volume(sources / "stack.tif")
    assert curation_sources.axes_of(volume, "auto", 0.2, (0, 0)) == 1
    assert curation_sources.axes_of(volume, "auto", 0.2, (10, 12)) == 3
    assert curation_sources.axes_of(volume, "auto", 0.2, (10, 12.1)) == 1
    assert curation_sources.axes_of(volume, "all", 0.2, (10, 100)) == 3
    assert set(run(sources / "stack.tif", axes="auto")["axis"]) == {"xy"}
    near = run(sources / "stack.tif", axes="auto", pixel_nm=10, spacing_nm=10)
    assert set(near["axis"]) == {"xy", "xz", "yz"}


def test_an_array_is_curated_too() -> None:
    table = run(texture((20, 64, 64)))
    assert set(table["source"]) == {"array"}
    assert 0 < table["kept"].sum() < len(table)


def test_of_a_colour_image_the_first_channel_counts(tmp_path: Path) -> None:
    picture = np.stack([texture((64, 64), k) for k in range(3)], axis=-1)
    Image.fromarray(picture).save(tmp_path / "colour.png")
    table = run(tmp_path / "colour.png")
    hashes = [int(text, 16) for text in table["hash"]]
    assert hashes[0] == hashing.dhash(np.ascontiguousarray(picture[:32, :32, 0]))[0]


def test_a_folder_can_be_one_stack(tmp_path: Path) -> None:
    for z, page in enumerate(texture((5, 64, 64))):
        Image.fromarray(page).save(tmp_path / f"{z}.png")
    assert run(tmp_path)["source"].nunique() == 5
    assert run(tmp_path, stacks=True)["source"].nunique() == 1


def test_names_are_told_apart_by_their_folders() -> None:
    paths = [Path(text) for text in ("/a/x.tif", "/b/x.tif", "/b/y-LOC-1.tif", "/c/b/x.png")]
    names = curation_sources.unique_names(paths)
    assert len(set(names)) == 4
    assert names[2] == "y-loc-1"


def test_results_are_not_overwritten_unasked(sources: Path, tmp_path: Path) -> None:
    run(sources / "one.png", out=tmp_path / "out")
    with pytest.raises(FileExistsError, match="exists already"):
        run(sources / "one.png", out=tmp_path / "out")
    before = (tmp_path / "out" / "manifest.csv").read_text()
    run(sources / "one.png", out=tmp_path / "out", overwrite=True, seed=1)
    assert (tmp_path / "out" / "manifest.csv").read_text().splitlines()[0] == before.splitlines()[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize(
    "options",
    [{"axes": "xz"}, {"side": 4}, {"max_distance": 65}, {"manifest": "xml"}, {"filter": "nowhere"}],
)
def test_settings_out_of_range_are_refused(sources: Path, options: dict) -> None:
    with pytest.raises((ValueError, OSError)):
        run(sources, **options)


def test_a_stopped_run_goes_on_only_as_it_was_begun(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_cem import curation

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    straight = run(sources, out=tmp_path / "straight")
    with monkeypatch.context() as patch:
        patch.setattr(curation.Run, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            run(sources, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(FileExistsError, match="--resume"):
        run(sources, out=tmp_path / "out")
    with pytest.raises(ValueError, match="max_distance"):
        run(sources, out=tmp_path / "out", resume=True, max_distance=3)
    with monkeypatch.context() as patch:
        patch.setattr("napari_cem.curation_tasks.examine", stop)
        again = run(sources, out=tmp_path / "out", resume=True)
    assert again.equals(straight)


def test_shards_are_filled_and_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_cem import curation, curation_store

    assert SHARD_PATCHES == 10000
    for module in (curation, curation_store):
        monkeypatch.setattr(module, "SHARD_PATCHES", 7)
    table = cem.curate(
        texture((30, 64, 64)), tmp_path / "out", side=32, filter="none", max_distance=0
    )
    kept = table[table["kept"]]
    shards = sorted(path.name for path in (tmp_path / "out" / "patches").iterdir())
    assert len(shards) == -(-len(kept) // 7) > 3
    assert kept["shard"].tolist() == [f"{k // 7:05}.tar" for k in range(len(kept))]
    assert [name for name, _ in read_patches(tmp_path / "out")] == kept["name"].tolist()
    merge_archives([], tmp_path)
    assert not list(tmp_path.glob("*.tar"))


def test_the_command_tells_counts_and_failures(sources: Path, tmp_path: Path, command) -> None:
    (tmp_path / "bad.tif").write_bytes(b"II*\0")
    out = tmp_path / "out"
    arguments = ("curate", sources, tmp_path / "bad.tif", "--side", 32, "--out", out)
    status, text, err = command(*arguments, "--filter", "none", "--json")
    assert status == 0, err
    last = json.loads(text.splitlines()[-1])
    assert last["event"] == "result"
    assert last["patches"] == last["exemplars"] + last["duplicates"]
    assert last["exemplars"] == last["kept"] + last["rejected"]
    assert list(last["failed"]) == ["bad"]
    status, _, err = command(*arguments)
    assert status == 2
    assert "exists already" in err


@pytest.mark.long
def test_a_killed_run_goes_on_to_the_same_result(start, tmp_path: Path) -> None:
    import random

    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(6):
        tifffile.imwrite(folder / f"s{k}.tif", texture((48, 200, 200), k))
    arguments = ("curate", "in", "--side", 32, "--axes", "all", "--out")
    began = time.monotonic()
    process = start(*arguments, "straight")
    assert process.wait(300) == 0, process.stderr.read()
    length = time.monotonic() - began
    moments = random.Random(0)
    kills = 0
    while kills < 8:
        more = ("--resume",) if (tmp_path / "out.partial").exists() else ()
        process = start(*arguments, "out", *more)
        deadline = time.monotonic() + length * moments.uniform(0.3, 0.9)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.005)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
        assert not (tmp_path / "out").exists() or not (tmp_path / "out.partial").exists()
        if (tmp_path / "out").exists():
            break
    if not (tmp_path / "out").exists():
        more = ("--resume",) if (tmp_path / "out.partial").exists() else ()
        process = start(*arguments, "out", *more)
        assert process.wait(300) == 0, process.stderr.read()
    assert kills > 0
    for name in ("manifest.csv", "report.html", "patches/00000.tar"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_dask_gives_the_same_result(sources: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster

    straight = run(sources, out=tmp_path / "straight")
    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        there = run(sources, out=tmp_path / "out", cluster=cluster.scheduler_address)
    assert there.equals(straight)
    for name in ("manifest.csv", "patches/00000.tar"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_kept_sets_of_the_development_images_are_those_of_a_plain_loop(shared: Path) -> None:
    labelled = ("isbi2012", "axon_sem", "epfl_training", "vnc_stack1")
    files = [shared / "d_pool", *(shared / "b_dev" / name for name in labelled)]
    for seed in range(5):
        table = cem.curate(files, filter="none", seed=seed)
        for name, part in table.groupby("source"):
            hashes = np.array([int(text, 16) for text in part["hash"]], np.uint64)
            order = hashing.order(len(hashes), seed_of(Settings(seed=seed), str(name)))
            expected = plainly(hashes, order, 12)
            assert (part["kept"].to_numpy() == (expected == np.arange(len(part)))).all()


def test_materials_are_mostly_rejected(shared: Path) -> None:
    table = cem.curate(shared / "d_pool" / "emps_materials_ood")
    mostly = table.groupby("source")["score"].apply(lambda s: (s > informative.LIMIT).mean() < 0.5)
    assert len(mostly) == 24
    assert mostly.sum() >= 19


def test_tissue_is_mostly_kept(shared: Path) -> None:
    for folder in ("b_dev/isbi2012/raw_30x512x512.tif", "d_pool/vnc_stack2", "d_pool/isbi_test"):
        table = cem.curate(shared / folder)
        assert (table["score"] > informative.LIMIT).mean() > 0.95


def test_windows_that_are_mostly_resin_are_rejected(shared: Path) -> None:
    from scipy.ndimage import gaussian_filter

    image = open_volume(shared / "a_sample" / "er_tem" / "image.tif").slice(0)
    resin = gaussian_filter(image.astype(float), 3) > 225
    random, judge, looked_at = np.random.default_rng(0), informative.load(), 0
    for _ in range(2000):
        height, width = random.integers(112, 225, 2)
        top = random.integers(image.shape[0] - height + 1)
        left = random.integers(image.shape[1] - width + 1)
        window = np.s_[top : top + height, left : left + width]
        if resin[window].mean() >= 0.8:
            looked_at += 1
            assert judge.score(image[window][None])[0] < informative.LIMIT
    assert looked_at > 100
