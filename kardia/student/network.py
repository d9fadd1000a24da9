"""The network of a student: backbone, pooling, heads. torch is imported where a network is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from kardia.student.ordinal import outputs_of
from kardia.student.tasks import Task
from kardia.student.tokens import Coded

if TYPE_CHECKING:
    import torch

__all__ = ["Network", "Pooling", "collate", "plain", "pooled", "positions_of"]

Pooling = Literal["mean", "cls", "attention", "last"]
_TABLED = ("bert", "roberta", "xlm-roberta")
"""Backbones with a table of positions, of which the last is used for all that lie beyond it."""


class Network:
    """Token ids → all tasks' outputs: the backbone's last layer, pooled, and a linear layer.

    - `mean`: the mean over all tokens, normalised to mean 0 and variance 1.
    - `cls`: the first token's state. `last`: the last token's, normalised likewise.
    - `attention`: for each task the mean weighted by a query of its own, normalised likewise.

    Args:
        backbone: a model of transformers without a head.
        tasks: what the outputs are of.
        pooling: as above.
        reply_only: `attention` reads the reply's tokens alone.
        dropout: share of the pooled state that is dropped while training.

    Attributes:
        module: backbone and heads, as torch knows them.
    """

    def __init__(
        self,
        backbone: Any,
        tasks: Sequence[Task],
        pooling: Pooling,
        reply_only: bool = False,
        dropout: float = 0.0,
    ) -> None:
        import torch

        self.pooling = pooling
        self.reply_only = reply_only
        self.dropout = dropout
        size, outputs = int(plain(backbone).config.hidden_size), outputs_of(tasks)
        made = {"weight_OD": torch.empty(outputs, size).normal_(0.0, 0.02), "bias_O": torch.zeros(outputs)}
        if pooling == "attention":
            made["query_TD"] = torch.empty(len(tasks), size).normal_(0.0, 0.02)
        heads = torch.nn.ParameterDict({name: torch.nn.Parameter(tensor) for name, tensor in made.items()})
        self.module = torch.nn.ModuleDict({"backbone": backbone, "heads": heads})
        self._owners = [number for number, task in enumerate(tasks) for _ in range(task.size)]

    @property
    def backbone(self) -> Any:
        return self.module["backbone"]

    @property
    def heads(self) -> Any:
        """`weight_OD`, `bias_O` and, with the pooling `attention`, `query_TD`."""
        return self.module["heads"]

    def trained(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """What a training changes, by name."""
        return ((name, tensor) for name, tensor in self.module.named_parameters() if tensor.requires_grad)

    def outputs(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, reply_mask: torch.Tensor) -> torch.Tensor:
        """Outputs of shape (pairs, outputs), from ids and masks of shape (pairs, tokens), padded on the right."""
        import torch
        from torch.nn.functional import dropout

        heads = self.heads
        states_BSD = self.states(input_ids, attention_mask).to(heads["weight_OD"].dtype)
        if self.pooling != "attention":
            state_BD = dropout(pooled(states_BSD, attention_mask, self.pooling), self.dropout, self.module.training)
            outputs_BO: torch.Tensor = torch.nn.functional.linear(state_BD, heads["weight_OD"], heads["bias_O"])
            return outputs_BO
        read_BS = (reply_mask if self.reply_only else attention_mask).bool()
        fit_BTS = torch.einsum("td,bsd->bts", heads["query_TD"], states_BSD) * states_BSD.shape[-1] ** -0.5
        fit_BTS = fit_BTS.masked_fill(~read_BS[:, None], torch.finfo(fit_BTS.dtype).min)
        state_BTD = _normal(torch.einsum("bts,bsd->btd", fit_BTS.softmax(-1), states_BSD))
        state_BTD = dropout(state_BTD, self.dropout, self.module.training)
        outputs_BO = torch.einsum("bod,od->bo", state_BTD[:, self._owners], heads["weight_OD"]) + heads["bias_O"]
        return outputs_BO

    def states(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The last layer's states, of shape (pairs, tokens, dimensions)."""
        import torch

        more: dict[str, torch.Tensor] = {}
        limit, offset = positions_of(plain(self.backbone))
        length = input_ids.shape[1]
        if limit is not None and length > limit:
            places = torch.arange(length, device=input_ids.device).clamp(max=limit - 1) + offset
            more = {
                "position_ids": places.expand(len(input_ids), -1),
                "token_type_ids": torch.zeros_like(input_ids),
            }
        states: torch.Tensor = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **more)[0]
        return states


def plain(backbone: Any) -> Any:
    """The model below an adapter."""
    return backbone.get_base_model() if hasattr(backbone, "get_base_model") else backbone


def positions_of(model: Any) -> tuple[int | None, int]:
    """How many positions a model has a table for, and at which row of it they begin; None: as many as one wants."""
    if model.config.model_type not in _TABLED:
        return None, 0
    table = model.embeddings.position_embeddings
    offset = 0 if table.padding_idx is None else table.padding_idx + 1
    return table.num_embeddings - offset, offset


def pooled(states_BSD: torch.Tensor, mask_BS: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """One vector a pair, of shape (pairs, dimensions), by `mean`, `cls` or `last`."""
    import torch

    if pooling == "cls":
        return states_BSD[:, 0]
    if pooling == "last":
        ends_B = mask_BS.sum(1).long() - 1
        return _normal(states_BSD[torch.arange(len(states_BSD), device=states_BSD.device), ends_B])
    share_BS = mask_BS.to(states_BSD.dtype)
    return _normal(torch.einsum("bsd,bs->bd", states_BSD, share_BS) / share_BS.sum(1, keepdim=True))


def _normal(vectors: torch.Tensor) -> torch.Tensor:
    from torch.nn.functional import layer_norm

    return layer_norm(vectors, vectors.shape[-1:], eps=1e-12)


def collate(coded: Sequence[Coded], pad: int) -> dict[str, torch.Tensor]:
    """`input_ids`, `attention_mask` and `reply_mask` of shape (pairs, tokens), padded on the right to the longest."""
    import torch

    longest = max(len(each.ids) for each in coded)
    ids = torch.full((len(coded), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(coded), longest), dtype=torch.long)
    reply = torch.zeros((len(coded), longest), dtype=torch.long)
    for row, each in enumerate(coded):
        ids[row, : len(each.ids)] = torch.tensor(each.ids)
        mask[row, : len(each.ids)] = 1
        start, end = each.reply
        # without a reply all is read: a mean over nothing would be one over the padding
        reply[row, start : end if end > start else len(each.ids)] = 1
    return {"input_ids": ids, "attention_mask": mask, "reply_mask": reply}
