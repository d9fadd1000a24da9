"""Finding and loading a model: what lies on this machine, and nothing else."""

from __future__ import annotations

import importlib.util
import json
import shutil
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from judge.local.tiny import saved  # noqa: E402
from kardia.errors import MissingExtra, ProfileError  # noqa: E402
from kardia.judge.local.loading import dtype_of, find_folder, known_as, load  # noqa: E402
from kardia.judge.options import TransformersOptions  # noqa: E402
from kardia.judge.profile import JudgeProfile, load_profile  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("model"))


def profile_of(model, revision=None, **options):
    return JudgeProfile(
        name="here", backend="transformers", model=str(model), revision=revision, mode="logprob", transformers=options
    )


def logits(model):
    with torch.inference_mode():
        return model(torch.arange(3, 40)[None]).logits


@pytest.fixture(scope="module")
def adapter(folder, tmp_path_factory):
    """A LoRA adapter whose weights are not zero, and its folder."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folder)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between peft and transformers
        adapted = get_peft_model(base, lora)
    torch.manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if "lora" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    place = tmp_path_factory.mktemp("adapter")
    adapted.save_pretrained(place)
    return place, logits(adapted.eval())


def test_a_folder_is_loaded_as_it_lies_there(folder):
    loaded = load(profile_of(folder))
    assert loaded.model.dtype == torch.float32
    assert loaded.model.device.type == "cpu"
    assert not loaded.model.training
    assert loaded.ends == (2,)
    assert loaded.context == 4096
    assert loaded.tokenizer.chat_template
    assert load(profile_of(folder, max_context=100)).context == 100
    assert load(profile_of(folder, max_context=100_000)).context == 4096
    assert load(profile_of(folder, dtype="bfloat16")).model.dtype == torch.bfloat16


def test_what_the_models_own_configuration_says_of_sampling_is_the_profiles_matter(folder, tmp_path):
    place = shutil.copytree(folder, tmp_path / "m")
    own = {"eos_token_id": [2, 7], "repetition_penalty": 1.5, "do_sample": True, "temperature": 0.6}
    (place / "generation_config.json").write_text(json.dumps(own))
    loaded = load(profile_of(place))
    assert loaded.ends == (2, 7)
    assert loaded.model.generation_config.repetition_penalty in (None, 1.0)
    assert not loaded.model.generation_config.do_sample


def test_the_type_of_numbers_depends_on_the_device(monkeypatch):
    assert dtype_of(TransformersOptions(device="cpu")) == "float32"
    assert dtype_of(TransformersOptions(device="cuda:1")) == "own"
    assert dtype_of(TransformersOptions(device="cpu", dtype="float16")) == "float16"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert dtype_of(TransformersOptions()) == "own"


def test_an_adapter_is_merged(folder, adapter):
    place, expected = adapter
    found = logits(load(profile_of(folder, adapter=str(place))).model)
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(found, logits(load(profile_of(folder)).model), atol=1e-2)


def test_an_adapter_that_does_not_fit(folder, tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "target_modules": ["nowhere"]}')
    with pytest.raises(ProfileError, match=r"transformers\.adapter: cannot be loaded as an adapter"):
        load(profile_of(folder, adapter=str(tmp_path)))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # between peft and transformers
def test_tokens_that_are_learnt_are_no_adapter_here(folder, tmp_path):
    from peft import PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    tuned = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder), PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM")
    )
    tuned.save_pretrained(tmp_path)
    with pytest.raises(ProfileError, match="puts tokens before the prompt"):
        load(profile_of(folder, adapter=str(tmp_path)))


def test_nothing_is_downloaded_and_the_error_says_how_it_is_done():
    with pytest.raises(ProfileError, match=r"downloads nothing by itself: `hf download who/what --revision v2`"):
        load(profile_of("who/what", "v2"))
    with pytest.raises(ProfileError, match=r"there is no folder \./what"):
        load(profile_of("./what"))
    with pytest.raises(ProfileError, match="neither a folder nor the name of a model"):
        load(profile_of("who/what/where"))


def test_a_model_in_the_hub_cache(folder, tmp_path, monkeypatch):
    """As `hf download` lays it out: the commit's folder is found by the branch, and says what the model is."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--who--tiny"
    shutil.copytree(folder, cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    import huggingface_hub.constants
    from huggingface_hub import _snapshot_download

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert str(tmp_path) == _snapshot_download.constants.HF_HUB_CACHE
    profile = profile_of("who/tiny")
    assert find_folder(profile, "model") == cached / "snapshots" / commit
    assert known_as(profile, "model") == f"who/tiny@{commit}"
    assert known_as(profile_of("who/tiny", commit), "model") == f"who/tiny@{commit}"
    assert load(profile).context == 4096


def test_a_folder_is_known_by_what_is_in_it(folder, tmp_path):
    place = shutil.copytree(folder, tmp_path / "m")
    known = known_as(profile_of(place), "model")
    assert known == known_as(profile_of(folder), "model")
    (place / "README.md").write_text("A model card says nothing about the weights.")
    assert known == known_as(profile_of(place), "model")
    template = place / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert known != known_as(profile_of(place), "model")


def test_a_folder_beside_the_profile_is_found(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "judges" / "weights")
    written = tmp_path / "judges" / "mine.yaml"
    written.write_text("{name: mine, backend: transformers, model: ./weights}")
    assert find_folder(load_profile(written), "model") == tmp_path / "judges" / "weights"
    monkeypatch.chdir(tmp_path / "judges")
    assert find_folder(profile_of("./weights"), "model") == Path("weights")


def test_a_model_without_a_chat_template_is_refused(folder, tmp_path):
    place = shutil.copytree(folder, tmp_path / "m")
    (place / "chat_template.jinja").unlink()
    with pytest.raises(ProfileError, match="has no chat template"):
        load(profile_of(place))


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ProfileError, match="cannot be loaded as a language model"):
        load(profile_of(tmp_path))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device")
def test_a_device_that_is_not_there(folder):
    with pytest.raises(ProfileError, match=r"transformers\.device: is not there"):
        load(profile_of(folder, device="cuda:7"))


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="it is installed")
def test_rounded_weights_want_their_library(folder):
    with pytest.raises(MissingExtra, match=r"loading a model in 4bit needs .* 'kardia\[local,quantized\]'"):
        load(profile_of(folder, quantization="4bit"))


def test_without_torch_the_sentence_names_the_extra(monkeypatch, folder):
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "torch":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"running a language model needs .* 'kardia\[local\]'"):
        load(profile_of(folder))
