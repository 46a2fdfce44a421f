"""Reading PyTorch checkpoints: every layout in both containers, and everything that is refused."""

import io
import os
import pickle
import random
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import checkpoints
import numpy as np
import pytest
from checkpoints import WRITERS, Call, Pickler, Saved, small, write_stream, write_zip
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cem import _core, archive, checkpoint, pickled
from napari_cem.pickled import Placeholder
from napari_cem.torch_objects import Tensor

GOLDEN = Path(__file__).parent / "golden"
BOTH = pytest.mark.parametrize("container", ["zip", "stream"])


def refusal(path) -> str:
    """The one line with which `path` is refused."""
    with pytest.raises(ValueError) as caught:
        checkpoint.read(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


def unpickled(data: bytes) -> object:
    return pickled.load(io.BytesIO(data), {}, lambda identity: identity)


def opened(path, names):
    """Some of a checkpoint's tensors by the names in its top dictionary."""
    with path.open("rb") as stream:
        found = archive.open_archive(stream)
        return found.tensors({name: found.content[name] for name in names})


# ---- What is read ----


@BOTH
def test_the_query_encoder_of_a_moco_checkpoint_is_read(tmp_path, container):
    content = checkpoints.moco()
    found = checkpoint.read(WRITERS[container](tmp_path / "moco.pth.tar", content))
    assert len(content["state_dict"]) == 646
    assert len(found.tensors) == 318
    assert found.norms == (0.58331613, 0.09966064)
    assert (found.outputs, found.widths) == (0, ())
    for name, array in found.tensors.items():
        saved = content["state_dict"]["module.encoder_q." + name.removeprefix("encoder.")]
        assert array.dtype == saved.dtype
        np.testing.assert_array_equal(array, saved)


def test_both_containers_give_the_same_torchvision_style_encoder(tmp_path):
    content = checkpoints.torchvision()
    found = [checkpoint.read(write(tmp_path / "x", content)) for write in WRITERS.values()]
    assert found[0].norms == found[1].norms == (0.575710, 0.127650)
    assert list(found[0].tensors) == list(found[1].tensors)
    for name, array in found[0].tensors.items():
        np.testing.assert_array_equal(array, found[1].tensors[name])
        np.testing.assert_array_equal(array, content["state_dict"][name.removeprefix("encoder.")])


@pytest.mark.parametrize(("outputs", "widths"), [(1, checkpoints.WIDTHS), (4, (32, 24, 16, 8, 8))])
def test_a_whole_unet_is_read_with_its_classes_and_widths(tmp_path, outputs, widths):
    content = checkpoints.unet(outputs, widths)
    found = checkpoint.read(write_zip(tmp_path / "unet.pth", content))
    assert len(content["state_dict"]) == len(found.tensors) == 380
    assert (found.outputs, found.widths) == (outputs, widths)
    for name, array in found.tensors.items():
        np.testing.assert_array_equal(array, content["state_dict"][name])


def test_the_tables_of_names_have_the_published_number_of_parameters():
    shapes = checkpoint.encoder_shapes()
    trained = [n for n in shapes if not n.endswith(("_mean", "_var", "_tracked"))]
    assert sum(int(np.prod(shapes[name])) for name in trained) == 23_501_760
    shapes = checkpoint.decoder_shapes(checkpoints.WIDTHS, 1)
    trained = [n for n in shapes if not n.endswith(("_mean", "_var", "_tracked"))]
    assert sum(int(np.prod(shapes[name])) for name in trained) == 9_012_928 + 145


def test_the_tables_of_names_are_those_of_the_core():
    core = _core.Model(classes=3)
    ours = {f"encoder.{name}": shape for name, shape in checkpoint.encoder_shapes().items()}
    ours |= checkpoint.decoder_shapes(checkpoints.WIDTHS, 3)
    assert {name: tuple(shape) for name, shape in core.tensors()} == ours


@pytest.mark.parametrize("prefix", checkpoint.PREFIXES)
def test_every_known_prefix_is_found(tmp_path, prefix):
    state = checkpoints.encoder(prefix)
    found = checkpoint.read(write_zip(tmp_path / "x", {"state_dict": state}))
    name = "layer4.2.conv3.weight"
    np.testing.assert_array_equal(found.tensors[f"encoder.{name}"], state[prefix + name])


def test_a_bare_state_dict_without_norms_is_read(tmp_path):
    found = checkpoint.read(write_stream(tmp_path / "x.pth", checkpoints.encoder()))
    assert len(found.tensors) == 318
    assert found.norms is None


@BOTH
@pytest.mark.parametrize("kind", ["f2", "f8"])
def test_half_and_double_precision_become_single(tmp_path, container, kind):
    state = checkpoints.encoder()
    name = "layer1.0.conv2.weight"
    state[name] = state[name].astype(kind)
    found = checkpoint.read(WRITERS[container](tmp_path / "x", {"state_dict": state}))
    assert found.tensors[f"encoder.{name}"].dtype == np.float32
    np.testing.assert_array_equal(found.tensors[f"encoder.{name}"], state[name].astype("f4"))


@BOTH
def test_bfloat16_has_the_upper_half_of_single_precision(tmp_path, container):
    numbers = np.array([1.5, -2.0, 3.140625, 1e30], np.float32)
    upper = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    saved = Saved(upper, (4,), (1,), storage="BFloat16")
    path = WRITERS[container](tmp_path / "x", {"a": saved})
    expected = (upper.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(opened(path, ["a"])["a"], expected)


def test_views_that_are_no_run_of_numbers_are_read(tmp_path):
    block = np.arange(120, dtype=np.float32)
    views = {
        "turned": Saved(block, (4, 3), (1, 4), 5),
        "channels_last": Saved(block, (2, 3, 4, 5), (60, 1, 15, 3)),
        "spread": Saved(block, (3,), (50,), 2),
        "empty": Saved(block, (0, 7), (7, 1)),
        "one": Saved(block, (), (), 119),
    }
    strided = np.lib.stride_tricks.as_strided
    for container, write in WRITERS.items():
        found = opened(write(tmp_path / container, views), views)
        for name, view in views.items():
            strides = [4 * s for s in view.stride]
            np.testing.assert_array_equal(
                found[name], strided(block[view.offset :], view.shape, strides)
            )
            assert found[name].flags.c_contiguous


def test_a_big_endian_archive_is_read(tmp_path):
    array = np.array([1.0, -2.5], np.float32)
    path = write_zip(tmp_path / "x", {"a": array}, order="big")
    np.testing.assert_array_equal(opened(path, ["a"])["a"], array)


@pytest.mark.parametrize("root", ["archive", "current.pth", "a/b"])
def test_the_archives_root_may_have_any_name(tmp_path, root):
    array = np.ones(3, np.float32)
    path = write_zip(tmp_path / "x", {"a": array}, root=root)
    np.testing.assert_array_equal(opened(path, ["a"])["a"], array)


def test_views_of_storages_of_old_streams_are_read(tmp_path):
    block = np.arange(10, dtype=np.float32)
    saved = Saved(block, (2, 2), (2, 1), 1, view=("7", 4, 6))
    path = write_stream(tmp_path / "x", {"a": saved})
    np.testing.assert_array_equal(opened(path, ["a"])["a"], [[5, 6], [7, 8]])


def test_python_2s_ordered_dictionaries_are_read():
    pairs = [["b", 1], ["a", (2.5, None)]]
    data = Pickler().dump(Call("collections OrderedDict", (pairs,)))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        zipped.writestr("x/data.pkl", data)
    content = archive.open_archive(io.BufferedReader(io.BytesIO(stream.getvalue()))).content
    assert content == {"b": 1, "a": (2.5, None)}


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_norms_may_be_numpy_numbers(tmp_path, kind):
    numbers = [np.dtype(kind).type(number) for number in checkpoints.NORMS]
    dtype = Call("numpy dtype", (np.dtype(kind).str[1:], False, True), (3, "<", None))
    calls = [
        Call(
            "numpy.core.multiarray scalar",
            (dtype, Call("_codecs encode", (n.tobytes().decode("latin1"), "latin1"))),
        )
        for n in numbers
    ]
    content = checkpoints.torchvision() | {"norms": calls}
    found = checkpoint.read(write_zip(tmp_path / "x", content))
    assert found.norms == tuple(float(number) for number in numbers)


def test_what_cannot_be_made_outside_the_weights_does_no_harm(tmp_path):
    content = checkpoints.torchvision()
    content["optimizer"] = Call("torch.optim.adamw AdamW", (), {"lr": Call("x y")})
    content["args"] = [
        Call("argparse Namespace", (), {"gpu": None}),
        Saved(np.zeros(1), (9,), (9,)),
    ]
    assert len(checkpoint.read(write_zip(tmp_path / "x", content)).tensors) == 318


@BOTH
def test_what_pytorch_itself_wrote_is_read(container):
    path = GOLDEN / f"checkpoint_{container}.pth"
    numbers = np.arange(120, dtype=np.float32)
    kinds = ("float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8")
    expected = {kind: np.arange(6, dtype=kind).reshape(2, 3) for kind in kinds}
    expected["bfloat16"] = np.arange(6, dtype=np.float32).reshape(2, 3)
    expected["bool"] = np.array([[0, 1, 1], [1, 1, 1]], np.uint8)
    expected["turned"] = numbers[:12].reshape(3, 4).T
    expected["part"] = numbers[7:19].reshape(3, 4)[:, 1:3]
    expected["channels_last"] = numbers.reshape(2, 3, 4, 5)
    expected["parameter"] = numbers[:3]
    expected["scalar"] = np.array(5)
    expected["empty"] = np.zeros((0, 3), np.float32)
    found = opened(path, expected)
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


# ---- The pickle machine ----

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**100), 2**100)
    | st.floats(allow_nan=False)
    | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=4)
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(PLAIN, st.integers(3, 5))
def test_plain_data_is_unpickled_as_python_does(value, protocol):
    assert unpickled(pickle.dumps([value, value], protocol)) == [value, value]


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_is_understood(protocol):
    value = {"a": [1, 2.5, (None, True, "é"), -(10**30)], "b": {}, "c": ()}
    value["again"] = value["a"]
    found = unpickled(pickle.dumps(value, protocol))
    assert found == value
    assert found["again"] is found["a"]


@pytest.mark.parametrize("protocol", range(6))
def test_objects_become_placeholders_that_know_their_name(protocol):
    found = unpickled(
        pickle.dumps([io.StringIO, re.compile("x"), {1, 2}, frozenset(), 3], protocol)
    )
    assert [type(item) for item in found] == [Placeholder] * 4 + [int]
    assert repr(found[0]) in ("_io.StringIO", "io.StringIO")
    assert repr(found[1]) == "re._compile"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"N",
        b"0.",
        b"t.",
        b"R.",
        b"K\x01)R.",
        b"h\x05.",
        b"NNs.",
        b"](K\x01u.",
        b"}(K\x01u.",
        b"NNa.",
        b"K\x01K\x02\x93.",
        b"2.",
        b"\x85.",
        b"Nb.",
        b"}K\x01\x86Q",
        b"\xff.",
        b"X\xff\xff\xff\xffabc.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"I1x\n.",
        b"X\x01\x00\x00\x00\xff.",
    ],
)
def test_a_malformed_pickle_is_a_value_error(data):
    with pytest.raises(ValueError):
        unpickled(data)


def test_what_the_decoder_says_of_damage_is_cut_to_a_short_line():
    with pytest.raises(ValueError, match="its pickle is damaged: could not convert") as caught:
        unpickled(b"F" + b"x" * 5000 + b"\n.")
    assert len(str(caught.value)) < 200


def test_an_integer_beyond_reason_is_refused():
    with pytest.raises(ValueError, match="integer of 80001 bits"):
        unpickled(pickle.dumps(1 << 80000))


def test_a_memo_index_beyond_reason_costs_nothing():
    assert unpickled(b"Nr\xff\xff\xff\xff0j\xff\xff\xff\xff.") is None


def test_nested_tuples_that_take_forever_to_hash_are_no_keys():
    doubled = b"}" + b")" + b"2\x86" * 200 + b"Ns."
    assert len(unpickled(doubled)) == 1


def test_deep_nesting_does_not_exhaust_the_stack():
    unpickled(b"]" * 300_000 + b"a" * 299_999 + b".")


def test_endless_instructions_are_refused(monkeypatch):
    monkeypatch.setattr(pickled, "INSTRUCTIONS", 1000)
    with pytest.raises(ValueError, match="more than 1000 instructions"):
        unpickled(b"N0" * 501 + b"N.")


def test_copying_a_long_list_again_and_again_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pickled, "INSTRUCTIONS", 10_000)
    again = b"ccollections\nOrderedDict\nh\x00\x85R0" * 20
    data = b"](" + b"]NaNa" * 900 + b"eq\x00" + again + b"."
    with zipfile.ZipFile(tmp_path / "x", "w") as zipped:
        zipped.writestr("x/data.pkl", data)
    assert "instructions" in refusal(tmp_path / "x")


# ---- No code runs ----


@BOTH
@pytest.mark.parametrize("name", checkpoints.canary(""))
@pytest.mark.parametrize("place", ["optimizer", "state_dict", "module.encoder_q.conv1.weight"])
def test_no_code_in_a_checkpoint_runs(tmp_path, container, name, place):
    bird = tmp_path / "canary"
    call = checkpoints.canary(bird)[name]
    path = WRITERS[container](tmp_path / "x.pth", small(**{place: call}))
    line = refusal(path)
    if place != "optimizer":
        assert name in line
    assert not bird.exists()


@BOTH
@pytest.mark.parametrize("code", [b"R", b"\x81", b"}\x92", b"i", b"o"])
def test_no_way_of_calling_calls(tmp_path, container, code):
    bird = tmp_path / "canary"
    argument = b"X" + struct.pack("<I", len(f"touch {bird}")) + f"touch {bird}".encode()
    data = {
        b"i": b"(" + argument + b"iposix\nsystem\n.",
        b"o": b"(cposix\nsystem\n" + argument + b"o.",
    }.get(code, b"cposix\nsystem\n" + argument + b"\x85" + code + b".")
    data = b"\x80\x04" + data
    path = tmp_path / "x.pth"
    if container == "zip":
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.writestr("archive/data.pkl", data)
    else:
        write_stream(path, 0)
        path.write_bytes(path.read_bytes().replace(Pickler().dump(0), data, 1))
    assert "posix.system" in refusal(path)
    assert not bird.exists()


def test_a_hostile_pickle_would_have_run_in_pythons_own_reader(tmp_path):
    bird = tmp_path / "canary"
    pickle.loads(Pickler().dump(checkpoints.canary(bird)["posix.system"]))
    assert bird.exists()


def test_objects_inside_norms_are_refused_by_name(tmp_path):
    content = checkpoints.torchvision() | {"norms": [0.5, Call("evil number")]}
    assert refusal(write_zip(tmp_path / "x", content)) == "its norms hold the object evil.number"


def test_an_object_hidden_deep_in_the_state_dict_is_refused_by_name(tmp_path):
    path = write_zip(tmp_path / "x", small(**{"extra.state": [{"a": (1, Call("evil thing"))}]}))
    assert refusal(path) == "its state_dict has the object evil.thing at extra.state"


def test_a_pickled_network_is_refused_with_the_remedy(tmp_path):
    path = write_zip(tmp_path / "x", Call("segmentation_models_pytorch.unet.model Unet"))
    line = refusal(path)
    assert "segmentation_models_pytorch.unet.model.Unet" in line
    assert "state_dict()" in line


def test_reading_needs_no_torch():
    code = (
        "import sys, napari_cem.checkpoint; print(sorted(m for m in sys.modules if m == 'torch'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# ---- Weights that do not fit ----


def test_a_missing_tensor_is_named(tmp_path):
    path = write_zip(tmp_path / "x", small(**{"module.encoder_q.layer3.5.bn2.bias": None}))
    assert refusal(path) == "module.encoder_q.layer3.5.bn2.bias is missing"


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path):
    wrong = Saved(np.zeros(1, np.float32), (64, 64, 1, 1), (0, 0, 0, 0), key="0")
    path = write_zip(tmp_path / "x", small(**{"module.encoder_q.layer1.0.conv2.weight": wrong}))
    assert refusal(path) == (
        "module.encoder_q.layer1.0.conv2.weight has the shape [64, 64, 1, 1], "
        "must be [64, 64, 3, 3]"
    )


def test_the_first_of_several_complaints_is_given_and_the_others_counted(tmp_path):
    changes = {f"module.encoder_q.layer2.{k}.bn1.weight": None for k in range(3)}
    line = refusal(write_zip(tmp_path / "x", small(**changes)))
    assert line == "module.encoder_q.layer2.0.bn1.weight is missing (and 2 more complaints)"


def test_three_input_channels_are_refused_with_the_remedy(tmp_path):
    rgb = Saved(np.zeros(1, np.float32), (64, 3, 7, 7), (0, 0, 0, 0), key="0")
    changes = {"module.encoder_q.conv1.weight": rgb, "norms": None}
    line = refusal(write_zip(tmp_path / "x", small(**changes)))
    assert "3 input channels" in line
    assert "cem500k" in line


def test_a_deeper_network_is_not_taken_for_its_first_layers(tmp_path):
    extra = Saved(np.zeros(1, np.float32), (256, 1024, 1, 1), (0, 0, 0, 0), key="0")
    path = write_zip(tmp_path / "x", small(**{"module.encoder_q.layer3.6.conv1.weight": extra}))
    assert "module.encoder_q.layer3.6.conv1.weight is one too many" in refusal(path)


def test_a_decoder_with_extra_parts_is_refused(tmp_path):
    content = checkpoints.unet()
    content["state_dict"]["decoder.center.0.weight"] = np.zeros(1, np.float32)
    assert "decoder.center.0.weight is one too many" in refusal(write_zip(tmp_path / "x", content))


def test_a_decoder_without_its_head_is_refused(tmp_path):
    content = checkpoints.unet()
    del content["state_dict"]["segmentation_head.0.bias"]
    assert refusal(write_zip(tmp_path / "x", content)) == "segmentation_head.0.bias is missing"


def test_integers_in_place_of_weights_are_refused(tmp_path):
    whole = Saved(np.zeros(1, np.int32), (64,), (0,), storage="Int", key="9")
    path = write_zip(tmp_path / "x", small(**{"module.encoder_q.bn1.weight": whole}))
    assert refusal(path) == "module.encoder_q.bn1.weight holds integers"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("layer1.0.conv1.weight", np.nan, "not finite"),
        ("bn1.bias", np.inf, "not finite"),
        ("bn1.running_var", -1.0, "variance below 0"),
        ("bn1.num_batches_tracked", -1, "count below 0"),
    ],
)
def test_numbers_that_no_network_has_are_refused(tmp_path, name, value, words):
    state = checkpoints.encoder()
    state[name].flat[-1] = value
    line = refusal(write_zip(tmp_path / "x", {"state_dict": state}))
    assert f"encoder.{name}" in line
    assert words in line


@pytest.mark.parametrize(
    ("norms", "words"),
    [
        ([148.7, 25.4], "148.7, 25.4"),
        ([0.5, 0.0], "between 0 and 1"),
        ([0.5], "between 0 and 1"),
        ([0.5, float("nan")], "nan"),
        (["a", "b"], "no two numbers"),
        ([True, False], "no two numbers"),
        ({"mean": 0.5}, "no two numbers"),
        ([(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)], "no two numbers"),
        (0.5, "between 0 and 1"),
    ],
)
def test_norms_that_make_no_sense_are_refused(tmp_path, norms, words):
    line = refusal(write_zip(tmp_path / "x", small(norms=norms)))
    assert "norms" in line
    assert words in line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "holds a list"),
        (None, "holds a NoneType"),
        ({"epoch": 3, "model": 4}, "no state_dict; its keys are: epoch, model"),
        ({}, "no state_dict; its keys are: none"),
        ({"state_dict": [1]}, "its state_dict is a list"),
        ({"state_dict": {}}, "no ResNet-50"),
        ({"state_dict": {"features.0.weight": np.zeros(3, "f4")}}, "features.0.weight"),
        ({"state_dict": {"conv1.weight": 3}}, "conv1.weight is a int, not a tensor"),
    ],
)
def test_files_of_something_else_are_refused_with_what_they_hold(tmp_path, content, words):
    for write in WRITERS.values():
        assert words in refusal(write(tmp_path / "x", content))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "begins with b'<!DO'"),
        (b"PK\x03\x04" + bytes(200), "damaged"),
        (b"\x80\x02K\x01.", "no PyTorch checkpoint"),
        (b"\x1f\x8b\x08\x00", "begins with"),
        (struct.pack("<Q", 2) + b"{}", "begins with"),
    ],
)
def test_files_that_are_no_checkpoint_are_refused(tmp_path, data, words):
    path = tmp_path / "x.pth.tar"
    path.write_bytes(data)
    assert words in refusal(path)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match=r"none\.pth"):
        checkpoint.read(tmp_path / "none.pth")


# ---- Storages that lie ----


@BOTH
@pytest.mark.parametrize(
    "saved",
    [
        Saved(np.zeros(4, np.float32), (5,), (1,)),
        Saved(np.zeros(4, np.float32), (2, 2), (3, 1)),
        Saved(np.zeros(4, np.float32), (2,), (1,), offset=3),
        Saved(np.zeros(4, np.float32), (2,), (2**47,)),
        Saved(np.zeros(4, np.float32), (8,), (1,), numel=8),
    ],
    ids=["long", "stride", "offset", "far", "numel"],
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, container, saved):
    path = WRITERS[container](tmp_path / "x", {"a": saved})
    with pytest.raises(ValueError, match=r"beyond its storage|cut short"):
        opened(path, ["a"])


def test_a_few_bytes_do_not_become_a_large_array(tmp_path):
    path = write_zip(tmp_path / "x", {"a": Saved(np.zeros(1, "f4"), (2**30, 2**10), (0, 0))})
    with pytest.raises(ValueError, match="larger than the file"):
        opened(path, ["a"])
    assert "larger than the file" in refusal(write_zip(tmp_path / "y", small()))


@pytest.mark.parametrize(
    ("shape", "stride"),
    [((-1,), (1,)), ((2,), (-1,)), ((2,), (1, 1)), ((2**60,), (1,)), ((1,) * 9,) * 2],
)
def test_absurd_sizes_make_no_tensor(tmp_path, shape, stride):
    path = write_zip(tmp_path / "x", {"state_dict": {"a": Saved(np.zeros(4, "f4"), shape, stride)}})
    assert "arguments that make no tensor at a" in refusal(path)


def test_compressed_members_are_refused(tmp_path):
    path = write_zip(tmp_path / "x", {"a": np.zeros(9, "f4")}, compression=zipfile.ZIP_DEFLATED)
    assert "compressed" in refusal(path)


def test_a_flipped_bit_in_a_weight_is_noticed(tmp_path):
    path = write_zip(tmp_path / "x", {"a": np.full(50, 0.75, np.float32)})
    data = path.read_bytes()
    at = data.index(np.full(50, 0.75, np.float32).tobytes())
    path.write_bytes(data[: at + 20] + bytes([data[at + 20] ^ 1]) + data[at + 21 :])
    with pytest.raises(ValueError, match="CRC"):
        opened(path, ["a"])


def test_two_archives_in_one_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w") as zipped:
        zipped.writestr("a/data.pkl", b"N.")
        zipped.writestr("b/data.pkl", b"N.")
    assert "2 data.pkl" in refusal(tmp_path / "x")


def test_names_that_climb_out_of_the_archive_reach_no_file(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(16))
    climbing = Saved(np.ones(4, "f4"), (4,), (1,), key=f"../..{secret}")
    path = write_zip(tmp_path / "x", {"a": climbing})
    assert opened(path, ["a"])["a"].tolist() == [1, 1, 1, 1]
    assert secret.read_bytes() == bytes(16)
    assert sorted(os.listdir(tmp_path)) == ["secret", "x"]


# ---- Damage ----


def contents(data: bytes):
    """Reads all tensors of a checkpoint in memory; a ValueError or the tensors."""
    found = archive.open_archive(io.BufferedReader(io.BytesIO(data)))
    if not isinstance(found.content, dict):
        raise ValueError("no dictionary")
    tensors = {name: t for name, t in found.content.items() if isinstance(t, Tensor)}
    return found.tensors({str(name): tensor for name, tensor in tensors.items()})


def tiny(tmp_path, container) -> bytes:
    content = {"a": np.arange(5, dtype="f4"), "b": np.arange(3), "c": [1.5, "x", {"d": None}]}
    return WRITERS[container](tmp_path / "tiny", content).read_bytes()


@BOTH
def test_a_checkpoint_cut_at_any_byte_is_refused(tmp_path, container):
    data = tiny(tmp_path, container)
    assert contents(data)["a"].tolist() == [0, 1, 2, 3, 4]
    for size in range(len(data)):
        with pytest.raises(ValueError):
            contents(data[:size])


@BOTH
def test_a_damaged_byte_is_refused_or_changes_only_numbers(tmp_path, container):
    data = tiny(tmp_path, container)
    shuffle = random.Random(3)
    for at in range(len(data)):
        for value in {0, 255, data[at] ^ 1, shuffle.randrange(256)}:
            changed = data[:at] + bytes([value]) + data[at + 1 :]
            try:
                found = contents(changed)
            except ValueError as error:
                assert "\n" not in str(error)
            else:
                assert sum(array.nbytes for array in found.values()) <= len(data)


@BOTH
def test_a_large_checkpoint_cut_short_is_refused(tmp_path, container):
    path = WRITERS[container](tmp_path / "x", checkpoints.torchvision())
    size = path.stat().st_size
    for part in (0.999999, 0.99, 0.7, 0.3, 0.01, 0.001):
        os.truncate(path, int(size * part))
        refusal(path)
