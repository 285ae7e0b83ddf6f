"""The operator whose task runs one stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from pyelt_provider.planning.stages import Stage

if TYPE_CHECKING:
    from airflow.sdk import Context

    from pyelt_provider.orchestration.stage_task import StageTask


class PyeltStageOperator(BaseOperator):
    """Runs one stage in one transaction on the warehouse, and returns its numbers (rows per table and count) as XCom.

    Skips itself when the pipe is inactive or the run's parameters leave the stage out. Waits, without a worker slot, for a
    delivery that is late and for an older run of the same pipe. Fails at once, without retries, where only a person can
    help. An outlet's event says that the table is up to date and carries the number of changed rows, also when it is 0.

    `stage` says what to do. `foundations` are task ids without which it does not start, whatever its trigger rule says.
    """

    ui_color = "#dbe9f6"
    template_fields: Sequence[str] = ()
    shallow_copy_attrs: ClassVar[Sequence[str]] = ("stage",)  # type: ignore[misc]

    def __init__(self, *, stage: Stage, foundations: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stage = stage
        self.foundations = foundations
        self._running: StageTask | None = None

    def execute(self, context: Context) -> Any:
        """Run the stage; see the class."""
        # Parsing builds hundreds of operators and runs none: what only a run needs is imported here.
        from pyelt_provider.orchestration.stage_task import StageTask

        self._running = StageTask(self.stage, self.foundations, context, self.log)
        try:
            return self._running.run()
        finally:
            self._running = None

    def on_kill(self) -> None:
        """End what the task is doing in the warehouse, and the task with it; its transaction is rolled back."""
        if self._running is not None:
            self._running.kill()
