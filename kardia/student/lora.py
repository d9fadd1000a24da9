"""A LoRA adapter on a backbone, by peft: made, loaded, saved.

Raises, throughout: MissingExtra where peft is not installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kardia.errors import MissingExtra, ProfileError
from kardia.pretrained import quiet
from kardia.student.backbone import Backbone
from kardia.student.manifest import Lora

__all__ = ["adapted", "save_adapter", "with_adapter"]


def adapted(model: Any, lora: Lora, backbone: Backbone) -> Any:
    """The model with a new adapter, which alone is trained.

    Raises:
        ProfileError: where the model has none of the layers that are to be adapted.
    """
    peft = _peft()
    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        task_type=peft.TaskType.FEATURE_EXTRACTION,
        base_model_name_or_path=backbone.model,
    )
    try:
        with quiet(warnings=False):
            made = peft.get_peft_model(model, config)
    except ValueError as problem:
        raise ProfileError(str(problem).splitlines()[0], key="lora.targets") from None
    made.peft_config["default"].base_model_name_or_path = backbone.model  # not the path on this machine
    return made


def with_adapter(model: Any, folder: Path, merge: bool) -> Any:
    """The model with the adapter of a folder.

    Args:
        merge: fold it into the model's own weights; else it can be trained on.

    Raises:
        ProfileError: where the folder holds no adapter, or one that does not fit the model.
    """
    peft = _peft()
    if not (folder / "adapter_config.json").is_file():
        raise ProfileError("holds no adapter: adapter_config.json is not in it", file=str(folder))
    try:
        with quiet(warnings=False):
            loaded = peft.PeftModel.from_pretrained(model, str(folder), is_trainable=not merge)
    except (RuntimeError, ValueError, KeyError) as problem:
        raise ProfileError(f"does not fit its backbone: {str(problem).splitlines()[0]}", file=str(folder)) from None
    return loaded.merge_and_unload() if merge else loaded


def save_adapter(model: Any, folder: Path, dtype: Any) -> None:
    """Writes the adapter as peft does, but for its model card and whatever it would ask the hub."""
    from safetensors.torch import save_file

    peft = _peft()
    folder.mkdir(exist_ok=True)
    state = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in state.items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = model.peft_config["default"]
    trained, config.inference_mode = config.inference_mode, True
    config.save_pretrained(str(folder))
    config.inference_mode = trained


def _peft() -> Any:
    try:
        import peft
    except ImportError:
        raise MissingExtra("local", "a LoRA adapter") from None
    return peft
