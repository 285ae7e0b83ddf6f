"""The parameters of a run: which pipes and layers it does, and what its operator lets through on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyelt_provider.planning.plan import Plan
from pyelt_provider.planning.stages import Layer, Stage

ALLOWANCES = {
    "allow_deletions": "Let a delivery through that has too few rows or would delete more than its limit.",
    "allow_rejections": "Let more rows be rejected than the limit of their table.",
    "allow_ddl": "Let database changes through where the project asks for confirmation first.",
    "allow_key_change": "Accept changed business key expressions; keys that the old ones made stay in the vault.",
}


def run_parameters(plan: Plan) -> dict[str, Any]:
    """Return the DAG's params: `pipes` and `parts` as multi-selects (all by default), and the allowances (off)."""
    from airflow.sdk import Param

    parameters: dict[str, Any] = {}
    for name, choices, about in (
        ("pipes", [pipe.name for pipe in plan.pipes], "Source systems to load; the others are skipped."),
        ("parts", parts_of(plan), "Layers to do; the others are skipped."),
    ):
        if choices:
            parameters[name] = Param(
                choices,
                description=about,
                type="array",
                minItems=1,
                uniqueItems=True,
                items={"type": "string", "enum": choices},
                examples=choices,
            )
    for name, about in ALLOWANCES.items():
        parameters[name] = Param(False, description=about, type="boolean")
    return parameters


def parts_of(plan: Plan) -> list[str]:
    """Return the layers that a run of this plan can be limited to, in their order; `sys` is always done."""
    present = {stage.layer for stage in plan.stages}
    return [layer.value for layer in Layer if layer in present and layer is not Layer.SYS]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a run does. None means all."""

    pipes: frozenset[str] | None = None
    parts: frozenset[str] | None = None

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Selection:
        """Read the selection out of the params of a run."""
        pipes, parts = params.get("pipes"), params.get("parts")
        return cls(None if pipes is None else frozenset(pipes), None if parts is None else frozenset(parts))

    def reason_to_skip(self, stage: Stage) -> str | None:
        """Return why the stage is not done in this run, None when it is."""
        if stage.pipe is not None and not stage.pipe.active:
            return f"pipe {stage.pipe_name} is not active (active: false in {stage.pipe.place.file or 'its config'})"
        if stage.pipe is not None and self.pipes is not None and stage.pipe_name not in self.pipes:
            return f"pipe {stage.pipe_name} is not among the pipes of this run: {', '.join(sorted(self.pipes))}"
        if stage.layer is not Layer.SYS and self.parts is not None and stage.layer not in self.parts:
            return f"layer {stage.layer} is not among the parts of this run: {', '.join(sorted(self.parts))}"
        return None
